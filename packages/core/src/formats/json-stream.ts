// JSON text of any length, read in chunks: the entries of its lists come in portions, and nothing larger than a portion or a
// single entry is in memory. An engine's strings end at half a gigabyte, and its values need several times the file.
import type { DataIssueList } from './data-issue.js';
import { isSpace, JsonChunks, NotText } from './json-chunks.js';
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

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const firstLook = 2 ** 24;
const mostOfOneEntry = 2 ** 28;
const shownBytes = 400;
// So many entries in a row that the taker leaves, and it is asked again only behind as many bytes as these.
const missesInARow = 8;
const bytesBetweenAsking = 2 ** 18;

class JsonStream {
  private readonly chunks: JsonChunks;
  private readonly issues: DataIssueList;
  private readonly options: JsonStreamOptions;
  /** Of the brackets that are open, the root's first. */
  private readonly brackets: TextPlace[] = [];
  private hasBareNumbers = false;
  // Where the walk is: brackets open around it, and whether in a string.
  private depth = 0;
  private isInString = false;
  private isEscaped = false;
  private walkTo = Number.POSITIVE_INFINITY;

  constructor(chunks: Iterable<Uint8Array>, issues: DataIssueList, options: JsonStreamOptions) {
    this.chunks = new JsonChunks(chunks);
    this.issues = issues;
    this.options = options;
  }

  *parts(): Generator<JsonPart, JsonShape, void> {
    this.chunks.skipSpace();
    const first = this.chunks.at < this.chunks.end ? this.chunks.bytes[this.chunks.at]! : undefined;
    // No byte above 127 starts JSON; which it is does not matter here.
    const start = first === undefined ? '' : String.fromCharCode(first);
    if (!hasContent(start, this.issues)) throw new Stopped();
    this.chunks.consume(this.chunks.at);
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
    while (this.chunks.end - this.chunks.from < firstLook && this.chunks.more());
    const parsed = this.chunks.isAtEnd ? this.parse('', this.chunks.end, '') : undefined;
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
    this.chunks.lastComma = -1;
    for (;;) {
      if (taker !== undefined && isAtEntry) {
        isAtEntry = false;
        if (this.offer(taker, prefix === opening)) {
          prefix = `${opening}0`;
          misses = 0;
        }
        misses++;
        this.walkTo = misses < missesInARow ? this.chunks.end : this.chunks.from + bytesBetweenAsking;
      }
      // What is left of a portion is parsed at once; but of one that is offered, a single entry.
      const found = this.walk(depth, taker === undefined || misses >= missesInARow ? undefined : COMMA);
      const closer = found === COMMA ? undefined : found;
      const stop = closer === undefined ? this.chunks.lastComma : this.chunks.at - 1;
      if (stop >= this.chunks.from && (closer !== undefined || stop > this.chunks.from)) {
        if (closer !== undefined && closer !== 0x5d) this.fail(prefix);
        const entries = this.entriesIn(prefix, stop, key !== undefined);
        if (entries === undefined) this.fail(prefix);
        yield { kind: 'entries', key, entries, isFirst: prefix === opening };
        this.chunks.consume(stop);
        if (closer !== undefined) {
          this.leave();
          return;
        }
        prefix = `${opening}0`;
        nextLook = firstLook;
        this.chunks.lastComma = -1;
        isAtEntry = true;
        if (taker !== undefined) continue;
      }
      this.walkTo = Number.POSITIVE_INFINITY;
      if (this.chunks.at < this.chunks.end) continue;
      nextLook = this.look(prefix, nextLook);
      if (this.chunks.more()) continue;
      if (key !== undefined || !this.options.allowUnfinished || this.fault(prefix)?.isCut === false) this.fail(prefix);
      yield* this.unfinished(prefix, opening);
      return;
    }
  }

