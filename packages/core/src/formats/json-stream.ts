// JSON text of any length, read in chunks: the entries of its lists come in portions, and nothing larger than a portion or a
// single entry is in memory. An engine's strings end at half a gigabyte, and its values need several times the file.
import type { DataIssueList } from './data-issue.js';
import { findJsonFault, type JsonFault } from './json-fault.js';
import {
  describeFault,
  hasContent,
  notText,
  parseJsonText,
  placeIn,
  type TextPlace,
  unknownFault,
  warnOfBareNumbers,
} from './read-json.js';

/** What a text is made of, in its order. */
export type JsonPart =
  /** The next entries of the text's list, or of the list that its object has at `key`; the first part of a list may be empty. */
  | {
      readonly kind: 'entries';
      readonly key: string | undefined;
      readonly entries: readonly unknown[];
      readonly isFirst: boolean;
    }
  /** The text's value, or the one that its object has at `key`, where that is no list. */
  | { readonly kind: 'value'; readonly key: string | undefined; readonly value: unknown };

export interface JsonStreamOptions {
  /** A list whose end is missing is read up to its last whole entry, with a warning, as a writer that was stopped leaves it. Default false. */
  readonly allowUnfinished?: boolean;
  /** Added to the message about a text that is cut: how to read what is there. */
  readonly remedyWhenCut?: string;
  /** Is offered each entry of a text that is a list; those that it takes are in no part. */
  readonly taker?: EntryTaker;
}

/** Reads entries of the root's list from their bytes, in front of the parser. */
export interface EntryTaker {
  /**
   * Takes the entry that starts at `from` or behind spaces there, where it knows its form and a comma or the end of the list follows
   * before `end`; nothing that it takes has a fault.
   * @returns where the entry ends; -1 where it is left to the parser
   */
  take(bytes: Uint8Array, from: number, end: number): number;
  /** Whether all bytes of the entry that was taken last are below 128. */
  readonly isAscii: boolean;
}

/** What the text was; undefined after an error. */
export type JsonShape = 'list' | 'object' | 'value' | undefined;

/**
 * Reads UTF-8 (UTF-16 with a byte order mark) in chunks of any size. The rules and messages are those of readJson, but that parts in
 * front of a fault have been given when it is met.
 * @param chunks not looked at again once the next one is asked for, so that a reader may use one buffer for all
 */
export function* readJsonParts(
  chunks: Iterable<Uint8Array>,
  issues: DataIssueList,
  options: JsonStreamOptions = {},
): Generator<JsonPart, JsonShape, void> {
  try {
    return yield* new JsonStream(chunks, issues, options).parts();
  } catch (error) {
    if (error instanceof NotText) issues.error('json-syntax', '', notText);
    else if (!(error instanceof Stopped)) throw error;
    return undefined;
  }
}

/** An error stands in the issues. */
class Stopped {}

class NotText {}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const LINE_FEED = 0x0a;
const firstLook = 2 ** 24;
const mostOfOneEntry = 2 ** 28;
const shownBytes = 400;
// So many entries in a row that the taker leaves, and it is asked again only behind as many bytes as these.
const missesInARow = 8;
const bytesBetweenAsking = 2 ** 18;

class JsonStream {
  private readonly source: Iterator<Uint8Array>;
  private readonly issues: DataIssueList;
  private readonly options: JsonStreamOptions;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Bytes that are not done with: from `from` to `end`; `at` is how far the walk is. */
  private bytes: Uint8Array = new Uint8Array(0);
  private from = 0;
  private at = 0;
  private end = 0;
  private isAtEnd = false;
  /** Of the byte at `from`. */
  private place: TextPlace = { line: 1, column: 1 };
  /** Of the brackets that are open, the root's first. */
  private readonly brackets: TextPlace[] = [];
  private hasBareNumbers = false;
  /** The text from `from` to here, where it was needed last. */
  private parsedText = '';
  private parsedTo = -1;
  // Where the walk is: brackets open around it, and whether in a string.
  private depth = 0;
  private isInString = false;
  private isEscaped = false;
  private lastComma = -1;
  private walkTo = Number.POSITIVE_INFINITY;

