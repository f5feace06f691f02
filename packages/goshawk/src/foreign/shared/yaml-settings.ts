// A YAML config of known keys and its `--set` options as typed values with the keys' defaults, checked as strictly as
// Detectron does (lib/core/config.py, _merge_a_into_b): no unknown key, no value of another type.
import { InputError } from '@goshawk/core';
import { type Document, isMap, isNode, isScalar, type LineCounter, type Node, type YAMLMap } from 'yaml';
import { suggestKey } from '../../config/suggest-key.js';
import { readYaml } from '../../config/yaml-document.js';
import { coerce, isKey, type Key, type KeyTree, keysOf, kindInWords, type ValuesOf, valueAt } from './key-kinds.js';
import { type PythonLiteral, parsePythonLiteral } from './python-literal.js';

/** The keys of a system's configs. */
export interface KnownKeys<Tree extends KeyTree> {
  /** For messages. */
  readonly system: string;
  readonly tree: Tree;
}

/** One `--set SECTION.KEY VALUE` in the system's names. */
export interface SettingsOption {
  readonly path: readonly string[];
  /** As it was typed: read as a Python literal, or as text where it is none. */
  readonly text: string;
}

export interface YamlSettings<Values> {
  readonly file: string;
  readonly values: Values;
  /** The keys that the file or a `--set` gives, such as `TRAIN.SCALES`, with where: `config.yaml:12` or `--set`. */
  readonly given: ReadonlyMap<string, string>;
  /** The keys that a `--set` gives. */
  readonly set: ReadonlySet<string>;
}

/** @throws InputError (config-invalid, usage) naming the line, the key and the nearest known one */
export function readYamlSettings<Tree extends KeyTree>(
  text: string,
  keys: KnownKeys<Tree>,
  options: { readonly file: string; readonly sets: readonly SettingsOption[] },
): YamlSettings<ValuesOf<Tree>> {
  const { file } = options;
  const { document, lines } = parse(text, keys.tree, file);
  const given = new Map<string, Given>();
  const root = document.contents;
  if (isMap(root)) readGroup(root, keys.tree, '', { file, lines, document, given, keys });
  for (const set of options.sets) readSet(set, keys, given);
  return {
    file,
    values: valuesOf(keys.tree, '', given) as ValuesOf<Tree>,
    given: new Map([...given].map(([path, { where }]) => [path, where])),
    set: new Set(options.sets.map(({ path }) => path.join('.'))),
  };
}

/** The settings with values that may stand for the one at `path`: the default, and small numbers for a number. */
export function withOtherValues<Values extends object>(
  tree: KeyTree,
  settings: YamlSettings<Values>,
  path: string,
): YamlSettings<Values>[] {
  const change = (group: KeyTree, values: object, [name = '', ...rest]: readonly string[], choice: number): object => {
    const node = group[name]!;
    const old = (values as Readonly<Record<string, object>>)[name]!;
    if (!isKey(node)) return { ...values, [name]: change(node, old, rest, choice) };
    const others: Partial<Record<Key['kind'], readonly unknown[]>> = { int: [2, 32], float: [0.5, 1] };
    return { ...values, [name]: [node.standard, ...(others[node.kind] ?? [])][choice] ?? node.standard };
  };
  return [0, 1, 2].map((choice) => ({
    ...settings,
    values: change(tree, settings.values, path.split('.'), choice) as Values,
  }));
}

/** An error about a key, which names the place it was given at. */
export function keyError({ file, given }: YamlSettings<unknown>, path: string, message: string): InputError {
  return new InputError('config-invalid', `${placeOf(given.get(path) ?? file, path)}: ${message}`);
}