  /** Has entries taken from `from` on, as many as are; whether any were. The walk stands in front of the next entry then. */
  private offer(taker: EntryTaker, isFirst: boolean): boolean {
    const { bytes, end, from } = this.chunks;
    let at = from;
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
      if (isAscii) this.chunks.pass(at);
      else this.chunks.consume(at);
    }
    this.chunks.at = at < end && bytes[at] === COMMA && (hasTaken || !isFirst) ? at + 1 : at;
    this.depth = this.brackets.length;
    this.isInString = false;
    this.isEscaped = false;
    return hasTaken;
  }

  private *unfinished(prefix: string, opening: string): Generator<JsonPart, void, void> {
    const entries = this.entriesIn(prefix, this.chunks.end, false, true);
    yield { kind: 'entries', key: undefined, entries: entries ?? [], isFirst: prefix === opening };
    const text = this.chunks.textTo(this.chunks.end, true);
    const { line, column } = placeIn(text, text.length, this.chunks.place);
    this.issues.warning(
      'json-unfinished',
      '',
      `was not finished: it ends in the middle, at line ${line}, column ${column}; what is whole of it is read`,
    );
    this.chunks.drop();
  }

  /** The members of the root object, up to its closing bracket. */
  private *members(): Generator<JsonPart, void, void> {
    let before = '{';
    for (;;) {
      const closer = this.walkOn(before, COLON);
      if (closer === undefined) this.fail(before);
      if (closer !== COLON) {
        if (closer !== 0x7d || this.parse(before, this.chunks.at - 1, '}') === undefined) this.fail(before);
        this.chunks.consume(this.chunks.at - 1);
        this.leave();
        return;
      }
      const head = this.parse(before, this.chunks.at, '0}');
      if (head === undefined) this.fail(before);
      const key = Object.keys(head.value as object).find((name) => name !== '') ?? '';
      this.chunks.skipSpace();
      if (this.chunks.at >= this.chunks.end) this.fail(before);
      if (this.chunks.bytes[this.chunks.at] === 0x5b) {
        this.chunks.consume(this.chunks.at);
        this.enter();
        yield* this.entries(key, '{"":[');
      } else {
        const end = this.walkOn(before, COMMA);
        if (end === undefined) this.fail(before);
        // The comma or bracket behind the value is looked at again.
        this.chunks.at--;
        if (end === 0x7d || end === 0x5d) this.depth++;
        const parsed = this.parse(before, this.chunks.at, '}');
        if (parsed === undefined) this.fail(before);
        yield { kind: 'value', key, value: (parsed.value as Record<string, unknown>)[key] };
        this.chunks.consume(this.chunks.at);
      }
      before = '{"":[]';
    }
  }

  private requireEnd(): void {
    this.chunks.skipSpace();
    if (this.chunks.at < this.chunks.end) this.fail('[]');
    if (this.hasBareNumbers) warnOfBareNumbers(this.issues);
  }

  /** Takes the bracket that stands at `at`. */
  private enter(): void {
    this.brackets.push(this.chunks.place);
    this.chunks.at++;
    this.depth++;
    this.chunks.consume(this.chunks.at);
  }

  private leave(): void {
    this.brackets.pop();
    this.chunks.consume(this.chunks.at);
  }

  /** As `walk` in the root object, with as many chunks as it takes. */
  private walkOn(prefix: string, stopAt: number): number | undefined {
    let nextLook = firstLook;
    for (;;) {
      const closer = this.walk(1, stopAt);
      if (closer !== undefined) return closer;
      nextLook = this.look(prefix, nextLook);
      if (!this.chunks.more()) return undefined;
    }
  }

  /** Looks for a fault in what has no end for so long; the number of bytes at which to look again. */
  private look(prefix: string, nextLook: number): number {
    if (this.chunks.end - this.chunks.from <= nextLook) return nextLook;
    if (this.fault(prefix)?.isCut === false) this.fail(prefix);
    if (this.chunks.end - this.chunks.from > mostOfOneEntry) this.failTooLong();
    return 2 * nextLook;
  }

  /**
   * Walks on to the bracket that closes depth `depth`, or to `stopAt` (a colon or comma) at that depth, and stands behind it.
   * Undefined at the end of the bytes. Only brackets and strings are looked at: whether all of it is JSON, its parsing tells.
   */
  private walk(depth: number, stopAt?: number): number | undefined {
    const { bytes } = this.chunks;
    const end = Math.min(this.chunks.end, this.walkTo);
    let { at } = this.chunks;
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
          this.chunks.at = at + 1;
          return byte;
        case COMMA:
          if (this.depth !== depth) break;
          this.chunks.lastComma = at;
          if (stopAt !== COMMA) break;
          this.chunks.at = at + 1;
          return byte;
        case COLON:
          if (stopAt !== COLON || this.depth !== depth) break;
          this.chunks.at = at + 1;
          return byte;
      }
    }
    this.chunks.at = Math.min(at, end);
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
    const parsed = parseJsonText(prefix + this.chunks.textTo(stop, isCut) + suffix);
    if (parsed?.hasBareNumbers) this.hasBareNumbers = true;
    return parsed;
  }

  /** The first fault of the bytes from `from` on, which `prefix` stands for what was before. */
  private fault(prefix: string): JsonFault | undefined {
    return findJsonFault(prefix + this.chunks.textTo(this.chunks.end, true));
  }

  private fail(prefix: string): never {
    let fault = this.fault(prefix);
    // What stands at the fault is shown, so that it has to be there.
    const isShort = () =>
      fault === undefined ||
      fault.isCut ||
      fault.index - prefix.length + shownBytes > this.chunks.end - this.chunks.from;
    while (isShort() && this.chunks.more()) fault = this.fault(prefix);
    const text = this.chunks.textTo(this.chunks.end, true);
    const place = (index: number): TextPlace => {
      if (index >= prefix.length) return placeIn(text, index - prefix.length, this.chunks.place);
      return this.brackets[index === 0 ? 0 : this.brackets.length - 1]!;
    };
    const words = fault ? describeFault(fault, place) : unknownFault;
    const remedy = fault?.isCut ? (this.options.remedyWhenCut ?? '') : '';
    this.issues.error('json-syntax', '', words + remedy);
    throw new Stopped();
  }

  private failTooLong(): never {
    const { line, column } = this.chunks.place;
    this.issues.error(
      'json-syntax',
      '',
      `has an entry of more than ${mostOfOneEntry / 2 ** 20} MiB at line ${line}, column ${column}: check that it is the right file`,
    );
    throw new Stopped();
  }
}
