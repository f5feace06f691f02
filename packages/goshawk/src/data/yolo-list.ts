// YOLO's description of a data set, data.yaml: where its sets of pictures are and what its classes are called; and folders without one.
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError, type YoloClasses, type YoloKeypoints } from '@goshawk/core';
import { parse, YAMLParseError } from 'yaml';
import { LookAlikes } from '../files/look-alike.js';
import { readHead } from '../files/read-head.js';
import { readSmallText } from '../files/read-small-text.js';
import { foldersIn, isHidden } from '../files/visible-entries.js';
import { isPictureName } from './picture-names.js';

export interface YoloList {
  /** The data.yaml; undefined for folders without one. */
  readonly file: string | undefined;
  /** Names of the sets, each with its folders and lists of pictures; one without a name where nothing names sets. */
  readonly sets: ReadonlyMap<string, readonly string[]>;
  /** Undefined where no file names the classes. */
  readonly classes: YoloClasses | undefined;
  /** Folders that a list's lines may start from, besides its own. */
  readonly roots: readonly string[];
}

const setNames = ['train', 'val', 'valid', 'test'] as const;

/**
 * @param path a data.yaml, or a folder with one; else a folder with images/ and labels/ (or SET/images, images/SET), or with
 *   pictures and their labels side by side, also in SET/; its sets may be lists, SET.txt, and its classes stand in classes.txt, a file of
 *   darknet's that ends in .names, or Roboflow's _darknet.labels
 * @throws InputError naming the file and key
 */
export function readYoloList(path: string): YoloList {
  if (!statSync(path).isDirectory()) return readListFile(path);
  const isPart = ['images', 'labels'].includes(basename(path).toLowerCase());
  const file = listFileIn(path) ?? (isPart ? listFileIn(dirname(resolve(path))) : undefined);
  if (file !== undefined) return readListFile(file);
  const names = namesFileOf(path)?.names;
  return { file: undefined, sets: setsOfLayout(path), classes: names && { names }, roots: [path] };
}

/** The YAML file of a folder that lists a data set; where none does, one that names its classes alone. */
export function listFileIn(folder: string): string | undefined {
  const files = readdirSync(folder).filter((name) => /\.ya?ml$/i.test(name) && !isHidden(name));
  files.sort((a, b) => Number(!/^data\./i.test(a)) - Number(!/^data\./i.test(b)) || (a < b ? -1 : 1));
  const paths = files.map((name) => join(folder, name)).filter(isFile);
  return (
    paths.find((path) => isListText(readSmallText(path))) ??
    paths.find((path) => isNamesText(readSmallText(path)) && hasSetsOfLayout(folder))
  );
}

/** Whether a YAML text names classes and pictures as YOLO's lists do. */
export function isListText(text: string): boolean {
  return isNamesText(text) && /^\s*(train|val|test)\s*:/m.test(text);
}

/** Whether it names classes. Its own keys stand at the margin: those of other configs that are called so do not. */
export function isNamesText(text: string): boolean {
  return /^\uFEFF?(names|nc)\s*:/m.test(text);
}

/** A list of class names, one a line, in the folder or one of those in it. @throws InputError where two of them differ */
function namesFileOf(folder: string): { readonly file: string; readonly names: readonly string[] } | undefined {
  const found = [folder, ...foldersIn(folder), ...foldersIn(folder).flatMap(foldersIn)]
    .flatMap((place) => namesFilesIn(place))
    .map((file) => ({ file, names: linesOf(file) }));
  const [first] = found;
  const other = found.find(({ names }) => names.join('\0') !== first!.names.join('\0'));
  if (other !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${other.file}: names other classes (${other.names.join(', ')}) than ${first!.file} (${first!.names.join(', ')}): make them the same, or remove one`,
    );
  return first;
}

function namesFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^(classes\.txt|_darknet\.labels|[^.].*\.names)$/i.test(name))
    .sort()
    .map((name) => join(folder, name))
    .filter(isFile);
}

function linesOf(file: string): string[] {
  return readSmallText(file)
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

function readListFile(file: string): YoloList {
  let value: unknown;
  try {
    value = parse(readSmallText(file));
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new InputError(
      'annotation-invalid',
      `${file}: is no YAML: ${error.message.split('\n')[0]!.replace(/:$/, '')}: correct the line`,
    );
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new InputError(
      'annotation-invalid',
      `${file}: has no keys (expected names and train): write YOLO's data.yaml`,
    );
  const keys = value as Readonly<Record<string, unknown>>;
  const roots = rootsOf(file, keys.path);
  const sets = new Map<string, readonly string[]>();
  for (const name of setNames) {
    const places = keys[name];
    if (places === undefined || places === null || places === '') continue;
    const list = (Array.isArray(places) ? places : [places]).map((place) => {
      if (typeof place === 'string') return placeOf(place, roots);
      throw new InputError(
        'annotation-invalid',
        `${file}: ${name}: must name folders or lists of pictures: correct it`,
      );
    });
    sets.set(name === 'valid' ? 'val' : name, list);
  }
  // Some write the names down and leave the rest to the folders.
  if (sets.size === 0 && hasSetsOfLayout(roots[0]!))
    for (const [name, places] of setsOfLayout(roots[0]!)) sets.set(name, places);
  if (sets.size === 0)
    throw new InputError(
      'annotation-invalid',
      `${file}: has none of train, val and test: name the folders of the pictures`,
    );
  return { file, sets, classes: classesOf(file, keys), roots };
}

