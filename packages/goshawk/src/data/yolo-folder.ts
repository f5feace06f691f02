// A data set as YOLO lays it out: a data.yaml, pictures in folders called images and a text of labels for each picture, in
// folders called labels beside them or in the picture's own folder.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { type DataIssue, DataIssueList, InputError, type YoloClasses, type YoloFile } from '@goshawk/core';
import { commonFolder, isBelow } from '../files/common-folder.js';
import { isMadeFolder } from '../files/made-folder.js';
import { fileError } from '../files/read-file.js';
import { readSmallText } from '../files/read-small-text.js';
import { shownPath } from '../files/shown-path.js';
import { isHidden } from '../files/visible-entries.js';
import { isPictureName, shownEndings } from './picture-names.js';
import { shownSize } from './shown-size.js';
import { lastPartsOf, readYoloList } from './yolo-list.js';

/** The files of one set; reading them is left to the iteration. */
export interface YoloFolder {
  readonly files: Iterable<YoloFile>;
  /** Folder that the pictures' names start from. */
  readonly images: string;
  readonly classes: YoloClasses;
  /** What of the folder is not among the files, and why. */
  readonly warnings: readonly DataIssue[];
}

/** Names of the sets that are there; none where nothing tells sets apart, and all where none is there. */
export function yoloSets(path: string): string[] {
  const { sets } = readYoloList(path);
  const names = [...sets.keys()].filter((name) => name !== '');
  const there = names.filter((name) => sets.get(name)!.every((place) => existsSync(place)));
  return there.length > 0 ? there : names;
}

export interface YoloFolderOptions {
  /** One of {@link yoloSets}; absent: all pictures. */
  readonly set?: string | undefined;
  /** The classes, where no data.yaml or classes.txt names them. */
  readonly classes?: readonly string[] | undefined;
  /** Folder that the pictures' names are to start from; absent: the innermost that holds them all. */
  readonly images?: string | undefined;
}

