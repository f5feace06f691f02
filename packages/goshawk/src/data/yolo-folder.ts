// A data set as YOLO lays it out: a data.yaml, pictures in folders called images and a text of labels for each picture, in
// folders called labels beside them or in the picture's own folder.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { type DataIssue, DataIssueList, InputError, type YoloClasses, type YoloFile } from '@goshawk/core';
import { commonFolder, isBelow } from '../files/common-folder.js';
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
  const asked = set === undefined ? yoloSetsThere(sets, issues) : [set];
  const places = asked.flatMap((name) => sets.get(name)!);
  const missing = places.find((place) => !existsSync(place));
  if (missing !== undefined)
    throw new InputError(
      'file-not-found',
      `${where}: names ${shownPath(missing)}, which is not there: correct the path, or put the pictures there`,
    );
  const pictures = [...new Set(places.flatMap((place) => picturesOf(place, roots)))];
  if (pictures.length === 0)
    throw new InputError(
      'annotation-invalid',
      `${places.map(shownPath).join(', ')}: has no pictures (expected ${shownEndings}): correct ${where}, or convert the pictures`,
    );
  const labels = pictures.map(labelsOf);
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

/** Exports name sets that they do not have: those are left out where all are read. */
function yoloSetsThere(sets: ReadonlyMap<string, readonly string[]>, issues: DataIssueList): string[] {
  const names = [...sets.keys()];
  const missingOf = (name: string) => sets.get(name)!.find((place) => !existsSync(place));
  const there = names.filter((name) => missingOf(name) === undefined);
  if (there.length === 0) return names;
  for (const name of names) {
    const missing = missingOf(name);
    if (missing === undefined) continue;
    issues.warning(
      'set-missing',
      name,
      `is ${shownPath(missing)}, which is not there: the set is left out; correct the path, or remove the line`,
    );
  }
  return there;
}

/** Files in folders called labels that no picture has: of pictures that are elsewhere, or of a format that is not read. */
function tellLabelsAlone(
  places: readonly string[],
  labels: ReadonlySet<string | undefined>,
  issues: DataIssueList,
): void {
  const folders = places
    .filter(isFolder)
    .flatMap((place) => yoloLabelsOf(join(resolve(place), 'any.jpg')))
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

/** The last folder called images gives way to labels; else beside the picture. */
function labelsOf(picture: string): string | undefined {
  return [...yoloLabelsOf(picture), withEnding(picture)]
    .flatMap((path) => [path, path.replace(/\.txt$/, '.TXT')])
    .find((path) => existsSync(path));
}

/** Where labels of a picture are looked for first: its last folder that is called images gives way to labels. */
export function yoloLabelOf(picture: string): string {
  return yoloLabelsOf(picture)[0]!;
}

/** The same, and by capitals as people mix them: Images beside labels or Labels. */
function yoloLabelsOf(picture: string): string[] {
  const parts = withEnding(picture).split(sep);
  const at = parts.findLastIndex((part) => part.toLowerCase() === 'images');
  if (at < 0) return [parts.join(sep)];
  const inWordsOf = parts[at] === 'images' ? 'labels' : parts[at] === 'IMAGES' ? 'LABELS' : 'Labels';
  return [...new Set([inWordsOf, 'labels', 'Labels', 'LABELS'])].map((name) => parts.with(at, name).join(sep));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function withEnding(picture: string): string {
  return `${picture.slice(0, picture.length - extname(picture).length)}.txt`;
}
