// YOLO's description of a data set, data.yaml: where its sets of pictures are and what its classes are called.
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError, type YoloClasses, type YoloKeypoints } from '@goshawk/core';
import { parse, YAMLParseError } from 'yaml';
import { readSmallText } from '../files/read-small-text.js';

export interface YoloList {
  /** The data.yaml; undefined for folders without one. */
  readonly file: string | undefined;
  /** Names of the sets, each with its folders and lists of pictures; one without a name where nothing names sets. */
  readonly sets: ReadonlyMap<string, readonly string[]>;
  /** Undefined where no file names the classes. */
  readonly classes: YoloClasses | undefined;
}

const setNames = ['train', 'val', 'valid', 'test'] as const;

/**
 * @param path a data.yaml, or a folder with one; else a folder with images/ and labels/ (or SET/images, images/SET), or with
 *   pictures and their labels side by side, whose classes.txt names the classes
 * @throws InputError naming the file and key
 */
export function readYoloList(path: string): YoloList {
  if (!statSync(path).isDirectory()) return readListFile(path);
  const isPart = ['images', 'labels'].includes(basename(path));
  const file = listFileIn(path) ?? (isPart ? listFileIn(dirname(resolve(path))) : undefined);
  if (file !== undefined) return readListFile(file);
  const names = ['classes.txt', 'labels/classes.txt', 'obj.names']
    .map((name) => join(path, name))
    .filter(isFile)
    .map((name) =>
      readSmallText(name)
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter(Boolean),
    )[0];
  return { file: undefined, sets: setsOfLayout(path), classes: names && { names } };
}

/** The YAML file of a folder that lists a data set. */
export function listFileIn(folder: string): string | undefined {
  const files = readdirSync(folder).filter((name) => /\.ya?ml$/i.test(name));
  files.sort((a, b) => Number(!/^data\./i.test(a)) - Number(!/^data\./i.test(b)) || (a < b ? -1 : 1));
  return files.map((name) => join(folder, name)).find((name) => isFile(name) && isListText(readSmallText(name)));
}

/** Whether a YAML text names classes and pictures as YOLO's lists do. */
export function isListText(text: string): boolean {
  return /^\s*(names|nc)\s*:/m.test(text) && /^\s*(train|val|test)\s*:/m.test(text);
}

