// What a key of a YAML config holds: its type, its default, and whether it matters here.
import type { PythonLiteral } from './python-literal.js';

export type KeyKind = 'flag' | 'int' | 'float' | 'text' | 'ints' | 'floats' | 'texts' | 'any';

/**
 * - used: the translation reads it
 * - none: it has nothing to act on here; a config that sets it gets a notice
 * - fixed: only the default is supported; another value is an error
 */
export type KeyEffect = 'used' | 'none' | 'fixed';

export interface Key<T = unknown> {
  readonly kind: KeyKind;
  readonly standard: T;
  readonly effect: KeyEffect;
  /** The texts that are known, of kind text. */
  readonly choices?: readonly string[];
}

/** Groups of keys by their name, as deep as the system nests them. */
export interface KeyTree {
  readonly [name: string]: Key | KeyTree;
}

/** The values that a tree of keys describes. */
export type ValuesOf<Tree> = {
  readonly [Name in keyof Tree]: Tree[Name] extends Key<infer T> ? T : ValuesOf<Tree[Name]>;
};

export const flag = (standard: boolean): Key<boolean> => ({ kind: 'flag', standard, effect: 'used' });
export const int = (standard: number): Key<number> => ({ kind: 'int', standard, effect: 'used' });
export const float = (standard: number): Key<number> => ({ kind: 'float', standard, effect: 'used' });
export const text = (standard: string): Key<string> => ({ kind: 'text', standard, effect: 'used' });
/** A text out of a few; the first is the default. */
export const choice = (standard: string, ...others: string[]): Key<string> => ({
  ...text(standard),
  choices: [standard, ...others],
});
export const ints = (...standard: number[]): Key<readonly number[]> => ({ kind: 'ints', standard, effect: 'used' });
export const floats = (...standard: number[]): Key<readonly number[]> => ({ kind: 'floats', standard, effect: 'used' });
export const texts = (): Key<readonly string[]> => ({ kind: 'texts', standard: [], effect: 'used' });
export const any = (standard: PythonLiteral): Key<PythonLiteral> => ({ kind: 'any', standard, effect: 'used' });

export const unused = <T>(key: Key<T>): Key<T> => ({ ...key, effect: 'none' });
export const fixed = <T>(key: Key<T>): Key<T> => ({ ...key, effect: 'fixed' });

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