/** @throws InputError where a key of which one value alone is supported has another */
export function checkFixed(tree: KeyTree, settings: YamlSettings<unknown>): void {
  const { given, values } = settings;
  for (const [path, key] of keysOf(tree)) {
    if (key.effect !== 'fixed' || !given.has(path)) continue;
    const value = valueAt(values, path);
    if (key.kind === 'float' ? Math.abs(Number(value) - Number(key.standard)) < 1e-6 : value === key.standard) continue;
    throw keyError(
      settings,
      path,
      `${show(value)} is not supported, only ${show(key.standard)} (${key.reason}): remove it`,
    );
  }
}

interface Given {
  readonly where: string;
  readonly value: unknown;
}

interface Reading {
  readonly file: string;
  readonly lines: LineCounter;
  readonly document: Document;
  readonly given: Map<string, Given>;
  readonly keys: KnownKeys<KeyTree>;
}

function parse(text: string, tree: KeyTree, file: string): { document: Document; lines: LineCounter } {
  try {
    const { document, lines, error } = readYaml(text, '1.1');
    if (error === undefined) {
      // Resolves aliases, so that a bomb of them is refused here.
      document.toJS();
      return { document, lines };
    }
    const outdented = findOutdented(text, tree);
    if (outdented !== undefined) {
      const { line, key, group } = outdented;
      throw new InputError(
        'config-invalid',
        `${file}:${line}: not valid YAML: ${key} stands outside ${group}, the group that it belongs to: indent it by two spaces, like the line below it`,
      );
    }
    throw invalidYaml(`${file}:${error.line}`, error.message);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw invalidYaml(file, error instanceof RangeError ? 'nested too deeply' : String((error as Error).message));
  }
}

function invalidYaml(where: string, reason: string): InputError {
  const line = reason.split('\n')[0]!;
  return new InputError(
    'config-invalid',
    `${where}: not valid YAML: ${line.charAt(0).toLowerCase()}${line.slice(1)}: check the indentation`,
  );
}

/** A key of a group that was not indented under it, as in two of the files that Detectron.pytorch ships. */
function findOutdented(text: string, tree: KeyTree): { line: number; key: string; group: string } | undefined {
  let group: string | undefined;
  for (const [index, content] of text.split('\n').entries()) {
    const key = /^([A-Z][A-Z0-9_]*):/.exec(content)?.[1];
    if (key === undefined) continue;
    const parent = group === undefined ? undefined : childOf(tree, group);
    const isChild = parent !== undefined && !isKey(parent) && Object.hasOwn(parent, key);
    if (isChild && !Object.hasOwn(tree, key)) return { line: index + 1, key, group: group! };
    group = key;
  }
  return undefined;
}

/** `config.yaml:12: TRAIN.SCALES`, or `--set TRAIN.SCALES`. */
function placeOf(where: string, path: string): string {
  return where === '--set' ? `--set ${path}` : `${where}: ${path}`;
}

function readGroup(map: YAMLMap, tree: KeyTree, prefix: string, reading: Reading): void {
  for (const { key: keyNode, value } of map.items) {
    const name = isScalar(keyNode) ? String(keyNode.value) : String(keyNode);
    const path = `${prefix}${name}`;
    const offset = isNode(keyNode) ? (keyNode as Node).range?.[0] : undefined;
    const where = offset === undefined ? reading.file : `${reading.file}:${reading.lines.linePos(offset).line}`;
    const child = childOf(tree, name);
    if (child === undefined) throw unknownKey(where, path, prefix, tree, reading.keys);
    if (isKey(child)) {
      const plain = isNode(value) ? (value.toJS(reading.document) as PythonLiteral) : null;
      // As it is written: YAML would make a number of a folder named `.`.
      const source = child.kind === 'text' && isScalar(value) ? value.source : undefined;
      const decoded = source === undefined ? decode(plain) : textOf(source);
      reading.given.set(path, { where, value: readValue(child, path, decoded, where) });
    } else if (isMap(value)) {
      readGroup(value, child, `${path}.`, reading);
    } else if (!isScalar(value) || value.value !== null) {
      const got = isNode(value) ? show(value.toJS(reading.document)) : 'nothing';
      throw new InputError(
        'config-invalid',
        `${placeOf(where, path)}: got ${got}, expected a group of keys: indent them below`,
      );
    }
  }
}

