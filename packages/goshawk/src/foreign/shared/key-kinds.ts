// What a key of a YAML config holds: its type, its default, and whether it matters here.
import type { PythonLiteral } from './python-literal.js';

export type KeyKind = 'flag' | 'int' | 'float' | 'text' | 'ints' | 'floats' | 'texts' | 'any';

/**
 * What a key does here, and what a person has to know of it:
 * - used: the translation reads it; the note says within which limits, where there are some
 * - settled: it changes nothing, since other keys, the data or this project settle the matter; no notice
 * - none: it has nothing to act on here; a config that sets it gets a notice
 * - fixed: only the default is supported; another value is an error that gives the reason
 */
export type KeyEffect =
  | { readonly effect: 'used'; readonly note?: string }
  | { readonly effect: 'settled' | 'none' | 'fixed'; readonly reason: string };

export interface KeyType<T = unknown> {
  readonly kind: KeyKind;
  readonly standard: T;
  /** The texts that are known, of kind text. */
  readonly choices?: readonly string[];
}

export type Key<T = unknown> = KeyType<T> & KeyEffect;

/** Groups of keys by their name, as deep as the system nests them. */
export interface KeyTree {
  readonly [name: string]: Key | KeyTree;
}

/** The values that a tree of keys describes. */
export type ValuesOf<Tree> = {
  readonly [Name in keyof Tree]: Tree[Name] extends Key<infer T> ? T : ValuesOf<Tree[Name]>;
};

type UsedKey<T> = KeyType<T> & { readonly effect: 'used' };

export const flag = (standard: boolean): UsedKey<boolean> => ({ kind: 'flag', standard, effect: 'used' });
export const int = (standard: number): UsedKey<number> => ({ kind: 'int', standard, effect: 'used' });
export const float = (standard: number): UsedKey<number> => ({ kind: 'float', standard, effect: 'used' });
export const text = (standard: string): UsedKey<string> => ({ kind: 'text', standard, effect: 'used' });
/** A text out of a few; the first is the default. */
export const choice = (standard: string, ...others: string[]): UsedKey<string> => ({
  ...text(standard),
  choices: [standard, ...others],
});
export const ints = (...standard: number[]): UsedKey<readonly number[]> => ({ kind: 'ints', standard, effect: 'used' });
export const floats = (...standard: number[]): UsedKey<readonly number[]> => ({
  kind: 'floats',
  standard,
  effect: 'used',
});
export const texts = (): UsedKey<readonly string[]> => ({ kind: 'texts', standard: [], effect: 'used' });
export const any = (standard: PythonLiteral): UsedKey<PythonLiteral> => ({ kind: 'any', standard, effect: 'used' });

/** A key that works, within limits or in a way that its name does not say. */
export const noted = <T>(key: UsedKey<T>, note: string): Key<T> => ({ ...key, note });
export const settled = <T>(key: UsedKey<T>, reason: string): Key<T> => ({ ...key, effect: 'settled', reason });
export const unused = <T>(key: UsedKey<T>, reason: string): Key<T> => ({ ...key, effect: 'none', reason });
export const fixed = <T>(key: UsedKey<T>, reason: string): Key<T> => ({ ...key, effect: 'fixed', reason });

export function isKey(node: Key | KeyTree): node is Key {
  return typeof node.kind === 'string' && 'standard' in node;
}

/** All keys with their paths, such as `TRAIN.SCALES`. */
export function keysOf(tree: KeyTree, prefix = ''): (readonly [path: string, key: Key])[] {
  return Object.entries(tree).flatMap(([name, node]) =>
    isKey(node) ? [[`${prefix}${name}`, node] as const] : keysOf(node, `${prefix}${name}.`),
  );
}

/** What stands at a path of values. */
export function valueAt(values: unknown, path: string): unknown {
  let here = values;
  for (const part of path.split('.')) here = (here as Readonly<Record<string, unknown>>)[part];
  return here;
}

/** What a person reads about a kind, with an example. */
export const kindInWords: Readonly<Record<KeyKind, string>> = {
  flag: 'True or False',
  int: 'a whole number',
  float: 'a number',
  text: 'text',
  ints: 'a list of whole numbers such as (400, 800)',
  floats: 'a list of numbers such as (0.5, 1.0)',
  texts: "a list of texts such as ('a', 'b')",
  any: 'a value',
};

/** `value` as the key's kind, or undefined where it is of another. A lone text stands for a list of one. */
export function coerce(kind: KeyKind, value: PythonLiteral): unknown {
  switch (kind) {
    case 'flag':
      return typeof value === 'boolean' ? value : undefined;
    case 'int':
      return isInteger(value) ? value : undefined;
    case 'float':
      return isNumber(value) ? value : undefined;
    case 'text':
      // An empty value in YAML is null.
      return value === null ? '' : typeof value === 'string' ? value : undefined;
    case 'ints':
      return Array.isArray(value) && value.every(isInteger) ? value : undefined;
    case 'floats':
      return Array.isArray(value) && value.every(isNumber) ? value : undefined;
    case 'texts':
      if (typeof value === 'string') return [value];
      return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
    case 'any':
      return value;
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isInteger(value: unknown): value is number {
  return isNumber(value) && Number.isInteger(value);
}
