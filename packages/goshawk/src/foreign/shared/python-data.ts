// Python files that are plain data, as mmdetection 1.x writes its configs: assignments of numbers, texts, lists, tuples,
// dicts in both forms, names assigned before, and plain arithmetic. Everything else is an error with its line.
import { InputError } from '@goshawk/core';
import { type PythonToken, tokenizePython } from './python-tokens.js';

/** A value with the line that it begins on. Values that a name stands for several times are one object. */
export interface PythonValue {
  readonly line: number;
  content: PythonContent;
}

export type PythonContent =
  | { readonly kind: 'dict'; readonly entries: Map<string, PythonEntry> }
  | { readonly kind: 'list'; readonly items: PythonValue[]; readonly isTuple: boolean }
  | { readonly kind: 'plain'; readonly value: number | string | boolean | null };

export interface PythonEntry {
  /** Of the key. */
  readonly line: number;
  readonly value: PythonValue;
  /** Of an assignment: whether a later one is made of it. */
  isUsed?: boolean;
}

export interface PythonDataOptions {
  /**
   * Name of a class whose objects are made of a dict, `Config({...})`, and stand for it: with `name.copy({...})`, a dict with some
   * entries changed, `name.key` and `len(list)`. Absent: there is none, and these are no data.
   */
  readonly objects?: string;
  /** Names that are known without an assignment. */
  readonly known?: ReadonlyMap<string, PythonEntry>;
}

/**
 * The assignments of a file, the last of each name.
 * @param overrides values that take the place of what is assigned to these names
 * @throws InputError (config-invalid), one line with the place
 */
export function readPythonData(
  text: string,
  file: string,
  overrides: ReadonlyMap<string, PythonValue> = new Map(),
  options: PythonDataOptions = {},
): Map<string, PythonEntry> {
  const reader = new Reader(tokenizePython(text, file), file, options);
  return reader.readStatements(overrides);
}