function readSet({ path, text }: SettingsOption, keys: KnownKeys<KeyTree>, given: Map<string, Given>): void {
  const name = path.join('.');
  const where = '--set';
  let { tree } = keys;
  for (const [index, part] of path.entries()) {
    const child = childOf(tree, part);
    const prefix = path
      .slice(0, index)
      .map((key) => `${key}.`)
      .join('');
    if (child === undefined) throw unknownKey(where, `${prefix}${part}`, prefix, tree, keys);
    if (isKey(child)) {
      if (index + 1 < path.length)
        throw new InputError('usage', `${where} ${name}: ${prefix}${part} is a single value, not a group`);
      given.set(name, { where, value: readValue(child, name, parsePythonLiteral(text) ?? text, where) });
      return;
    }
    tree = child;
  }
  throw new InputError(
    'usage',
    `${where} ${name}: is a group of keys: name one of them, such as ${name}.${Object.keys(tree)[0]}`,
  );
}

function textOf(source: string): string {
  const literal = parsePythonLiteral(source);
  return typeof literal === 'string' ? literal : source;
}

/** Texts inside YAML are Python literals where they can be. */
function decode(value: PythonLiteral): PythonLiteral {
  return typeof value === 'string' ? (parsePythonLiteral(value) ?? value) : value;
}

function readValue(key: Key, path: string, value: PythonLiteral, where: string): unknown {
  const read = coerce(key.kind, value);
  if (key.choices !== undefined && typeof read === 'string' && !key.choices.includes(read)) {
    const known = key.choices.filter((name) => name !== '');
    throw new InputError(
      'config-invalid',
      `${placeOf(where, path)}: '${read}' is not supported: take ${known.join(', ')}`,
    );
  }
  if (read !== undefined) return read;
  const remedy = key.kind.endsWith('s') && typeof value === 'number' ? `: write (${value},)` : '';
  throw new InputError(
    'config-invalid',
    `${placeOf(where, path)}: got ${show(value)}, expected ${kindInWords[key.kind]}${remedy}`,
  );
}

function unknownKey(where: string, path: string, prefix: string, tree: KeyTree, keys: KnownKeys<KeyTree>): InputError {
  const known = Object.keys(tree);
  const name = path.slice(prefix.length);
  const suggestion = suggestKey(
    name,
    known,
    keysOf(keys.tree).map(([path]) => path),
  );
  const list = known.length <= 24 ? `the keys here are ${known.join(', ')}` : `${keys.system} has none of that name`;
  const near = suggestion?.includes('.') ? suggestion : `${prefix}${suggestion}`;
  const advice = suggestion === undefined ? list : `did you mean ${near}?`;
  return new InputError('config-invalid', `${placeOf(where, path)}: unknown key: ${advice}`);
}

function childOf(tree: KeyTree, name: string): Key | KeyTree | undefined {
  return Object.hasOwn(tree, name) ? tree[name] : undefined;
}

function valuesOf(tree: KeyTree, prefix: string, given: ReadonlyMap<string, Given>): unknown {
  return Object.fromEntries(
    Object.entries(tree).map(([name, node]) => {
      const path = `${prefix}${name}`;
      if (!isKey(node)) return [name, valuesOf(node, `${path}.`, given)];
      const found = given.get(path);
      return [name, found === undefined ? node.standard : found.value];
    }),
  );
}

/** What stands there, in a few words. */
export function show(value: unknown, depth = 0): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (value === null || value === undefined) return 'nothing';
  if (value === true) return 'True';
  if (value === false) return 'False';
  // A list can hold itself: YAML has references.
  if (Array.isArray(value)) {
    const isShort = value.length <= 6 && depth < 3;
    return isShort ? `(${value.map((item) => show(item, depth + 1)).join(', ')})` : `a list of ${value.length}`;
  }
  return typeof value === 'object' ? 'a group of keys' : String(value);
}