/** @throws InputError where the set is missing, has no pictures or no labels, or no file names the classes */
export function openYoloFolder(path: string, options: YoloFolderOptions = {}): YoloFolder {
  const { set, classes: names } = options;
  const { file, sets, roots, classes = names && { names } } = readYoloList(path);
  const where = file ?? path;
  const issues = new DataIssueList(where);
  if (set !== undefined && !sets.has(set)) {
    const known = [...sets.keys()].filter((name) => name !== '');
    const remedy = known.length === 0 ? 'leave set out to take every picture' : `the sets here are ${known.join(', ')}`;
    throw new InputError('file-not-found', `${where}: has no set ${set}: ${remedy}`);
  }
  if (classes === undefined)
    throw new InputError(
      'annotation-invalid',
      `${path}: nothing names its classes: write data.yaml with names, or classes.txt with a name a line`,
    );
  const gone = set === undefined ? setsGone(sets) : [];
  for (const { set: name, place } of gone) issues.warning('set-missing', name, leftOut(place));
  const asked =
    set === undefined ? [...sets.keys()].filter((name) => gone.every((other) => other.set !== name)) : [set];
  const places = asked.flatMap((name) => sets.get(name)!);
  const missing = places.find((place) => !existsSync(place));
  if (missing !== undefined)
    throw new InputError(
      'file-not-found',
      `${where}: names ${shownPath(missing)}, which is not there: correct the path, or put the pictures there`,
    );
  const own = [...new Set(places.flatMap((place) => picturesOf(place, roots)))];
  // A folder of labels whose pictures are elsewhere: one of the same name is a picture's.
  const isApart = own.length === 0 && options.images !== undefined;
  const pictures = isApart ? picturesOf(options.images!, []) : own;
  if (pictures.length === 0)
    throw new InputError(
      'annotation-invalid',
      `${places.map(shownPath).join(', ')}: has no pictures (expected ${shownEndings}): correct ${where}, or convert the pictures`,
    );
  const apart = isApart ? textsIn(places) : undefined;
  const labels = pictures.map((picture) => labelsOf(picture) ?? apart?.get(basename(withEnding(picture))));
  tellLabelsAlone(places, new Set(labels), issues);
  if (labels.every((label) => label === undefined))
    throw new InputError(
      'file-not-found',
      `${places.map(shownPath).join(', ')}: none of ${pictures.length} pictures has labels (expected ${shownPath(yoloLabelOf(pictures[0]!))}): put them there`,
    );
  const images =
    options.images === undefined ? commonFolder(pictures.map((picture) => dirname(picture))) : resolve(options.images);
  const outside = pictures.find((picture) => !isBelow(images, picture));
  if (outside !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${where}: ${shownPath(outside)} is not below the image folder ${shownPath(images)}: leave the image folder out, or name one that holds all pictures`,
    );
  return { files: readAll(pictures, labels, images), images, classes, warnings: issues.warnings };
}

/** A set that is named and not there. */
export interface SetGone {
  readonly set: string;
  /** Where it should be, as messages show it. */
  readonly place: string;
}

/** Sets that a data.yaml names beside others that are there; with the file, for messages. */
export function yoloSetsGone(path: string): { readonly file: string; readonly gone: readonly SetGone[] } {
  const { file = path, sets } = readYoloList(path);
  return { file, gone: setsGone(sets) };
}

/** None where no set is there: then the first one is an error. */
function setsGone(sets: ReadonlyMap<string, readonly string[]>): readonly SetGone[] {
  const gone = [...sets].flatMap(([set, places]) => {
    const missing = places.find((place) => !existsSync(place));
    return missing === undefined ? [] : [{ set, place: shownPath(missing) }];
  });
  return gone.length === sets.size ? [] : gone;
}

/** Exports name sets that they do not have: those are left out where all are read. */
export function leftOut(place: string): string {
  return `is ${place}, which is not there: the set is left out; correct the path, or remove the line`;
}

/** Files in folders called labels that no picture has: of pictures that are elsewhere, or of a format that is not read. */
function tellLabelsAlone(
  places: readonly string[],
  labels: ReadonlySet<string | undefined>,
  issues: DataIssueList,
): void {
  const folders = places
    .filter(isFolder)
    .map((place) => join(resolve(place), 'any.jpg'))
    .flatMap((any) => [yoloLabelOf(any), ...labelsInCapitals(any)])
    .map((label) => dirname(label));
  const texts = [...new Set(folders)].filter(
    (folder) => existsSync(folder) && folder.split(sep).some((part) => part.toLowerCase() === 'labels'),
  );
  const alone = texts
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.txt$/i.test(name) && !isHidden(name) && basename(name) !== 'classes.txt')
        .map((name) => join(folder, name)),
    )
    .filter((text) => !labels.has(text))
    .sort();
  if (alone.length === 0) return;
  const files = alone.length === 1 ? 'file' : 'files';
  issues.warning(
    'labels-alone',
    '',
    `has ${alone.length} ${files} of labels without a picture, such as ${shownPath(alone[0]!)}: left out; put the pictures there (${shownEndings})`,
  );
}

/** Texts in folders and those below, by their names. */
function textsIn(places: readonly string[]): Map<string, string> {
  const texts = places
    .filter(isFolder)
    .flatMap((place) => readdirSync(place, { recursive: true, encoding: 'utf8' }).map((name) => resolve(place, name)));
  return new Map(texts.filter((path) => /\.txt$/i.test(path)).map((path) => [basename(path), path]));
}

function* readAll(
  pictures: readonly string[],
  labels: readonly (string | undefined)[],
  images: string,
): Generator<YoloFile> {
  for (const [i, picture] of pictures.entries()) {
    const label = labels[i];
    yield {
      fileName: shownPath(label ?? picture),
      ...(label === undefined ? {} : { content: readSmallText(label) }),
      image: relative(images, picture).split(sep).join('/'),
      ...shownSize(picture),
    };
  }
}

/** Of a folder and those in it, or of a text with a path a line. */
function picturesOf(place: string, roots: readonly string[]): string[] {
  try {
    if (statSync(place).isDirectory())
      return readdirSync(place, { recursive: true, encoding: 'utf8' })
        .filter((name) => isPictureName(name) && !isHidden(name))
        .filter(notMadeBelow(place))
        .sort()
        .map((name) => resolve(place, name));
  } catch (error) {
    throw fileError(error, place);
  }
  const lines = readSmallText(place)
    .split(/\r?\n/)
    .map((line) => line.trim());
  return lines.flatMap((line, i) => {
    if (line === '') return [];
    // ultralytics takes paths that start with ./ from the list's folder on and others from the current one, darknet all from its own; lists
    // made elsewhere have whole paths of there.
    const own = resolve(dirname(place), line);
    const candidates = [own, ...roots.map((root) => resolve(root, line)), resolve(line)];
    const found = [...candidates, ...lastPartsOf(line, [dirname(place), ...roots])].find((path) => existsSync(path));
    if (found !== undefined) return [resolve(found)];
    throw new InputError('file-not-found', `${place}: line ${i + 1}: ${own} is not there: correct the list`);
  });
}

/** Of names below a folder, whether they are not of what earlier trainings and predictions have left there. */
function notMadeBelow(place: string): (name: string) => boolean {
  const known = new Map<string, boolean>([['.', false]]);
  const isMade = (below: string): boolean => {
    const made = known.get(below) ?? (isMade(dirname(below)) || isMadeFolder(join(place, below)));
    known.set(below, made);
    return made;
  };
  return (name) => !isMade(dirname(name));
}

/** The last folder called images gives way to labels; else beside the picture. */
function labelsOf(picture: string): string | undefined {
  return [yoloLabelOf(picture), ...labelsInCapitals(picture), withEnding(picture)]
    .flatMap((path) => [path, path.replace(/\.txt$/, '.TXT')])
    .find((path) => existsSync(path));
}

/** Where labels of a picture are looked for first: its last folder that is called images gives way to labels. */
export function yoloLabelOf(picture: string): string {
  const parts = withEnding(picture).split(sep);
  const at = parts.lastIndexOf('images');
  if (at >= 0) parts[at] = 'labels';
  return parts.join(sep);
}

/** The same with capitals, as people mix them: Images beside Labels, or labels. */
function labelsInCapitals(picture: string): string[] {
  const parts = withEnding(picture).split(sep);
  const at = parts.findLastIndex((part) => part.toLowerCase() === 'images');
  return at < 0 ? [] : ['Labels', 'labels', 'LABELS'].map((name) => parts.with(at, name).join(sep));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function withEnding(picture: string): string {
  return `${picture.slice(0, picture.length - extname(picture).length)}.txt`;
}