  constructor(chunks: Iterable<Uint8Array>, issues: DataIssueList, options: JsonStreamOptions) {
    this.source = inUtf8(chunks)[Symbol.iterator]();
    this.issues = issues;
    this.options = options;
  }

  *parts(): Generator<JsonPart, JsonShape, void> {
    this.skipSpace();
    const first = this.at < this.end ? this.bytes[this.at]! : undefined;
    // No byte above 127 starts JSON; which it is does not matter here.
    const start = first === undefined ? '' : String.fromCharCode(first);
    if (!hasContent(start, this.issues)) throw new Stopped();
    this.consume(this.at);
    if (start === '[') {
      this.enter();
      yield* this.entries(undefined, '[');
      this.requireEnd();
      return 'list';
    }
    if (start === '{') {
      this.enter();
      yield* this.members();
      this.requireEnd();
      return 'object';
    }
    while (this.end - this.from < firstLook && this.more());
    const parsed = this.isAtEnd ? this.parse('', this.end, '') : undefined;
    if (parsed === undefined) this.fail('');
    if (this.hasBareNumbers) warnOfBareNumbers(this.issues);
    yield { kind: 'value', key: undefined, value: parsed.value };
    return 'value';
  }

  /** The entries of a list behind its bracket, up to the closing one. */
  private *entries(key: string | undefined, opening: string): Generator<JsonPart, void, void> {
    const depth = this.depth;
    let prefix = opening;
    let nextLook = firstLook;
    const taker = key === undefined ? this.options.taker : undefined;
    let misses = 0;
    let isAtEntry = true;
    this.lastComma = -1;
    for (;;) {
      if (taker !== undefined && isAtEntry) {
        isAtEntry = false;
        if (this.offer(taker, prefix === opening)) {
          prefix = `${opening}0`;
          misses = 0;
        }
        misses++;
        this.walkTo = misses < missesInARow ? this.end : this.from + bytesBetweenAsking;
      }
      // What is left of a portion is parsed at once; but of one that is offered, a single entry.
      const found = this.walk(depth, taker === undefined || misses >= missesInARow ? undefined : COMMA);
      const closer = found === COMMA ? undefined : found;
      const stop = closer === undefined ? this.lastComma : this.at - 1;
      if (stop >= this.from && (closer !== undefined || stop > this.from)) {
        if (closer !== undefined && closer !== 0x5d) this.fail(prefix);
        const entries = this.entriesIn(prefix, stop, key !== undefined);
        if (entries === undefined) this.fail(prefix);
        yield { kind: 'entries', key, entries, isFirst: prefix === opening };
        this.consume(stop);
        if (closer !== undefined) {
          this.leave();
          return;
        }
        prefix = `${opening}0`;
        nextLook = firstLook;
        this.lastComma = -1;
        isAtEntry = true;
        if (taker !== undefined) continue;
      }
      this.walkTo = Number.POSITIVE_INFINITY;
      if (this.at < this.end) continue;
      nextLook = this.look(prefix, nextLook);
      if (this.more()) continue;
      if (key !== undefined || !this.options.allowUnfinished || this.fault(prefix)?.isCut === false) this.fail(prefix);
      yield* this.unfinished(prefix, opening);
      return;
    }
  }

  /** Has entries taken from `from` on, as many as are; whether any were. The walk stands in front of the next entry then. */
  private offer(taker: EntryTaker, isFirst: boolean): boolean {
    const { bytes, end } = this;
    let at = this.from;
    let isAscii = true;
    let hasTaken = false;
    for (;;) {
      // Where this is no comma, the list ends.
      const to =
        hasTaken || !isFirst ? (bytes[at] === COMMA ? taker.take(bytes, at + 1, end) : -1) : taker.take(bytes, at, end);
      if (to < 0) break;
      hasTaken = true;
      isAscii &&= taker.isAscii;
      at = to;
      while (isSpace(bytes[at]!)) at++;
    }
    if (hasTaken) {
      if (isAscii) this.pass(at);
      else this.consume(at);
    }
    this.at = at < end && bytes[at] === COMMA && (hasTaken || !isFirst) ? at + 1 : at;
    this.depth = this.brackets.length;
    this.isInString = false;
    this.isEscaped = false;
    return hasTaken;
  }

