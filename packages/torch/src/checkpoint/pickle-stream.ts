// The bytes of a pickle, read forward in chunks, with the arguments that opcodes have.
import type { ByteSource } from './byte-source.js';
import type { CheckpointError } from './checkpoint-error.js';
import { latin1Text, PickledBytes, utf8Text } from './pickled-bytes.js';

/** Chunks grow, since a file may hold many small pickles. */
const firstChunkBytes = 4 * 1024;
const maxChunkBytes = 64 * 1024;
/** Strings from this length stay in the file; tensors' bytes are such strings in Python 2. */
const lazyBytes = 64 * 1024;
/** Longer integers make no sense in a checkpoint; parsing decimal ones takes quadratic time. */
const maxLongBytes = 4096;
const maxLongDigits = 4096;
/** Eager strings live on the JS heap, whose overflow would end the process. */
const maxTextBytes = 256 * 1024 * 1024;

/** Forward reader over a source, from `position`. */
export class PickleStream {
  readonly source: ByteSource;
  position: number;
  private chunk: Uint8Array = new Uint8Array(0);
  private chunkStart = 0;
  private nextChunkBytes = firstChunkBytes;
  private textBytes = 0;

  constructor(source: ByteSource, position: number) {
    this.source = source;
    this.position = position;
  }

  error(code: CheckpointError['code'], what: string, position = this.position): CheckpointError {
    return this.source.error(code, position, what);
  }

  byte(): number {
    const at = this.position - this.chunkStart;
    if (at >= 0 && at < this.chunk.length) {
      this.position++;
      return this.chunk[at]!;
    }
    return this.bytes(1)[0]!;
  }

  /** The next `length` bytes, valid until the next call. */
  bytes(length: number): Uint8Array {
    let at = this.position - this.chunkStart;
    if (at < 0 || at + length > this.chunk.length) {
      this.need(length);
      const size = Math.min(Math.max(length, this.nextChunkBytes), this.source.size - this.position);
      this.nextChunkBytes = Math.min(this.nextChunkBytes * 2, maxChunkBytes);
      this.chunk = this.source.read(this.position, size, 'the pickle');
      this.chunkStart = this.position;
      at = 0;
    }
    this.position += length;
    return this.chunk.subarray(at, at + length);
  }

  uint(width: 1 | 2 | 4): number {
    let value = 0;
    const bytes = this.bytes(width);
    for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[i]!;
    return value;
  }

  int32(): number {
    return this.uint(4) | 0;
  }

  /** An 8-byte length; one that cannot be in the file is an error before anything is allocated. */
  length8(): number {
    const low = this.uint(4);
    const length = this.uint(4) * 2 ** 32 + low;
    this.need(length);
    return length;
  }

  float64(): number {
    const bytes = this.bytes(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, false);
  }

  /** Bytes that stay in the file. */
  rawBytes(length: number): PickledBytes {
    return this.skipped('bytes', length);
  }

  /** A Python 2 byte string. */
  latin1(length: number): string | PickledBytes {
    if (length >= lazyBytes) return this.skipped('latin1', length);
    this.countText(length);
    return latin1Text(this.bytes(length));
  }

  utf8(length: number): string | PickledBytes {
    if (length >= lazyBytes) return this.skipped('utf-8', length);
    this.countText(length);
    const start = this.position;
    try {
      return utf8Text(this.bytes(length));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw this.error('pickle-invalid', 'a string is not UTF-8: the file is damaged', start);
    }
  }

  /** Text up to the next newline, latin1, without it. */
  line(): string {
    const parts: string[] = [];
    for (;;) {
      const start = this.position;
      if (start >= this.source.size) this.need(1);
      const available = this.bytes(Math.min(4096, this.source.size - start));
      const end = available.indexOf(0x0a);
      const part = end === -1 ? available : available.subarray(0, end);
      this.countText(part.length);
      parts.push(latin1Text(part));
      if (end !== -1) {
        this.position = start + end + 1;
        return parts.join('');
      }
    }
  }

