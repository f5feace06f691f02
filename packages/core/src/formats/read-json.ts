// JSON text from a person's file: byte order marks, bare NaN and Infinity, and errors that say what the file really is.
import type { DataIssueList } from './data-issue.js';

/**
 * The parsed value, or undefined with an error in `issues`. Python writes NaN and Infinity without quotes: they are read
 * (as `nanToken` and infinite numbers) so that the check of the field they stand in can name it.
 */
export function readJson(input: string | Uint8Array, issues: DataIssueList): unknown {
  const text = typeof input === 'string' ? input.replace(/^\uFEFF/, '') : decodeText(input, 'json-syntax', issues);
  if (text === undefined) return undefined;
  const start = text.search(/\S/);
  if (start < 0) {
    issues.error('json-syntax', '', 'is empty (expected JSON): get a complete copy of the file');
    return undefined;
  }
  if (text[start] === '<') {
    issues.error(
      'json-syntax',
      '',
      'is a web page or XML, not JSON: download the file itself, not the page that shows it',
    );
    return undefined;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    return readWithBareNumbers(text, issues, error instanceof Error ? error.message : String(error));
  }
}

function readWithBareNumbers(text: string, issues: DataIssueList, parserMessage: string): unknown {
  // Strings match first, so that a word inside of one stays as it is; 1e999 is read as Infinity.
  const replaced = text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b|\bInfinity\b/g, (token) =>
    token === 'NaN' ? '"\\u0000NaN"' : token === 'Infinity' ? '1e999' : token,
  );
  if (replaced !== text) {
    try {
      const value = JSON.parse(replaced) as unknown;
      issues.warning(
        'json-not-finite',
        '',
        'contains NaN or Infinity, which JSON does not have: write null or drop the field',
      );
      return value;
    } catch {
      // Neither is the rest JSON: the first message below names the place.
    }
  }
  issues.error('json-syntax', '', `is not JSON: ${locate(text, parserMessage)}`);
  return undefined;
}

function locate(text: string, parserMessage: string): string {
  const position = /position (\d+)/.exec(parserMessage)?.[1];
  const index = position === undefined ? text.length : Number(position);
  if (/end of JSON|unterminated|end of data/i.test(parserMessage) || index >= text.trimEnd().length) {
    return `it ends in the middle, after ${text.length} characters: get a complete copy of the file`;
  }
  const before = text.slice(0, index);
  const line = before.split('\n').length;
  const column = index - before.lastIndexOf('\n');
  const found = text.slice(index, index + 12).split('\n')[0] ?? '';
  return `unexpected ${JSON.stringify(found)} at line ${line}, column ${column}: mend it there, or write the file again`;
}

/** The text of UTF-8 bytes, or of UTF-16 with a byte order mark; undefined with an error of that code. */
export function decodeText(
  bytes: Uint8Array,
  code: 'json-syntax' | 'xml-syntax',
  issues: DataIssueList,
): string | undefined {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const encoding = isUtf16 ? (bytes[0] === 0xff ? 'utf-16le' : 'utf-16be') : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    // V8 holds at most 2^29 - 24 characters in a string and says so in words of its own.
    const tooLong =
      bytes.length > 2 ** 29 - 24 || (error instanceof Error && /string longer|too long/i.test(error.message));
    const reason = tooLong
      ? `is too large to read (${Math.round(bytes.length / 2 ** 20)} MiB, at most 511): split it`
      : 'is not text (expected UTF-8): convert it, or check that it is the right file';
    issues.error(code, '', reason);
    return undefined;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON object, or undefined for everything else. */
export function asObject(value: unknown): JsonObject | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : undefined;
}