  private *unfinished(prefix: string, opening: string): Generator<JsonPart, void, void> {
    const entries = this.entriesIn(prefix, this.end, false, true);
    yield { kind: 'entries', key: undefined, entries: entries ?? [], isFirst: prefix === opening };
    const text = this.decode(this.from, this.end, true);
    const { line, column } = placeIn(text, text.length, this.place);
    this.issues.warning(
      'json-unfinished',
      '',
      `was not finished: it ends in the middle, at line ${line}, column ${column}; what is whole of it is read`,
    );
    this.from = this.end;
    this.at = this.end;
  }

  /** The members of the root object, up to its closing bracket. */
  private *members(): Generator<JsonPart, void, void> {
    let before = '{';
    for (;;) {
      const closer = this.walkOn(before, COLON);
      if (closer === undefined) this.fail(before);
      if (closer !== COLON) {
        if (closer !== 0x7d || this.parse(before, this.at - 1, '}') === undefined) this.fail(before);
        this.consume(this.at - 1);
        this.leave();
        return;
      }
      const head = this.parse(before, this.at, '0}');
      if (head === undefined) this.fail(before);
      const key = Object.keys(head.value as object).find((name) => name !== '') ?? '';
      this.skipSpace();
      if (this.at >= this.end) this.fail(before);
      if (this.bytes[this.at] === 0x5b) {
        this.consume(this.at);
        this.enter();
        yield* this.entries(key, '{"":[');
      } else {
        const end = this.walkOn(before, COMMA);
        if (end === undefined) this.fail(before);
        // The comma or bracket behind the value is looked at again.
        this.at--;
        if (end === 0x7d || end === 0x5d) this.depth++;
        const parsed = this.parse(before, this.at, '}');
        if (parsed === undefined) this.fail(before);
        yield { kind: 'value', key, value: (parsed.value as Record<string, unknown>)[key] };
        this.consume(this.at);
      }
      before = '{"":[]';
    }
  }

  private requireEnd(): void {
    this.skipSpace();
    if (this.at < this.end) this.fail('[]');
    if (this.hasBareNumbers) warnOfBareNumbers(this.issues);
  }

  /** Takes the bracket that stands at `at`. */
  private enter(): void {
    this.brackets.push(this.place);
    this.at++;
    this.depth++;
    this.consume(this.at);
  }

  private leave(): void {
    this.brackets.pop();
    this.consume(this.at);
  }

  /** As `walk` in the root object, with as many chunks as it takes. */
  private walkOn(prefix: string, stopAt: number): number | undefined {
    let nextLook = firstLook;
    for (;;) {
      const closer = this.walk(1, stopAt);
      if (closer !== undefined) return closer;
      nextLook = this.look(prefix, nextLook);
      if (!this.more()) return undefined;
    }
  }

  /** Looks for a fault in what has no end for so long; the number of bytes at which to look again. */
  private look(prefix: string, nextLook: number): number {
    if (this.end - this.from <= nextLook) return nextLook;
    if (this.fault(prefix)?.isCut === false) this.fail(prefix);
    if (this.end - this.from > mostOfOneEntry) this.failTooLong();
    return 2 * nextLook;
  }

