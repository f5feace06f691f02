// The bytes of a text that comes in chunks: those that are not done with lie in one piece, and where they stand in the text is known.
import { placeIn, type TextPlace } from './read-json.js';

/** What is read is no text. */
export class NotText {}

const LINE_FEED = 0x0a;

export class JsonChunks {
  private readonly source: Iterator<Uint8Array>;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Those that are not done with: from `from` to `end`. */
  bytes: Uint8Array = new Uint8Array(0);
  from = 0;
  end = 0;
  /** How far the reader is. */
  at = 0;
  /** A comma that the reader has in mind; -1: none. */
  lastComma = -1;
  isAtEnd = false;
  /** Of the byte at `from`. */
  place: TextPlace = { line: 1, column: 1 };
  /** The text from `from` to here, where it was needed last. */
  private decoded = '';
  private decodedTo = -1;

  /** @param chunks UTF-8, or UTF-16 with a byte order mark; not looked at again once the next one is asked for */
  constructor(chunks: Iterable<Uint8Array>) {
    this.source = inUtf8(chunks)[Symbol.iterator]();
  }

  /**
   * The text from `from` on.
   * @param isCut whether the last character may be cut, which is left out then
   * @throws NotText
   */
  textTo(to: number, isCut = false): string {
    const bytes = this.bytes.subarray(this.from, to);
    if (isCut) return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true });
    if (to === this.decodedTo) return this.decoded;
    try {
      this.decoded = this.decoder.decode(bytes);
    } catch {
      throw new NotText();
    }
    this.decodedTo = to;
    return this.decoded;
  }

  /** Is done with everything in front of `to`. */
  consume(to: number): void {
    const text = this.textTo(to);
    this.place = placeIn(text, text.length, this.place);
    this.decodedTo = -1;
    this.from = to;
  }

  /** {@link consume} where a character is a byte. */
  pass(to: number): void {
    const passed = this.bytes.subarray(this.from, to);
    let { line, column } = this.place;
    let lineStart = 1 - column;
    for (let at = passed.indexOf(LINE_FEED); at >= 0; at = passed.indexOf(LINE_FEED, at + 1)) {
      line++;
      lineStart = at + 1;
    }
    column = passed.length - lineStart + 1;
    this.place = { line, column };
    this.decodedTo = -1;
    this.from = to;
  }

  /** Is done with all that is there. */
  drop(): void {
    this.from = this.end;
    this.at = this.end;
    this.decodedTo = -1;
  }

  skipSpace(): void {
    for (;;) {
      while (this.at < this.end && isSpace(this.bytes[this.at]!)) this.at++;
      if (this.at < this.end || !this.more()) return;
    }
  }

  /** Adds the next chunk; false where there is none. */
  more(): boolean {
    if (this.isAtEnd) return false;
    const { done, value } = this.source.next();
    if (done) {
      this.isAtEnd = true;
      return false;
    }
    const kept = this.end - this.from;
    if (this.end + value.length > this.bytes.length) {
      const grown = kept + value.length > this.bytes.length ? new Uint8Array(2 * (kept + value.length)) : this.bytes;
      if (grown === this.bytes) grown.copyWithin(0, this.from, this.end);
      else grown.set(this.bytes.subarray(this.from, this.end));
      this.at -= this.from;
      if (this.lastComma >= 0) this.lastComma -= this.from;
      this.decodedTo = -1;
      this.bytes = grown;
      this.from = 0;
      this.end = kept;
    }
    this.bytes.set(value, this.end);
    this.end += value.length;
    return true;
  }
}

export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Chunks without their byte order mark, and in UTF-8 where it says that they are in UTF-16. */
function* inUtf8(chunks: Iterable<Uint8Array>): Generator<Uint8Array, void, void> {
  let head = new Uint8Array(0);
  let fromUtf16: ((bytes: Uint8Array, isLast?: boolean) => Uint8Array) | undefined;
  let isStarted = false;
  for (const chunk of chunks) {
    if (isStarted) {
      yield fromUtf16?.(chunk) ?? chunk;
      continue;
    }
    const joined = new Uint8Array(head.length + chunk.length);
    joined.set(head);
    joined.set(chunk, head.length);
    head = joined;
    if (head.length < 3) continue;
    isStarted = true;
    const [first, second, third] = head;
    if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
      fromUtf16 = utf16Reader(first === 0xff ? 'utf-16le' : 'utf-16be');
      yield fromUtf16(head);
    } else yield first === 0xef && second === 0xbb && third === 0xbf ? head.subarray(3) : head;
  }
  if (!isStarted) yield head;
  if (fromUtf16) yield fromUtf16(new Uint8Array(0), true);
}

function utf16Reader(encoding: 'utf-16le' | 'utf-16be'): (bytes: Uint8Array, isLast?: boolean) => Uint8Array {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const encoder = new TextEncoder();
  return (bytes, isLast = false) => {
    try {
      return encoder.encode(decoder.decode(bytes, { stream: !isLast }));
    } catch {
      throw new NotText();
    }
  };
}
