// JSON text from a person's file: byte order marks, bare NaN and Infinity, and errors that say what the file really is.
import { type DataIssueList, describeValue } from './data-issue.js';
import { findJsonFault, type JsonFault } from './json-fault.js';

/**
 * The parsed value, or undefined with an error in `issues`. Python writes NaN and Infinity without quotes: they are read
 * (as `nanToken` and infinite numbers) so that the check of the field they stand in can name it.
 */
export function readJson(input: string | Uint8Array, issues: DataIssueList): unknown {
  const text = typeof input === 'string' ? input.replace(/^\uFEFF/, '') : decodeText(input, 'json-syntax', issues);
  if (text === undefined) return undefined;
  if (!hasContent(text, issues)) return undefined;
  const parsed = parseJsonText(text);
  if (parsed !== undefined) {
    if (parsed.hasBareNumbers) warnOfBareNumbers(issues);
    return parsed.value;
  }
  const fault = findJsonFault(text);
  issues.error('json-syntax', '', fault ? describeFault(fault, (index) => placeIn(text, index)) : unknownFault);
  return undefined;
}

/** Whether the text is neither empty nor a web page; an error in `issues` where it is. */
export function hasContent(text: string, issues: DataIssueList): boolean {
  const start = text.search(/\S/);
  if (start < 0) issues.error('json-syntax', '', 'is empty (expected JSON): get a complete copy of the file');
  else if (text[start] === '<')
    issues.error(
      'json-syntax',
      '',
      'is a web page or XML, not JSON: download the file itself, not the page that shows it',
    );
  else return true;
  return false;
}

/** A text's value, and whether it has numbers that JSON does not have; undefined where it is no JSON. */
export function parseJsonText(text: string): { readonly value: unknown; readonly hasBareNumbers: boolean } | undefined {
  try {
    return { value: JSON.parse(text) as unknown, hasBareNumbers: false };
  } catch {
    if (!text.includes('NaN') && !text.includes('Infinity')) return undefined;
    // Strings match first, so that a word inside of one stays as it is; 1e999 is read as Infinity.
    const replaced = text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b|\bInfinity\b/g, (token) =>
      token === 'NaN' ? '"\\u0000NaN"' : token === 'Infinity' ? '1e999' : token,
    );
    try {
      return { value: JSON.parse(replaced) as unknown, hasBareNumbers: true };
    } catch {
      return undefined;
    }
  }
}

export function warnOfBareNumbers(issues: DataIssueList): void {
  issues.warning(
    'json-not-finite',
    '',
    'contains NaN or Infinity, which JSON does not have: write null or drop the field',
  );
}

/** A place in a text, both from 1; a line ends at a line feed. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** @param start where the text itself starts */
export function placeIn(text: string, index: number, start: TextPlace = { line: 1, column: 1 }): TextPlace {
  let line = start.line;
  let lineStart = -1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) {
    line++;
    lineStart = at;
  }
  return { line, column: lineStart < 0 ? start.column + index : index - lineStart };
}

/** The rest of a sentence about a file that is no JSON. */
export function describeFault(fault: JsonFault, place: (index: number) => TextPlace): string {
  const words = ({ line, column }: TextPlace) => `line ${line}, column ${column}`;
  const related = fault.related ? ` ${fault.related.words} ${words(place(fault.related.index))}` : '';
  const cut = fault.isCut ? 'it ends in the middle, at ' : '';
  return `is not JSON: ${cut}${words(place(fault.index))}: got ${fault.got}, expected ${fault.expected}${related}: ${fault.remedy}`;
}

export const notText = 'is not text (expected UTF-8): convert it, or check that it is the right file';

/** Where the engine refuses what the walk over the text accepts. */
export const unknownFault = 'is not JSON: it cannot be read: write the file again';

/**
 * The text of UTF-8 bytes, or of UTF-16 with a byte order mark; undefined with an error of that code.
 * @param declared what the file says of its bytes, such as ISO-8859-1; byte order marks count more
 */
export function decodeText(
  bytes: Uint8Array,
  code: 'json-syntax' | 'xml-syntax',
  issues: DataIssueList,
  declared = 'utf-8',
): string | undefined {
  const marked = markedEncoding(bytes);
  // A text that says UTF-16 in bytes of one each is of a program that converted it and left the word.
  const encoding = marked ?? (/^utf-?16/i.test(declared) ? 'utf-8' : declared);
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(encoding, { fatal: true });
  } catch {
    issues.error(
      code,
      '',
      `is in the encoding ${describeValue(declared)}, which is not known (expected UTF-8): convert it`,
    );
    return undefined;
  }
  try {
    return decoder.decode(bytes);
  } catch (error) {
    // V8 holds at most 2^29 - 24 characters in a string and says so in words of its own.
    const tooLong =
      bytes.length > 2 ** 29 - 24 || (error instanceof Error && /string longer|too long/i.test(error.message));
    const reason = tooLong
      ? `is too large to read (${Math.round(bytes.length / 2 ** 20)} MiB, at most 511): split it`
      : declared === 'utf-8'
        ? notText
        : `is not text in the encoding ${declared} that it declares: convert it to UTF-8`;
    issues.error(code, '', reason);
    return undefined;
  }
}

/** The encoding that a byte order mark tells, if there is one of UTF-16. */
export function markedEncoding(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON object, or undefined for everything else. */
export function asObject(value: unknown): JsonObject | undefined {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : undefined;
}