function readListFile(file: string): YoloList {
  let value: unknown;
  try {
    value = parse(readSmallText(file));
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new InputError(
      'annotation-invalid',
      `${file}: is no YAML: ${error.message.split('\n')[0]}: correct the line`,
    );
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new InputError(
      'annotation-invalid',
      `${file}: has no keys (expected names and train): write YOLO's data.yaml`,
    );
  const keys = value as Readonly<Record<string, unknown>>;
  const root = rootOf(file, keys.path);
  const sets = new Map<string, string[]>();
  for (const name of setNames) {
    const places = keys[name];
    if (places === undefined || places === null || places === '') continue;
    const list = (Array.isArray(places) ? places : [places]).map((place) => {
      if (typeof place === 'string') return placeOf(place, root);
      throw new InputError(
        'annotation-invalid',
        `${file}: ${name}: must name folders or lists of pictures: correct it`,
      );
    });
    sets.set(name === 'valid' ? 'val' : name, list);
  }
  if (sets.size === 0)
    throw new InputError(
      'annotation-invalid',
      `${file}: has none of train, val and test: name the folders of the pictures`,
    );
  return { file, sets, classes: classesOf(file, keys) };
}

function rootOf(file: string, path: unknown): string {
  const folder = dirname(file);
  if (path === undefined || path === null) return folder;
  if (typeof path !== 'string')
    throw new InputError('annotation-invalid', `${file}: path: must be a folder: correct it, or leave it out`);
  const root = resolve(folder, path);
  // Lists are moved with their pictures, and `path` keeps the place of the machine where they were made.
  return isFolder(root) ? root : folder;
}

/** A folder or list of pictures, there or not; exports write ../train/images for the folder beside the list. */
function placeOf(place: string, root: string): string {
  const candidates = [place, place.replace(/^(\.\.\/)+/, '')].map((candidate) => resolve(root, candidate));
  return candidates.find((candidate) => isFolder(candidate) || isFile(candidate)) ?? candidates[0]!;
}

function classesOf(file: string, keys: Readonly<Record<string, unknown>>): YoloClasses {
  const names = namesOf(file, keys.names, keys.nc);
  const shape = keys.kpt_shape;
  if (shape === undefined || shape === null) return { names };
  const isShape = Array.isArray(shape) && shape.length === 2 && Number.isInteger(shape[0]) && shape[0] > 0;
  if (!isShape || (shape[1] !== 2 && shape[1] !== 3))
    throw new InputError(
      'annotation-invalid',
      `${file}: kpt_shape: must be the number of keypoints, and 2 or 3 for x, y and visibility, such as [17, 3]: correct it`,
    );
  const [count, numbers] = shape as [number, 2 | 3];
  const keypoints: YoloKeypoints = {
    names: pointNames(file, keys.kpt_names, count),
    numbers,
    ...flipPairs(file, keys.flip_idx, count),
  };
  return { names, keypoints };
}

function namesOf(file: string, names: unknown, count: unknown): string[] {
  const isCount = Number.isInteger(count) && (count as number) > 0;
  if (names === undefined && isCount) return Array.from({ length: count as number }, (_, i) => `class ${i}`);
  const entries = Array.isArray(names)
    ? names.map((name, i) => [i, name] as const)
    : Object.entries((names ?? {}) as object).map(([key, name]) => [Number(key), name] as const);
  const list: string[] = [];
  for (const [index, name] of entries) list[index] = String(name);
  const isWhole = entries.length > 0 && list.length === entries.length && !list.includes(undefined as never);
  if (!isWhole || (isCount && list.length !== count)) {
    const expected = isCount ? `${count} names, as nc says` : 'a list, or the numbers 0, 1, ... with their names';
    throw new InputError(
      'annotation-invalid',
      `${file}: names: has ${entries.length} (expected ${expected}): correct it`,
    );
  }
  return list;
}

/** Ultralytics' kpt_names has a list for each class; the points are those of all. */
function pointNames(file: string, names: unknown, count: number): string[] {
  if (names === undefined || names === null) return Array.from({ length: count }, (_, i) => `point ${i + 1}`);
  const first: unknown = Array.isArray(names) && !Array.isArray(names[0]) ? names : Object.values(names as object)[0];
  if (Array.isArray(first) && first.length === count) return first.map(String);
  throw new InputError(
    'annotation-invalid',
    `${file}: kpt_names: must have ${count} names, as kpt_shape says: correct it`,
  );
}

function flipPairs(file: string, order: unknown, count: number): Pick<YoloKeypoints, 'flipPairs'> {
  if (order === undefined || order === null) return {};
  const isOrder =
    Array.isArray(order) &&
    order.length === count &&
    order.every((to, from) => Number.isInteger(to) && order[to] === from);
  if (!isOrder)
    throw new InputError(
      'annotation-invalid',
      `${file}: flip_idx: must name for each of ${count} keypoints the one with which it changes places: correct it`,
    );
  return { flipPairs: (order as number[]).flatMap((to, from) => (from < to ? [[from, to] as const] : [])) };
}

/** Sets of a folder without a list: SET/images, images/SET, else one set of all its pictures. */
function setsOfLayout(folder: string): Map<string, string[]> {
  const sets = new Map<string, string[]>();
  for (const name of setNames) {
    const place = [join(folder, name, 'images'), join(folder, 'images', name), join(folder, name)].find(isFolder);
    if (place !== undefined) sets.set(name === 'valid' ? 'val' : name, [place]);
  }
  if (sets.size > 0) return sets;
  const all = [join(folder, 'images'), folder].find(isFolder)!;
  // A folder of labels alone: its pictures are beside it.
  const beside = basename(folder) === 'labels' ? join(dirname(folder), 'images') : undefined;
  return new Map([['', [beside !== undefined && isFolder(beside) ? beside : all]]]);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
