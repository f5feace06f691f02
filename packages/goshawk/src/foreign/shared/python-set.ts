// `--set` on Python configs: in the file's dotted names, told from ours by what the file has.
import { InputError } from '@goshawk/core';
import { type PythonEntry, type PythonValue, parsePythonValue } from './python-data.js';

export interface PythonSet {
  /** As it was typed. */
  readonly text: string;
  readonly path: readonly string[];
  readonly value: PythonValue;
}

const OWN_GROUPS: ReadonlySet<string> = new Set(['model', 'preprocess', 'data', 'train', 'inference', 'runtime']);

/**
 * Whether `KEY=VALUE` is in this project's names: its first word is one of ours, the file has no such key, and no part has
 * an underscore, which Python's names have and ours do not.
 */
export function isOwnSet(text: string, entries: ReadonlyMap<string, PythonEntry>): boolean {
  const path = pathOf(text);
  if (!OWN_GROUPS.has(path[0] ?? '')) return false;
  return !path.some((part) => part.includes('_')) && findValue(entries, path) === undefined;
}

/** @throws InputError (usage) where it has no value */
export function parsePythonSet(text: string): PythonSet {
  const equals = text.indexOf('=');
  if (equals <= 0)
    throw new InputError('usage', `--set ${text}: expected KEY=VALUE: write for example --set optimizer.lr=0.02`);
  const word = text.slice(equals + 1);
  const value = parsePythonValue(word) ?? { line: 0, content: { kind: 'plain', value: yamlWord(word) } };
  return { text, path: pathOf(text), value };
}

/** Puts a value into the file's; one that several places share changes in all of them. */
export function applyPythonSet(entries: Map<string, PythonEntry>, { text, path, value }: PythonSet): void {
  const [name, ...rest] = path;
  const entry = entries.get(name ?? '');
  if (rest.length === 0) {
    // A name that the file assigns has got its value while it was read.
    if (entry === undefined) entries.set(name ?? '', { line: 0, value });
    return;
  }
  if (entry === undefined) throw new InputError('usage', `--set ${text}: the config has no ${name}: correct the name`);
  put(entry.value, rest, { text, path, value });
}

function put(target: PythonValue, [key = '', ...rest]: readonly string[], set: PythonSet): void {
  const { content } = target;
  const there = child(target, key);
  if (rest.length > 0) {
    if (there === undefined)
      throw new InputError(
        'usage',
        `--set ${set.text}: the config has no ${key} there: set the whole of what is above it`,
      );
    put(there, rest, set);
  } else if (there !== undefined) {
    there.content = set.value.content;
  } else if (content.kind === 'dict') {
    content.entries.set(key, { line: 0, value: set.value });
  } else {
    throw new InputError(
      'usage',
      `--set ${set.text}: ${set.path.slice(0, -1).join('.')} has no ${key}: correct the key`,
    );
  }
}

function child({ content }: PythonValue, key: string): PythonValue | undefined {
  if (content.kind === 'dict') return content.entries.get(key)?.value;
  return content.kind === 'list' && /^\d+$/.test(key) ? content.items[Number(key)] : undefined;
}

/** The value at a path such as `optimizer.lr`, in parts. */
export function findValue(
  entries: ReadonlyMap<string, PythonEntry>,
  [name = '', ...rest]: readonly string[],
): PythonValue | undefined {
  return rest.reduce<PythonValue | undefined>((value, key) => value && child(value, key), entries.get(name)?.value);
}

function pathOf(text: string): string[] {
  return text
    .split('=', 1)[0]!
    .trim()
    .replace(/\[(\d+)\]/g, '.$1')
    .split('.');
}

/** true, false and null are written so in the other configs. */
function yamlWord(word: string): string | boolean | null {
  const words: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
  return Object.hasOwn(words, word) ? words[word]! : word;
}
