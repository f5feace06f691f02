// Values as Python's ast.literal_eval reads them: Detectron's and maskrcnn-benchmark's configs write (800,), 1e-2 and
// 'True' inside YAML texts and on the command line. Nothing is run.

export type PythonLiteral = number | boolean | string | null | readonly PythonLiteral[] | PythonDict;
export interface PythonDict {
  readonly [key: string]: PythonLiteral;
}

// Deeper nesting than any config has; it bounds the recursion on hostile texts.
const maximumDepth = 32;

/** The value of a literal (number, text, True, None, tuple, list, dict), or undefined where `text` is none. */
export function parsePythonLiteral(text: string): PythonLiteral | undefined {
  const reader: Reader = { text, position: 0 };
  try {
    const value = readValue(reader, 0);
    // A bare `400, 800` is a tuple, as in Python.
    const whole = peek(reader) === ',' ? readRest(reader, value) : value;
    return peek(reader) === undefined ? whole : undefined;
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

class NotALiteral extends Error {}

interface Reader {
  readonly text: string;
  position: number;
}

function readRest(reader: Reader, first: PythonLiteral): PythonLiteral {
  const items = [first];
  while (take(reader, ',') && peek(reader) !== undefined) items.push(readValue(reader, 0));
  return items;
}

function readValue(reader: Reader, depth: number): PythonLiteral {
  if (depth > maximumDepth) throw new NotALiteral();
  switch (peek(reader)) {
    case '(':
      return readTuple(reader, depth);
    case '[':
      reader.position += 1;
      return readItems(reader, ']', depth).items;
    case '{':
      return readDict(reader, depth);
    case '"':
    case "'":
      return readText(reader);
    default:
      return readWord(reader);
  }
}

/** `(1, 2)` and `(1,)` are tuples, `(1)` is the value itself. */
function readTuple(reader: Reader, depth: number): PythonLiteral {
  reader.position += 1;
  const { items, endsWithComma } = readItems(reader, ')', depth);
  return items.length === 1 && !endsWithComma ? items[0]! : items;
}

function readItems(
  reader: Reader,
  end: string,
  depth: number,
): { readonly items: PythonLiteral[]; readonly endsWithComma: boolean } {
  const items: PythonLiteral[] = [];
  let endsWithComma = false;
  while (!take(reader, end)) {
    if (items.length > 0 && !endsWithComma) throw new NotALiteral();
    items.push(readValue(reader, depth + 1));
    endsWithComma = take(reader, ',');
  }
  return { items, endsWithComma };
}

function readDict(reader: Reader, depth: number): PythonDict {
  reader.position += 1;
  const entries: [string, PythonLiteral][] = [];
  let mayGoOn = true;
  while (!take(reader, '}')) {
    if (!mayGoOn) throw new NotALiteral();
    const key = readValue(reader, depth + 1);
    if (!take(reader, ':')) throw new NotALiteral();
    entries.push([String(key), readValue(reader, depth + 1)]);
    mayGoOn = take(reader, ',');
  }
  return Object.fromEntries(entries);
}

function readText(reader: Reader): string {
  const match = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/y;
  match.lastIndex = reader.position;
  const found = match.exec(reader.text);
  if (found === null) throw new NotALiteral();
  reader.position = match.lastIndex;
  return (found[1] ?? found[2] ?? '').replace(/\\(['"\\])/g, '$1');
}

const names: ReadonlyMap<string, PythonLiteral> = new Map<string, PythonLiteral>([
  ['True', true],
  ['False', false],
  ['None', null],
]);
const integer = /^[+-]?\d+(_\d+)*$/;
const float = /^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[+-]?\d+)?$/i;

function readWord(reader: Reader): PythonLiteral {
  const word = /[^\s,()[\]{}:'"]+/y;
  word.lastIndex = reader.position;
  const text = word.exec(reader.text)?.[0];
  if (text === undefined) throw new NotALiteral();
  reader.position = word.lastIndex;
  const named = names.get(text);
  if (named !== undefined) return named;
  if (!integer.test(text) && !float.test(text)) throw new NotALiteral();
  return Number(text.replaceAll('_', ''));
}

/** The next sign that is no blank; undefined at the end. */
function peek(reader: Reader): string | undefined {
  while (/\s/.test(reader.text[reader.position] ?? '')) reader.position += 1;
  return reader.text[reader.position];
}

function take(reader: Reader, sign: string): boolean {
  if (peek(reader) !== sign) return false;
  reader.position += 1;
  return true;
}