  /**
   * Walks on to the bracket that closes depth `depth`, or to `stopAt` (a colon or comma) at that depth, and stands behind it.
   * Undefined at the end of the bytes. Only brackets and strings are looked at: whether all of it is JSON, its parsing tells.
   */
  private walk(depth: number, stopAt?: number): number | undefined {
    const { bytes } = this;
    const end = Math.min(this.end, this.walkTo);
    let { at } = this;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (this.isInString) {
        if (this.isEscaped) this.isEscaped = false;
        else {
          let inside = byte;
          while (inside !== QUOTE && inside !== BACKSLASH && ++at < end) inside = bytes[at]!;
          if (inside === BACKSLASH) this.isEscaped = true;
          else if (inside === QUOTE && at < end) this.isInString = false;
        }
        continue;
      }
      switch (byte) {
        case QUOTE:
          this.isInString = true;
          break;
        case 0x5b:
        case 0x7b:
          this.depth++;
          break;
        case 0x5d:
        case 0x7d:
          if (--this.depth >= depth) break;
          this.at = at + 1;
          return byte;
        case COMMA:
          if (this.depth !== depth) break;
          this.lastComma = at;
          if (stopAt !== COMMA) break;
          this.at = at + 1;
          return byte;
        case COLON:
          if (stopAt !== COLON || this.depth !== depth) break;
          this.at = at + 1;
          return byte;
      }
    }
    this.at = Math.min(at, end);
    return undefined;
  }

  /** The entries up to `stop`; undefined where they are no JSON. */
  private entriesIn(prefix: string, stop: number, isInObject: boolean, isCut = false): readonly unknown[] | undefined {
    const parsed = this.parse(prefix, stop, isInObject ? ']}' : ']', isCut);
    if (parsed === undefined) return undefined;
    const list = (isInObject ? (parsed.value as { readonly '': unknown })[''] : parsed.value) as unknown[];
    return prefix.endsWith('0') ? list.slice(1) : list;
  }

  private parse(prefix: string, stop: number, suffix: string, isCut = false): { readonly value: unknown } | undefined {
    this.parsedText = this.decode(this.from, stop, isCut);
    this.parsedTo = stop;
    const parsed = parseJsonText(prefix + this.parsedText + suffix);
    if (parsed?.hasBareNumbers) this.hasBareNumbers = true;
    return parsed;
  }

  /** The first fault of the bytes from `from` on, which `prefix` stands for what was before. */
  private fault(prefix: string): JsonFault | undefined {
    return findJsonFault(prefix + this.decode(this.from, this.end, true));
  }

  private fail(prefix: string): never {
    let fault = this.fault(prefix);
    // What stands at the fault is shown, so that it has to be there.
    const isShort = () =>
      fault === undefined || fault.isCut || fault.index - prefix.length + shownBytes > this.end - this.from;
    while (isShort() && this.more()) fault = this.fault(prefix);
    const text = this.decode(this.from, this.end, true);
    const place = (index: number): TextPlace => {
      if (index >= prefix.length) return placeIn(text, index - prefix.length, this.place);
      return this.brackets[index === 0 ? 0 : this.brackets.length - 1]!;
    };
    const words = fault ? describeFault(fault, place) : unknownFault;
    const remedy = fault?.isCut ? (this.options.remedyWhenCut ?? '') : '';
    this.issues.error('json-syntax', '', words + remedy);
    throw new Stopped();
  }

  private failTooLong(): never {
    const { line, column } = this.place;
    this.issues.error(
      'json-syntax',
      '',
      `has an entry of more than ${mostOfOneEntry / 2 ** 20} MiB at line ${line}, column ${column}: check that it is the right file`,
    );
    throw new Stopped();
  }

  /** Text of the bytes; `isCut`: the last character may be cut. */
  private decode(from: number, to: number, isCut: boolean): string {
    try {
      if (!isCut) return this.decoder.decode(this.bytes.subarray(from, to));
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.bytes.subarray(from, to), { stream: true });
    } catch {
      throw new NotText();
    }
  }

  /** Is done with everything in front of `to`. */
  private consume(to: number): void {
    const text = to === this.parsedTo ? this.parsedText : this.decode(this.from, to, false);
    this.parsedTo = -1;
    this.place = placeIn(text, text.length, this.place);
    this.from = to;
  }

  /** {@link consume} where a character is a byte. */
  private pass(to: number): void {
    const passed = this.bytes.subarray(this.from, to);
    let { line, column } = this.place;
    let lineStart = 1 - column;
    for (let at = passed.indexOf(LINE_FEED); at >= 0; at = passed.indexOf(LINE_FEED, at + 1)) {
      line++;
      lineStart = at + 1;
    }
    column = passed.length - lineStart + 1;
    this.place = { line, column };
    this.parsedTo = -1;
    this.from = to;
  }

  private skipSpace(): void {
    for (;;) {
      while (this.at < this.end && isSpace(this.bytes[this.at]!)) this.at++;
      if (this.at < this.end || !this.more()) return;
    }
  }

  /** Adds the next chunk; false where there is none. */
  private more(): boolean {
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
      this.bytes = grown;
      this.from = 0;
      this.end = kept;
    }
    this.bytes.set(value, this.end);
    this.end += value.length;
    return true;
  }
}

function isSpace(byte: number): boolean {
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
