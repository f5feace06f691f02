// JSON of the ordinary kind read straight from bytes, without strings and objects in between. What is unusual is left to the parser:
// everything here gives up rather than say what is wrong.
import { readDecimal } from './json-decimal.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;
const CLOSE_LIST = 0x5d;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Nested deeper than anything that is skipped here for good reason. */
const mostLevels = 32;

/**
 * A place in bytes that walks over JSON. Its methods step over what they find; where they find something else they say so, and
 * the place is of no use any more. They may step over the end of the bytes: who reads an entry asks `isBeforeComma` at last.
 */
export class JsonBytes {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Behind the last byte that is there. */
  end = 0;
  /** Whether no byte above 127 was stepped over since the start. */
  isAscii = true;
  /** Where the last string lies, its quotes left out. */
  stringFrom = 0;
  stringTo = 0;
  /** Whether it has escapes. */
  hasEscape = false;
  private readonly decimal = { at: 0 };

  start(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.isAscii = true;
  }

  /** The next byte that is no space. */
  next(): number {
    const { bytes } = this;
    let byte = bytes[this.at]!;
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.at]!;
    return byte;
  }

  /** Steps over spaces and this byte, where it is the next. */
  takes(byte: number): boolean {
    if (this.next() !== byte) return false;
    this.at++;
    return true;
  }

  /** Whether a comma or the end of a list is next, and all up to there was inside the bytes. */
  isBeforeComma(): boolean {
    const byte = this.next();
    return (byte === COMMA || byte === CLOSE_LIST) && this.at < this.end;
  }

  /** NaN where there is none. */
  number(): number {
    this.next();
    const value = readDecimal(this.bytes, this.at, this.decimal);
    this.at = this.decimal.at;
    return value;
  }

  /** A list of numbers, into `out` from its start: how many there are; -1 for another list or one that is longer than `out`. */
  numbers(out: Float64Array): number {
    if (!this.takes(OPEN_LIST)) return -1;
    if (this.takes(CLOSE_LIST)) return 0;
    for (let count = 0; count < out.length; ) {
      const value = this.number();
      if (Number.isNaN(value)) return -1;
      out[count++] = value;
      if (this.takes(COMMA)) continue;
      return this.takes(CLOSE_LIST) ? count : -1;
    }
    return -1;
  }

  /** A string, whose bytes are then from `stringFrom` to `stringTo` as they stand there. */
  string(): boolean {
    if (!this.takes(QUOTE)) return false;
    const { bytes, end } = this;
    let { at } = this;
    this.stringFrom = at;
    let all = 0;
    this.hasEscape = false;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.stringTo = at;
        this.at = at + 1;
        if (all > 127) this.isAscii = false;
        return true;
      }
      if (byte < 0x20) return false;
      all |= byte;
      if (byte !== BACKSLASH) continue;
      this.hasEscape = true;
      at = escapeEnd(bytes, at);
      if (at < 0) return false;
    }
    return false;
  }

  /** A key and its colon, as {@link string}. */
  key(): boolean {
    return this.string() && this.takes(COLON);
  }

  /** Whether the last string stands there as these bytes. */
  isString(expected: Uint8Array): boolean {
    const { bytes, stringFrom } = this;
    if (this.stringTo - stringFrom !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) if (bytes[stringFrom + i] !== expected[i]) return false;
    return true;
  }

  /** Any value. */
  skip(levels = mostLevels): boolean {
    switch (this.next()) {
      case QUOTE:
        return this.string();
      case OPEN_LIST:
        this.at++;
        if (this.takes(CLOSE_LIST)) return true;
        if (levels === 0) return false;
        do if (!this.skip(levels - 1)) return false;
        while (this.takes(COMMA));
        return this.takes(CLOSE_LIST);
      case OPEN_OBJECT:
        this.at++;
        if (this.takes(CLOSE_OBJECT)) return true;
        if (levels === 0) return false;
        do if (!this.key() || !this.skip(levels - 1)) return false;
        while (this.takes(COMMA));
        return this.takes(CLOSE_OBJECT);
      case 0x74:
        return this.word('true');
      case 0x66:
        return this.word('false');
      case 0x6e:
        return this.word('null');
      default:
        return !Number.isNaN(this.number());
    }
  }

  private word(expected: string): boolean {
    for (let i = 0; i < expected.length; i++) if (this.bytes[this.at++] !== expected.charCodeAt(i)) return false;
    return true;
  }
}

/** The last byte of the escape that starts at `at`; -1 where it is none. */
function escapeEnd(bytes: Uint8Array, at: number): number {
  switch (bytes[at + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1;
    case 0x75:
      for (let i = at + 2; i < at + 6; i++) if (!isHex(bytes[i]!)) return -1;
      return at + 5;
    default:
      return -1;
  }
}

function isHex(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}
