// Reads a dict of a Python config key by key. What nobody asked for is an error at the end, so that a config is
// either understood or refused.
import { InputError } from '@goshawk/core';
import { suggestKey } from '../../config/suggest-key.js';
import type { PythonEntry, PythonValue } from './python-data.js';

/** What is noted while a config is read. */
export interface ReadingNotes {
  /** Keys without an effect here, as paths. */
  readonly idle: Set<string>;
  /** Complete lines for the person. */
  readonly notices: Set<string>;
}

// No config counts further; it keeps a mistake from filling the memory.
const MOST = 1_000_000;

export class Section {
  readonly file: string;
  readonly notes: ReadingNotes;
  readonly #path: string;
  readonly #line: number | undefined;
  readonly #entries: ReadonlyMap<string, PythonEntry>;
  readonly #asked = new Set<string>();

  constructor(
    entries: ReadonlyMap<string, PythonEntry>,
    place: { readonly file: string; readonly path?: string; readonly line?: number; readonly notes: ReadingNotes },
  ) {
    this.#entries = entries;
    this.file = place.file;
    this.notes = place.notes;
    this.#path = place.path ?? '';
    this.#line = place.line;
  }

  has(key: string): boolean {
    this.#asked.add(key);
    return this.#entries.has(key);
  }

  /** Whether the key is there with another value than None. */
  isGiven(key: string): boolean {
    return this.has(key) && !isNone(this.#entries.get(key)!.value);
  }

  number(key: string, standard?: number): number {
    return this.#read(key, standard, 'a number', (value) => (typeof value === 'number' ? value : undefined));
  }

  /** A whole number from `least` to `most`. */
  count(key: string, standard?: number, least = 1, most = MOST): number {
    const expected = most === MOST ? `a whole number of at least ${least}` : `a whole number from ${least} to ${most}`;
    return this.#read(key, standard, expected, (value) =>
      Number.isInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined,
    );
  }

