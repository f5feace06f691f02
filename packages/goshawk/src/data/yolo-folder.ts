// A data set as YOLO lays it out: a data.yaml, pictures in folders called images and a text of labels for each picture, in
// folders called labels beside them or in the picture's own folder.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, extname, relative, resolve, sep } from 'node:path';
import { InputError, type YoloClasses, type YoloFile } from '@goshawk/core';
import { commonFolder, isBelow } from '../files/common-folder.js';
import { fileError } from '../files/read-file.js';
import { readSmallText } from '../files/read-small-text.js';
import { isPictureName } from './picture-names.js';
import { shownSize } from './shown-size.js';
import { readYoloList } from './yolo-list.js';

/** The files of one set; reading them is left to the iteration. */
export interface YoloFolder {
  readonly files: Iterable<YoloFile>;
  /** Folder that the pictures' names start from. */
  readonly images: string;
  readonly classes: YoloClasses;
}

/** Names of the sets; none where nothing tells sets apart. */
export function yoloSets(path: string): string[] {
  return [...readYoloList(path).sets.keys()].filter((name) => name !== '');
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
  const { file, sets, classes = names && { names } } = readYoloList(path);
  const where = file ?? path;
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
  const places = set === undefined ? [...sets.values()].flat() : sets.get(set)!;
  const missing = places.find((place) => !existsSync(place));
  if (missing !== undefined)
    throw new InputError(
      'file-not-found',
      `${where}: names ${missing}, which is not there: correct the path, or put the pictures there`,
    );
  const pictures = [...new Set(places.flatMap(picturesOf))];
  if (pictures.length === 0)
    throw new InputError('annotation-invalid', `${places.join(', ')}: has no pictures: correct ${where}`);
  const labels = pictures.map(labelsOf);
  if (labels.every((label) => label === undefined))
    throw new InputError(
      'file-not-found',
      `${places.join(', ')}: none of ${pictures.length} pictures has labels (expected ${expectedLabels(pictures[0]!)}): put them there`,
    );
  const images =
    options.images === undefined ? commonFolder(pictures.map((picture) => dirname(picture))) : resolve(options.images);
  const outside = pictures.find((picture) => !isBelow(images, picture));
  if (outside !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${where}: ${outside} is not below the image folder ${images}: leave the image folder out, or name one that holds all pictures`,
    );
  return { files: readAll(pictures, labels, images), images, classes };
}

function* readAll(
  pictures: readonly string[],
  labels: readonly (string | undefined)[],
  images: string,
): Generator<YoloFile> {
  for (const [i, picture] of pictures.entries()) {
    const label = labels[i];
    yield {
      fileName: label ?? picture,
      ...(label === undefined ? {} : { content: readSmallText(label) }),
      image: relative(images, picture).split(sep).join('/'),
      ...shownSize(picture),
    };
  }
}

/** Of a folder and those in it, or of a text with a path a line. */
function picturesOf(place: string): string[] {
  try {
    if (statSync(place).isDirectory())
      return readdirSync(place, { recursive: true, encoding: 'utf8' })
        .filter(isPictureName)
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
    // As ultralytics reads them: paths that start with ./ are relative to the list, others too where they are there.
    const picture = resolve(dirname(place), line);
    if (existsSync(picture)) return [picture];
    throw new InputError('file-not-found', `${place}: line ${i + 1}: ${picture} is not there: correct the list`);
  });
}

/** The last folder called images gives way to labels; else beside the picture. */
function labelsOf(picture: string): string | undefined {
  return [expectedLabels(picture), withEnding(picture)].find((path) => existsSync(path));
}

function expectedLabels(picture: string): string {
  const parts = withEnding(picture).split(sep);
  const at = parts.lastIndexOf('images');
  if (at >= 0) parts[at] = 'labels';
  return parts.join(sep);
}

function withEnding(picture: string): string {
  return `${picture.slice(0, picture.length - extname(picture).length)}.txt`;
}
