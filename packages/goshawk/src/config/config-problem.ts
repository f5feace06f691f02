// Turns what zod found wrong into the one line that a person reads, with the place in the file.
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import type { z } from 'zod';
import type { ConfigSource } from './config-source.js';
import { allPaths, type ConfigPath, expectedAt, keysAt } from './schema-node.js';
import { parseSetOption, type SetOption } from './set-option.js';
import { suggestKey } from './suggest-key.js';
import { readYaml } from './yaml-document.js';

/** Where a config's values come from. */
export interface ConfigOrigin {
  /** The file's name as the person gave it. */
  readonly file: string;
  readonly document?: Document;
  readonly lines?: LineCounter;
  readonly sets: readonly SetOption[];
}

/** One line for all issues: the first in full, the others counted. */
export function describeIssues(issues: readonly z.core.$ZodIssue[], value: unknown, origin: ConfigOrigin): string {
  const [first] = issues;
  if (first === undefined) return `${origin.file}: not valid`;
  const others = issues.length - 1;
  const more = others === 0 ? '' : ` (and ${others} more ${others === 1 ? 'problem' : 'problems'})`;
  return describeIssue(first, value, origin) + more;
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown, origin: ConfigOrigin): string {
  const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = keysAt(path, value);
    const suggestion = suggestKey(
      key,
      known,
      allPaths().filter((other) => other !== [...path, key].join('.')),
    );
    const advice = suggestion === undefined ? `the keys here are ${known.join(', ')}` : `did you mean ${suggestion}?`;
    return `${place([...path, key], origin)}: unknown key: ${advice}`;
  }
  const where = place(path, origin);
  if (issue.code === 'custom') return `${where}: ${issue.message}`;
  const got = valueAt(value, path);
  if (issue.code === 'too_big' && typeof got === 'string')
    return `${where}: has ${got.length} characters: take at most ${issue.maximum}`;
  const expected = expectedAt(path, value);
  if (got === undefined) return `${where}: missing: add it (expected ${expected})`;
  return `${where}: got ${show(got)}: expected ${expected}`;
}

/**
 * Where a key of a config stands that is valid by itself, as messages say it.
 * @param isOwn whether the text is in this project's names; other systems' files have the value under another key
 */
export function placeInSource(path: ConfigPath, { file, text, sets }: ConfigSource, isOwn: boolean): string {
  if (!isOwn) return place(path, { file: `${file}, translated`, sets: [] });
  const { document, lines } = readYaml(text);
  return place(path, { file, document, lines, sets: sets.map(parseSetOption) });
}

/** `config.yaml:14: train.optimizer.lr`, or with the `--set` that the value comes from. */
function place(path: ConfigPath, origin: ConfigOrigin): string {
  const name = path.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');
  const set = origin.sets.findLast((option) => option.path.every((key, i) => i >= path.length || key === path[i]));
  if (set !== undefined) return name === '' ? `--set ${set.text}` : `--set ${set.text}: ${name}`;
  const line = lineOf(path, origin);
  const where = line === undefined ? origin.file : `${origin.file}:${line}`;
  return name === '' ? where : `${where}: ${name}`;
}

/** 1-based line of the deepest part of `path` that the file has. */
function lineOf(path: ConfigPath, origin: ConfigOrigin): number | undefined {
  const { document, lines } = origin;
  if (document === undefined || lines === undefined) return undefined;
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => (isScalar(item.key) ? String(item.key.value) : undefined) === String(key));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  let here = value;
  for (const key of path) here = (here as Record<string | number, unknown> | null | undefined)?.[key];
  return here;
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (value === null) return 'nothing';
  if (Array.isArray(value)) {
    // Each entry takes two characters or more: text of a million of them is not made to be thrown away.
    const text = 2 * value.length + 1 <= 40 ? listText(value) : undefined;
    return text !== undefined && text.length <= 40 ? text : `a list of ${value.length}`;
  }
  return typeof value === 'object' ? 'a group of keys' : String(value);
}

/** Undefined for a list that holds itself, which YAML's anchors can make. */
function listText(list: readonly unknown[]): string | undefined {
  try {
    return JSON.stringify(list);
  } catch {
    return undefined;
  }
}