/** One value, such as that of a `--set`; undefined where `text` is none. */
export function parsePythonValue(text: string): PythonValue | undefined {
  try {
    return new Reader(tokenizePython(text, ''), '').readAlone();
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

// Deeper nesting than any config has; it bounds the recursion on hostile texts.
const MAXIMUM_DEPTH = 64;

const STATEMENTS: Readonly<Record<string, string>> = {
  import: 'an import',
  from: 'an import',
  def: 'a function',
  class: 'a class',
  if: 'a condition',
  for: 'a loop',
  while: 'a loop',
  with: 'a with statement',
  try: 'a try statement',
  del: 'a del statement',
  assert: 'an assertion',
  raise: 'a raise statement',
  lambda: 'a function',
  not: 'a condition',
};

const CONSTANTS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null };

class Reader {
  readonly #tokens: readonly PythonToken[];
  readonly #file: string;
  readonly #names = new Map<string, PythonEntry>();
  readonly #options: PythonDataOptions;
  #position = 0;
  #depth = 0;

  constructor(tokens: readonly PythonToken[], file: string, options: PythonDataOptions = {}) {
    this.#tokens = tokens;
    this.#file = file;
    this.#options = options;
  }

  readStatements(overrides: ReadonlyMap<string, PythonValue>): Map<string, PythonEntry> {
    while (this.#position < this.#tokens.length) {
      const token = this.#next();
      if (token.kind === 'end') continue;
      if (token.kind === 'string' && this.#peek().kind === 'end') continue;
      if (token.kind !== 'name') throw this.#notData(token, 'no assignment');
      const statement = STATEMENTS[token.text];
      if (statement !== undefined) throw this.#notData(token, statement);
      if (!this.#take('=')) throw this.#notData(token, 'no plain assignment to a name');
      const first = this.#readExpression();
      const value = this.#isSign(',') ? this.#readBareTuple(first) : first;
      this.#expectEnd();
      this.#names.set(token.text, { line: token.line, value: overrides.get(token.text) ?? value });
    }
    return this.#names;
  }

  readAlone(): PythonValue {
    const first = this.#readExpression();
    const value = this.#isSign(',') ? this.#readBareTuple(first) : first;
    this.#expectEnd();
    return value;
  }

  #readBareTuple(first: PythonValue): PythonValue {
    const items = [first];
    while (this.#take(',') && this.#peek().kind !== 'end') items.push(this.#readExpression());
    return { line: first.line, content: { kind: 'list', items, isTuple: true } };
  }

  #readExpression(): PythonValue {
    let left = this.#readTerm();
    for (;;) {
      const { line } = this.#peek();
      const sign = this.#takeOneOf('+', '-');
      if (sign === undefined) break;
      left = this.#combine(left, sign, this.#readTerm(), line);
    }
    const after = this.#peek();
    if (after.kind === 'name' && (after.text === 'if' || after.text === 'for'))
      throw this.#notData(after, after.text === 'if' ? 'a condition' : 'a comprehension');
    return left;
  }

  #readTerm(): PythonValue {
    let left = this.#readFactor();
    for (;;) {
      const { line } = this.#peek();
      const sign = this.#takeOneOf('*', '/', '//', '%');
      if (sign === undefined) return left;
      left = this.#combine(left, sign, this.#readFactor(), line);
    }
  }

  #readFactor(): PythonValue {
    const sign = this.#takeOneOf('-', '+');
    if (sign === undefined) return this.#readAtom();
    const value = this.#readNested(() => this.#readFactor());
    const number = numberOf(value);
    if (number === undefined) throw this.#wrong(value.line, `'${sign}' stands before what is no number: correct it`);
    return plain(value.line, sign === '-' ? -number : number);
  }

  #readAtom(): PythonValue {
    const token = this.#next();
    switch (token.kind) {
      case 'number':
        return plain(token.line, token.value);
      case 'string':
        return plain(token.line, this.#readAdjacentStrings(token.value));
      case 'name':
        return this.#readName(token);
      case 'sign':
        if (token.text === '(') return this.#readNested(() => this.#readParentheses(token.line));
        if (token.text === '[') return this.#readNested(() => this.#readList(token.line));
        if (token.text === '{') return this.#readNested(() => this.#readBraces(token.line));
        throw this.#notData(token, `'${token.text}' in the place of a value`);
      case 'end':
        throw this.#wrong(token.line, 'a value is missing: add it');
    }
  }

  #readNested(read: () => PythonValue): PythonValue {
    this.#depth += 1;
    if (this.#depth > MAXIMUM_DEPTH) throw this.#wrong(this.#peek().line, 'is nested too deeply: is it a config?');
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #readAdjacentStrings(first: string): string {
    let text = first;
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'string') return text;
      this.#position += 1;
      text += token.value;
    }
  }

  #readName(token: PythonToken & { kind: 'name' }): PythonValue {
    const { text, line } = token;
    if (Object.hasOwn(CONSTANTS, text)) return plain(line, CONSTANTS[text]!);
    if (this.#isSign('(')) {
      if (text === 'dict') {
        this.#position += 1;
        return this.#readNested(() => this.#readDictCall(line));
      }
      if (this.#options.objects !== undefined && (text === this.#options.objects || text === 'len')) {
        const argument = this.#readArgument();
        return text === 'len' ? plain(line, this.#lengthOf(argument)) : argument;
      }
      throw this.#notData(token, `a call of ${text}()`);
    }
    const known = this.#names.get(text) ?? this.#options.known?.get(text);
    const after = this.#peek();
    if (this.#options.objects !== undefined && known !== undefined && this.#isSign('.')) {
      known.isUsed = true;
      return this.#readMembers(known.value);
    }
    if (after.kind === 'sign' && (after.text === '.' || after.text === '['))
      throw this.#notData(token, `a part of ${text}`);
    if (known !== undefined) {
      known.isUsed = true;
      return known.value;
    }
    if (after.kind === 'name' && after.text === 'for') throw this.#notData(after, 'a comprehension');
    if (STATEMENTS[text] !== undefined) throw this.#notData(token, STATEMENTS[text]);
    throw this.#wrong(line, `${text} is not assigned above: correct the name, or assign it first`);
  }

  /** What stands alone in the parentheses of a call. */
  #readArgument(): PythonValue {
    const { line } = this.#next();
    let items: readonly PythonValue[] = [];
    this.#readNested(() => {
      items = this.#readItems(')').items;
      return plain(line, null);
    });
    const [argument, second] = items;
    if (argument === undefined || second !== undefined)
      throw this.#wrong(line, 'a call takes one value here: write it so');
    return argument;
  }

  #lengthOf({ line, content }: PythonValue): number {
    if (content.kind === 'list') return content.items.length;
    if (content.kind === 'dict') return content.entries.size;
    throw this.#wrong(line, 'len() is taken of a list or a dict here: write the number');
  }

  /** `.key`, `.copy()` and `.copy({...})` of an object, one after another. */
  #readMembers(object: PythonValue): PythonValue {
    let value = object;
    while (this.#take('.')) {
      const token = this.#next();
      const { content } = value;
      if (token.kind !== 'name' || content.kind !== 'dict')
        throw this.#wrong(token.line, "'.' stands behind what has no parts: correct it");
      if (token.text === 'copy' && this.#isSign('(')) {
        value = this.#readCopy(content.entries, token.line);
        continue;
      }
      const entry = content.entries.get(token.text);
      if (entry === undefined) throw this.#wrong(token.line, `${token.text} is no key of it: correct the name`);
      value = entry.value;
    }
    return value;
  }

  #readCopy(entries: ReadonlyMap<string, PythonEntry>, line: number): PythonValue {
    const copied = new Map(entries);
    this.#next();
    if (!this.#take(')')) {
      this.#position -= 1;
      const { content } = this.#readArgument();
      if (content.kind !== 'dict') throw this.#wrong(line, 'copy() takes a dict of changes: write it so');
      for (const [key, entry] of content.entries) copied.set(key, entry);
    }
    return { line, content: { kind: 'dict', entries: copied } };
  }

  /** `(1)` is the value itself, `(1,)` a tuple. */
  #readParentheses(line: number): PythonValue {
    const { items, endsWithComma } = this.#readItems(')');
    const [only] = items;
    if (items.length === 1 && !endsWithComma && only !== undefined) return only;
    return { line, content: { kind: 'list', items, isTuple: true } };
  }

  #readList(line: number): PythonValue {
    return { line, content: { kind: 'list', items: this.#readItems(']').items, isTuple: false } };
  }

  #readItems(end: string): { items: PythonValue[]; endsWithComma: boolean } {
    const items: PythonValue[] = [];
    let endsWithComma = false;
    while (!this.#take(end)) {
      if (items.length > 0 && !endsWithComma) throw this.#missingComma(end);
      items.push(this.#readExpression());
      endsWithComma = this.#take(',');
    }
    return { items, endsWithComma };
  }

  #readBraces(line: number): PythonValue {
    const entries = new Map<string, PythonEntry>();
    let mayGoOn = true;
    while (!this.#take('}')) {
      if (!mayGoOn) throw this.#missingComma('}');
      if (this.#take('**')) this.#spread(entries);
      else {
        const key = this.#readExpression();
        if (key.content.kind !== 'plain') throw this.#wrong(key.line, 'a key is no text or number: write a text');
        if (!this.#take(':'))
          throw this.#wrong(key.line, "a set, or a key without ':', is not read here: write a dict or a list");
        entries.set(String(key.content.value), { line: key.line, value: this.#readExpression() });
      }
      mayGoOn = this.#take(',');
    }
    return { line, content: { kind: 'dict', entries } };
  }

  #readDictCall(line: number): PythonValue {
    const entries = new Map<string, PythonEntry>();
    let mayGoOn = true;
    while (!this.#take(')')) {
      if (!mayGoOn) throw this.#missingComma(')');
      if (this.#take('**')) this.#spread(entries);
      else {
        const token = this.#next();
        if (token.kind !== 'name' || !this.#take('='))
          throw this.#wrong(token.line, 'dict() takes name=value here: write it so');
        if (entries.has(token.text)) throw this.#wrong(token.line, `${token.text} is given twice: remove one`);
        entries.set(token.text, { line: token.line, value: this.#readExpression() });
      }
      mayGoOn = this.#take(',');
    }
    return { line, content: { kind: 'dict', entries } };
  }

  /** `**norm_cfg`: the entries of a dict among others. */
  #spread(into: Map<string, PythonEntry>): void {
    const value = this.#readExpression();
    if (value.content.kind !== 'dict') throw this.#wrong(value.line, "'**' stands before what is no dict: correct it");
    for (const [key, entry] of value.content.entries) into.set(key, entry);
  }

  #combine(left: PythonValue, sign: string, right: PythonValue, line: number): PythonValue {
    const [a, b] = [numberOf(left), numberOf(right)];
    if (a !== undefined && b !== undefined) {
      const result = arithmetic(a, sign, b);
      if (Number.isFinite(result)) return plain(line, result);
      throw this.#wrong(line, `${a} ${sign} ${b} is no number: correct it`);
    }
    if (sign === '+') {
      const [one, two] = [left.content, right.content];
      if (
        one.kind === 'plain' &&
        two.kind === 'plain' &&
        typeof one.value === 'string' &&
        typeof two.value === 'string'
      ) {
        if (one.value.length + two.value.length <= MAXIMUM_LENGTH) return plain(line, one.value + two.value);
        throw this.#wrong(line, 'the text becomes too long: is it a config?');
      }
      if (one.kind === 'list' && two.kind === 'list' && one.isTuple === two.isTuple) {
        const items = [...one.items, ...two.items];
        if (items.length <= MAXIMUM_LENGTH) return { line, content: { kind: 'list', items, isTuple: one.isTuple } };
        throw this.#wrong(line, 'the list becomes too long: is it a config?');
      }
    }
    throw this.#wrong(line, `'${sign}' stands between values that it does not go with: write the result`);
  }

  #missingComma(end: string): InputError {
    const token = this.#peek();
    if (token.kind === 'name' && (token.text === 'for' || token.text === 'if'))
      return this.#notData(token, token.text === 'for' ? 'a comprehension' : 'a condition');
    return this.#wrong(
      token.line,
      `expected ',' or '${end}'${isWord(token) ? ` before ${token.text}` : ''}: correct it`,
    );
  }

  #expectEnd(): void {
    const token = this.#next();
    if (token.kind === 'end') return;
    throw this.#notData(token, `something after the value${isWord(token) ? ` ('${token.text}')` : ''}`);
  }

  #peek(): PythonToken {
    return this.#tokens[this.#position] ?? { kind: 'end', line: this.#tokens.at(-1)?.line ?? 1 };
  }

  #next(): PythonToken {
    const token = this.#peek();
    this.#position += 1;
    return token;
  }

  #isSign(text: string): boolean {
    const token = this.#peek();
    return token.kind === 'sign' && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#isSign(text)) return false;
    this.#position += 1;
    return true;
  }

  #takeOneOf(...texts: readonly string[]): string | undefined {
    return texts.find((text) => this.#take(text));
  }

  #wrong(line: number, message: string): InputError {
    return new InputError('config-invalid', `${this.#file}:${line}: ${message}`);
  }

  /** What Python can do and a file of data does not. */
  #notData(token: PythonToken, what: string): InputError {
    return this.#wrong(
      token.line,
      `${what}: only plain data is read (numbers, texts, lists, dicts, names assigned above), nothing is run: write the value itself`,
    );
  }
}

// Longer than any config's; it bounds what a = b + b, repeated, can become.
const MAXIMUM_LENGTH = 100_000;

function isWord(token: PythonToken): token is PythonToken & { kind: 'name' | 'sign' } {
  return token.kind === 'name' || token.kind === 'sign';
}

function plain(line: number, value: number | string | boolean | null): PythonValue {
  return { line, content: { kind: 'plain', value } };
}

function numberOf({ content }: PythonValue): number | undefined {
  return content.kind === 'plain' && typeof content.value === 'number' ? content.value : undefined;
}

function arithmetic(a: number, sign: string, b: number): number {
  switch (sign) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '//':
      return Math.floor(a / b);
    default:
      // Python's sign follows the divisor.
      return a - b * Math.floor(a / b);
  }
}