/**
 * Folders that the list's paths may start from, the likeliest first: `path` from the list's folder on, as the folder of that name beside
 * the list, and from the current folder on, as ultralytics has it; where none is there, the list's own. Lists are moved with their
 * pictures, and `path` keeps the place of the machine where they were made.
 */
function rootsOf(file: string, path: unknown): string[] {
  const folder = dirname(file);
  if (path === undefined || path === null) return [folder];
  if (typeof path !== 'string')
    throw new InputError('annotation-invalid', `${file}: path: must be a folder: correct it, or leave it out`);
  const words = asPosix(path);
  const beside = words.split('/').filter(Boolean).at(-1);
  const named = [resolve(folder, words), ...(beside === undefined ? [] : [join(folder, beside)]), resolve(words)];
  return [...new Set([...named.filter(isFolder), folder])];
}

/** A folder or list of pictures, there or not; exports write ../train/images for the folder beside the list. */
function placeOf(place: string, roots: readonly string[]): string {
  const words = asPosix(place);
  const lookAlikes = new LookAlikes();
  const spellings = [words, words.replace(/^(\.\.\/)+/, '')];
  const found = roots
    .flatMap((root) => spellings.map((spelling) => resolve(root, spelling)))
    .find((candidate) => isFolder(candidate) || isFile(candidate));
  if (found !== undefined) return found;
  const alike = roots.flatMap((root) => {
    const name = isAbsolutePath(words) ? undefined : lookAlikes.find(root, words);
    return name === undefined ? [] : [resolve(root, name)];
  })[0];
  if (alike !== undefined) return alike;
  const moved = isAbsolutePath(words)
    ? lastPartsOf(words, roots).find((path) => isFolder(path) || isFile(path))
    : undefined;
  return moved ?? resolve(roots[0]!, words);
}

/** What a path of another machine may be below one of these folders: its last parts, the most of them first. */
export function lastPartsOf(path: string, roots: readonly string[]): string[] {
  const parts = asPosix(path)
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.flatMap((_, i) => roots.map((root) => join(root, ...parts.slice(i))));
}

function isAbsolutePath(path: string): boolean {
  return /^(\/|[a-z]:)/i.test(path);
}

/** Lists are written on Windows, too. */
function asPosix(path: string): string {
  return /^[a-z]:|\\/i.test(path) && !isFolder(path) && !isFile(path) ? path.replaceAll('\\', '/') : path;
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
  if (names !== undefined && names !== null && typeof names !== 'object')
    throw new InputError(
      'annotation-invalid',
      `${file}: names: is ${JSON.stringify(names)} (expected a list, or the numbers 0, 1, ... with their names): write [${String(names)}]`,
    );
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

/** Sets as folders are called; with the year of COCO's. */
const setFolder = /^(train|val|valid|validation|test)(20\d\d)?$/i;

function setNameOf(name: string): string | undefined {
  const word = setFolder.exec(name)?.[1]?.toLowerCase();
  return word?.startsWith('val') ? 'val' : word;
}

/** Places of pictures that are called as sets are: SET/images, images/SET, SET, a list SET.txt. */
function namedSets(folder: string): Map<string, string[]> {
  const own = foldersIn(folder).filter((place) => setNameOf(basename(place)) !== undefined);
  const lists = readdirSync(folder)
    .filter((name) => /\.txt$/i.test(name) && setNameOf(name.slice(0, -4)) !== undefined)
    .sort()
    .map((name) => join(folder, name))
    .filter(isPictureList);
  const candidates: readonly (readonly [name: string, place: string])[] = [
    ...own.flatMap((place) => foldersCalled(place, 'images').map((images) => [basename(place), images] as const)),
    ...foldersCalled(folder, 'images')
      .flatMap(foldersIn)
      .map((place) => [basename(place), place] as const),
    ...own.map((place) => [basename(place), place] as const),
    ...lists.map((place) => [basename(place).slice(0, -4), place] as const),
  ];
  const sets = new Map<string, string[]>();
  for (const [name, place] of candidates) {
    const set = setNameOf(name);
    if (set !== undefined && !sets.has(set) && (isFolder(place) || isFile(place))) sets.set(set, [place]);
  }
  return new Map(['train', 'val', 'test'].flatMap((set) => (sets.has(set) ? [[set, sets.get(set)!] as const] : [])));
}

function isPictureList(path: string): boolean {
  if (!isFile(path)) return false;
  const first = readHead(path, 4096)
    .head.split(/\r?\n/)
    .find((line) => line.trim() !== '');
  return first !== undefined && isPictureName(first.trim());
}

function hasSetsOfLayout(folder: string): boolean {
  const parts = [...foldersCalled(folder, 'images'), ...foldersCalled(folder, 'labels')];
  return parts.length > 0 || namedSets(folder).size > 0;
}

/** Sets of a folder without a list; else one set of all its pictures. */
function setsOfLayout(folder: string): Map<string, string[]> {
  const sets = namedSets(folder);
  if (sets.size > 0) return sets;
  const [images = folder] = foldersCalled(folder, 'images');
  // A folder of labels alone: its pictures are beside it.
  const isLabels = basename(folder).toLowerCase() === 'labels';
  const [beside] = isLabels ? foldersCalled(dirname(resolve(folder)), 'images') : [];
  return new Map([['', [beside ?? images]]]);
}

/** Folders of that name in a folder, whatever their capitals. */
export function foldersCalled(folder: string, name: string): string[] {
  return foldersIn(folder).filter((place) => basename(place).toLowerCase() === name);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