  /** Protocol 0's `INT`: decimal, or 00 and 01 for booleans. */
  decimalInt(): number | bigint | boolean {
    const text = this.line();
    if (text === '00') return false;
    if (text === '01') return true;
    return this.parseInteger(text);
  }

  decimalLong(): number | bigint {
    return this.parseInteger(this.line().replace(/L$/, ''));
  }

  decimalFloat(): number {
    const text = this.line().trim();
    if (/^[+-]?nan$/i.test(text)) return Number.NaN;
    if (/^[+-]?inf(inity)?$/i.test(text))
      return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text))
      throw this.error('pickle-invalid', 'a number is not decimal: the file is damaged');
    return Number(text);
  }

  /** Little-endian two's complement of any length (`LONG1`, `LONG4`); 0 for none. */
  long(length: number): number | bigint {
    if (length < 0 || length > maxLongBytes) {
      throw this.error('too-large', `an integer of ${length} bytes (at most ${maxLongBytes}): the file is damaged`);
    }
    const bytes = this.bytes(length);
    if (length === 0) return 0;
    let hex = '';
    for (let i = length - 1; i >= 0; i--) hex += bytes[i]!.toString(16).padStart(2, '0');
    return asNumber(BigInt.asIntN(length * 8, BigInt(`0x${hex}`)));
  }

  /** Protocol 0's `STRING`: a Python 2 literal in quotes with escapes. */
  quotedString(): string {
    const text = this.line().trim();
    const quote = text[0];
    if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote) {
      throw this.error('pickle-invalid', 'a string is not in quotes: the file is damaged');
    }
    return text
      .slice(1, -1)
      .replaceAll(/\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))/g, (all, hex?: string, octal?: string, letter?: string) => {
        if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
        if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
        return simpleEscapes[letter!] ?? all;
      });
  }

  /** Protocol 0's `UNICODE`: raw-unicode-escape, where only \u and \U after an even number of backslashes count. */
  escapedUnicode(): string {
    const text = this.line();
    const pattern = /u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})/y;
    const parts: string[] = [];
    let done = 0;
    for (let slash = text.indexOf('\\'); slash !== -1; slash = text.indexOf('\\', done)) {
      let end = slash;
      while (text[end] === '\\') end++;
      pattern.lastIndex = end;
      const match = (end - slash) % 2 === 1 ? pattern.exec(text) : null;
      parts.push(text.slice(done, match ? end - 1 : end));
      done = match ? pattern.lastIndex : end;
      if (match?.[1] !== undefined) parts.push(String.fromCharCode(Number.parseInt(match[1], 16)));
      else if (match?.[2] !== undefined) parts.push(this.character(Number.parseInt(match[2], 16)));
    }
    return parts.join('') + text.slice(done);
  }

  private character(code: number): string {
    if (code > 0x10ffff) throw this.error('pickle-invalid', 'a character is beyond Unicode: the file is damaged');
    return String.fromCodePoint(code);
  }

  private skipped(kind: PickledBytes['kind'], length: number): PickledBytes {
    this.need(length);
    const bytes = new PickledBytes(kind, { source: this.source, offset: this.position, byteLength: length });
    this.position += length;
    return bytes;
  }

  private need(length: number): void {
    if (length < 0) throw this.error('pickle-invalid', `negative length ${length}: the file is damaged`);
    if (this.position + length > this.source.size) {
      const missing = this.position + length - this.source.size;
      throw this.error('truncated', `the pickle ends ${missing} bytes too early: the file is incomplete or damaged`);
    }
  }

  private countText(length: number): void {
    this.textBytes += Math.max(length, 0);
    if (this.textBytes > maxTextBytes)
      throw this.error('too-large', `more than ${maxTextBytes} bytes of text: not a weights file`);
  }

  private parseInteger(text: string): number | bigint {
    if (text.length > maxLongDigits)
      throw this.error('too-large', `an integer of ${text.length} digits: the file is damaged`);
    if (!/^\s*[+-]?\d+\s*$/.test(text))
      throw this.error('pickle-invalid', 'an integer is not decimal: the file is damaged');
    return asNumber(BigInt(text.trim().replace(/^\+/, '')));
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function asNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