  text(key: string, standard?: string): string {
    return this.#read(key, standard, 'a text', (value) =>
      // A --set of 49 is meant as the text '49'.
      typeof value === 'string' || typeof value === 'number' ? String(value) : undefined,
    );
  }

  flag(key: string, standard?: boolean): boolean {
    return this.#read(key, standard, 'True or False', (value) => (typeof value === 'boolean' ? value : undefined));
  }

  choice<T extends string>(key: string, choices: readonly T[], standard?: T): T {
    const value = this.text(key, standard);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    const near = suggestKey(value, choices);
    const advice = near === undefined ? `expected ${choices.join(', ')}` : `did you mean ${near}?`;
    throw this.wrong(key, `'${value}' is not supported: ${advice}`);
  }

  /** Numbers in a list or tuple. */
  numbers(key: string, standard?: readonly number[]): readonly number[] {
    if (!this.has(key) && standard !== undefined) return standard;
    const { content } = this.#need(key, 'a list of numbers').value;
    const numbers = content.kind === 'list' ? content.items.map(numberIn) : [undefined];
    if (numbers.every((number) => number !== undefined)) return numbers;
    throw this.wrong(key, `got ${show(this.#entries.get(key)!.value)}, expected a list of numbers`);
  }

  /** Two numbers, or a list of such. */
  pairs(key: string): [number, number][] {
    const { value } = this.#need(key, 'two numbers');
    const lists = value.content.kind === 'list' ? value.content.items : [];
    const isOne = lists.every((item) => item.content.kind === 'plain');
    const pairs = (isOne ? [value] : lists).map(({ content }) =>
      content.kind === 'list' ? content.items.map(numberIn) : [],
    );
    return pairs.map((pair) => {
      const [a, b] = pair;
      if (pair.length === 2 && a !== undefined && b !== undefined) return [a, b];
      throw this.wrong(key, `got ${show(value)}, expected two numbers, such as (1333, 800)`);
    });
  }

  /** Dicts in a list or tuple. */
  sections(key: string): Section[] {
    const { content } = this.#need(key, 'a list of dicts').value;
    if (content.kind !== 'list') throw this.wrong(key, 'expected a list of dicts');
    return content.items.map((item, index) => {
      if (item.content.kind !== 'dict') throw this.wrong(key, `got ${show(item)} among its entries, expected dicts`);
      return this.#below(item, `${key}.${index}`);
    });
  }

  section(key: string): Section {
    const found = this.optionalSection(key);
    if (found !== undefined) return found;
    this.#need(key, 'a dict');
    throw this.wrong(key, 'got None, expected a dict');
  }

  /** undefined where the key is absent or None. */
  optionalSection(key: string): Section | undefined {
    if (!this.isGiven(key)) return undefined;
    const { value } = this.#entries.get(key)!;
    if (value.content.kind === 'dict') return this.#below(value, key);
    throw this.wrong(key, `got ${show(value)}, expected a dict`);
  }

  /** A key of which one value alone is supported, which is also what its absence means. */
  fixed(key: string, supported: number | string | boolean | null | readonly (number | string)[]): void {
    if (!this.has(key)) return;
    const { value } = this.#entries.get(key)!;
    if (isSame(value, supported)) return;
    throw this.wrong(key, `got ${show(value)}, and only ${showSupported(supported)} is supported: set it so`);
  }

  /** Keys that mean nothing here. They are named once to the person where they are given and not None. */
  idle(...keys: readonly string[]): void {
    for (const key of keys) if (this.isGiven(key)) this.notes.idle.add(this.#join(key));
  }

  /** Keys that mean nothing anywhere: of debugging, or said elsewhere in the file too. */
  passOver(...keys: readonly string[]): void {
    for (const key of keys) this.#asked.add(key);
  }

  /** All keys, for tables of names. */
  keys(): string[] {
    return [...this.#entries.keys()];
  }

  /** @throws InputError about the first key that nobody asked for */
  finish(): void {
    for (const [key, { line }] of this.#entries) {
      if (this.#asked.has(key)) continue;
      const known = [...this.#asked];
      const near = suggestKey(key, known);
      const advice =
        near === undefined ? `the keys here are ${known.slice(0, 16).join(', ')}` : `did you mean ${near}?`;
      throw new InputError('config-invalid', `${this.#place(line)}: ${this.#join(key)}: unknown key: ${advice}`);
    }
  }

  /** An error about a key, with its line. */
  wrong(key: string, message: string): InputError {
    const line = this.#entries.get(key)?.line ?? this.#line;
    return new InputError('config-invalid', `${this.#place(line)}: ${this.#join(key)}: ${message}`);
  }

  /** Line 0 is a --set. */
  #place(line: number | undefined): string {
    if (line === 0) return '--set';
    return line === undefined ? this.file : `${this.file}:${line}`;
  }

  notice(line: string): void {
    this.notes.notices.add(`${this.file}: ${line}`);
  }

  #below(value: PythonValue, key: string): Section {
    const entries = value.content.kind === 'dict' ? value.content.entries : new Map<string, PythonEntry>();
    return new Section(entries, { file: this.file, notes: this.notes, path: this.#join(key), line: value.line });
  }

  #join(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  #need(key: string, expected: string): PythonEntry {
    this.#asked.add(key);
    const entry = this.#entries.get(key);
    if (entry === undefined) throw this.wrong(key, `missing: add it (expected ${expected})`);
    return entry;
  }

  #read<T>(
    key: string,
    standard: T | undefined,
    expected: string,
    take: (value: number | string | boolean | null) => T | undefined,
  ): T {
    if (!this.has(key) && standard !== undefined) return standard;
    const { value } = this.#need(key, expected);
    const taken = value.content.kind === 'plain' ? take(value.content.value) : undefined;
    if (taken !== undefined) return taken;
    throw this.wrong(key, `got ${show(value)}, expected ${expected}`);
  }
}

function isNone({ content }: PythonValue): boolean {
  return content.kind === 'plain' && content.value === null;
}

function numberIn({ content }: PythonValue): number | undefined {
  return content.kind === 'plain' && typeof content.value === 'number' ? content.value : undefined;
}

function isSame(
  { content }: PythonValue,
  wanted: number | string | boolean | null | readonly (number | string)[],
): boolean {
  if (content.kind === 'plain') return content.value === wanted;
  if (content.kind !== 'list' || !Array.isArray(wanted) || content.items.length !== wanted.length) return false;
  return content.items.every((item, index) => isSame(item, wanted[index] as number | string));
}

/** What stands there, in Python's words and in short. */
export function show({ content }: PythonValue): string {
  switch (content.kind) {
    case 'dict':
      return 'a dict';
    case 'list':
      return content.items.length <= 6 && content.items.every((item) => item.content.kind === 'plain')
        ? `(${content.items.map(show).join(', ')})`
        : `a list of ${content.items.length}`;
    case 'plain':
      return showSupported(content.value);
  }
}

function showSupported(value: number | string | boolean | null | readonly (number | string)[]): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return Array.isArray(value) ? `(${value.map(showSupported).join(', ')})` : String(value);
}
