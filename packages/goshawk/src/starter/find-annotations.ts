// From a folder of photos to the annotations in it: which format, where the pictures are, which part is for training.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { forwardSlashes, InputError, imageNameInUrl, imagePathProblem } from '@goshawk/core';
import { type AnnotationSource, annotationFormat, annotationSets } from '../data/index.js';
import { leftOut, yoloSetsGone } from '../data/yolo-folder.js';
import { isNamesText } from '../data/yolo-list.js';
import { LookAlikes } from '../files/look-alike.js';
import { isMadeFolder } from '../files/made-folder.js';
import { readFileChunks } from '../files/read-chunks.js';
import { missingRemedy } from '../files/read-file.js';
import { readHead } from '../files/read-head.js';
import { foldersIn } from '../files/visible-entries.js';

export interface FoundAnnotations {
  readonly train: AnnotationSource;
  /** Absent: a part of `train` is to be kept for it. */
  readonly val?: AnnotationSource;
  readonly test?: AnnotationSource;
  /** What is there, in words. */
  readonly words: string;
  /** What is named and not there. */
  readonly warnings?: readonly string[];
}

type Part = 'train' | 'val' | 'test';

/** What people call the parts of a data set. */
const partNames: Readonly<Record<Part, RegExp>> = {
  train: /(^|[^a-z])(train|training|trainval|train_?val)([^a-z]|$)/i,
  val: /(^|[^a-z])(val|valid|validation|eval|dev|minival)([^a-z]|$)/i,
  test: /(^|[^a-z])(test|testing)([^a-z]|$)/i,
};

/** Folders inside one another that are looked into: archives unpack into one, of the name of the data set. */
const DEEPEST = 3;

/**
 * Finds the annotations at a path: a folder of any layout that people have, or one file.
 * @param images folder that file names start from, where it is not to be found beside the annotations
 * @throws InputError where nothing is found, or too much to choose from
 */
export function findAnnotations(path: string, images?: string): FoundAnnotations {
  if (!existsSync(path))
    throw new InputError('file-not-found', `${path}: no such file or folder: ${missingRemedy(path)}`);
  const found = statSync(path).isDirectory() ? inFolder(path, images, DEEPEST) : ofFile(path, images);
  if (found !== undefined) return found;
  throw new InputError(
    'annotation-invalid',
    `${path}: no annotations found (expected a COCO .json file, XML files of PASCAL VOC or CVAT, JSON files of labelme, or labels of YOLO, beside the pictures): name the annotation file, with --images where its pictures are elsewhere`,
  );
}

/** Whether a path is of annotations, and not of a config. */
export function isAnnotations(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return false;
  if (status.isDirectory() || /\.(xml|m?js|txt)$/i.test(path)) return true;
  return /\.json$/i.test(path) ? isCoco(path) : /\.ya?ml$/i.test(path) && isNamesText(readHead(path, 65_536).head);
}

function ofFile(path: string, images: string | undefined): FoundAnnotations {
  const format = annotationFormat({ annotations: path });
  if (format !== 'coco') return ofSets(path, images);
  const folder = dirname(path);
  const isPart = /annot|label|json|coco/i.test(basename(resolve(folder)));
  return ofCocoFiles(sibling(path), isPart ? join(folder, '..') : folder, images)!;
}

/** A file for training, and those of the same name but for the part, such as instances_val2017.json. */
function sibling(path: string): string[] {
  const name = basename(path);
  if (!partNames.train.test(name)) return [path];
  const folder = dirname(path);
  const others = cocoFilesIn(folder).filter((file) => {
    const other = basename(file);
    return partOf(other) !== 'train' && withoutPart(other) === withoutPart(name);
  });
  return [path, ...others];
}

function inFolder(path: string, images: string | undefined, depth: number): FoundAnnotations | undefined {
  const known = knownFormat(path);
  if (known === 'yolo' || known === 'cityscapes') return ofSets(path, images);
  const parted = ofPartFolders(path, images);
  if (parted) return parted;
  if (known !== undefined) return ofSets(path, images);
  // Its own files, or those of the one folder in it that has some: several are several data sets.
  const own = cocoFilesIn(path);
  const inside =
    own.length > 0
      ? []
      : ownFoldersIn(path)
          .map(cocoFilesIn)
          .filter((files) => files.length > 0);
  const files = inside.length === 1 ? inside[0]! : own;
  const coco = files.length > 0 ? ofCocoFiles(files, path, images) : undefined;
  if (coco) return coco;
  if (depth === 0) return undefined;
  const below = ownFoldersIn(path).flatMap((folder) => inFolder(folder, images, depth - 1) ?? []);
  if (below.length <= 1) return below[0];
  throw new InputError(
    'usage',
    `${path}: holds several data sets (${below.map(({ train }) => train.annotations).join(', ')}): name one of them`,
  );
}

/** The folders in a folder but for those that earlier trainings and predictions have left there. */
function ownFoldersIn(path: string): string[] {
  return foldersIn(path).filter((folder) => !isMadeFolder(folder));
}

/** Undefined for COCO, whose folders have no marks of their own, and where nothing is known. */
function knownFormat(path: string): string | undefined {
  try {
    return annotationFormat({ annotations: path });
  } catch (error) {
    if (error instanceof InputError && error.code === 'file-unreadable') return undefined;
    throw error;
  }
}

/** Folders train/ and valid/ (or val/, test/), each with annotations of its own. */
function ofPartFolders(path: string, images: string | undefined): FoundAnnotations | undefined {
  const parts = new Map<Part, AnnotationSource>();
  let words = '';
  for (const folder of ownFoldersIn(path)) {
    const part = partOf(basename(folder));
    if (part === undefined || parts.has(part)) continue;
    const format = knownFormat(folder);
    if (format !== undefined) {
      parts.set(part, sourceOf(folder, images));
      words = nameOf(format);
    } else {
      const file = cocoFilesIn(folder)[0];
      if (file === undefined) continue;
      parts.set(part, cocoSource(file, [folder, path], images));
      words = nameOf('coco');
    }
  }
  return parts.has('train') ? found(parts, `${words} in a folder for each part`) : undefined;
}

/** One path whose format knows sets by name, or none. */
function ofSets(path: string, images: string | undefined): FoundAnnotations {
  const format = annotationFormat({ annotations: path });
  const sets = annotationSets({ annotations: path });
  const source = sourceOf(path, images);
  const parts = new Map<Part, AnnotationSource>();
  const warnings = format === 'yolo' ? warningsOfYolo(path) : [];
  // The shortest name that is meant for a part: train before trainval, val before minival.
  for (const set of [...sets].sort((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const part = partOf(set);
    if (part !== undefined && !parts.has(part)) parts.set(part, { ...source, set });
  }
  if (!parts.has('train') && sets.length > 0) {
    const [only] = sets;
    return { train: sets.length === 1 ? { ...source, set: only! } : source, words: nameOf(format), warnings };
  }
  if (!parts.has('train')) return { train: source, words: nameOf(format) };
  return { ...found(parts, `${nameOf(format)} with its own sets`), warnings };
}

/** Of sets that a data.yaml names and that are not there. @throws InputError where one is what is to be learned from */
function warningsOfYolo(path: string): string[] {
  const { file, gone } = yoloSetsGone(path);
  const train = gone.find(({ set }) => set === 'train');
  if (train !== undefined)
    throw new InputError(
      'file-not-found',
      `${file}: train: is ${train.place}, which is not there: correct the path, or put the pictures there`,
    );
  return gone.map(({ set, place }) => `${file}: ${set}: ${leftOut(place)}`);
}

function sourceOf(path: string, images: string | undefined): AnnotationSource {
  return { annotations: path, ...(images === undefined ? {} : { images }) };
}

function ofCocoFiles(files: readonly string[], root: string, images: string | undefined): FoundAnnotations | undefined {
  const parts = new Map<Part, AnnotationSource>();
  const unnamed: string[] = [];
  // instances_train.json before captions_train.json, and the shorter name before the longer.
  const rank = (file: string): number => (/instance|bbox|det/i.test(basename(file)) ? 0 : 1000) + basename(file).length;
  for (const file of [...files].sort((a, b) => rank(a) - rank(b))) {
    const part = partOf(basename(file));
    if (part === undefined) unnamed.push(file);
    else if (!parts.has(part)) parts.set(part, cocoSource(file, [dirname(file), root], images));
  }
  const words = `${nameOf('coco')} file`;
  if (parts.has('train')) return found(parts, parts.has('val') || parts.has('test') ? `${words}s, one a part` : words);
  const all = [...unnamed, ...files.filter((file) => !unnamed.includes(file))];
  const [first] = all;
  if (first === undefined) return undefined;
  if (all.length > 1)
    throw new InputError(
      'usage',
      `${root}: has several annotation files (${all.map((file) => relative(root, file)).join(', ')}): name the one to train with`,
    );
  return { train: cocoSource(first, [dirname(first), root], images), words };
}

/** Validation is what is called so; a test set stands in for it, and a third part stays for the end. */
function found(parts: ReadonlyMap<Part, AnnotationSource>, words: string): FoundAnnotations {
  const [train, val, test] = [parts.get('train')!, parts.get('val'), parts.get('test')];
  const validation = val ?? test;
  return {
    train,
    ...(validation && { val: validation }),
    ...(val && test && { test }),
    words,
  };
}

function partOf(name: string): Part | undefined {
  const bare = name.replace(/\.[^.]*$/, '').replace(/\d{4}/g, ' ');
  return (['val', 'test', 'train'] as const).find((part) => partNames[part].test(bare));
}

function withoutPart(name: string): string {
  return name.replace(/train(ing)?|valid(ation)?|val|test(ing)?/gi, '');
}

function nameOf(format: string): string {
  const names: Readonly<Record<string, string>> = {
    coco: 'COCO',
    voc: 'PASCAL VOC',
    yolo: 'YOLO',
    cvat: 'CVAT',
    cityscapes: 'Cityscapes',
  };
  return names[format] ?? format;
}

/** Of COCO: a JSON object with images and annotations; configs and results are JSON too. */
function cocoFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /\.json$/i.test(name) && !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile() && isCoco(file));
}

function isCoco(file: string): boolean {
  const { head, tail } = readHead(file, 65_536);
  if (!/^\s*\{/.test(head)) return false;
  const text = `${head} ${tail}`;
  if (/"images"\s*:\s*\[/.test(text) && /"(annotations|categories)"\s*:\s*\[/.test(text)) return true;
  // Lists stand in any order, and the list of pictures may begin and end far from the file's ends.
  const hasOthers = /"(annotations|categories)"\s*:\s*\[/.test(text);
  return hasOthers && tail !== '' && findInFile(file, /"images"\s*:\s*\[/g, 1).length > 0;
}

/** The first matches in a file of any size; a match has at most a few hundred characters. */
function findInFile(file: string, pattern: RegExp, most: number): RegExpMatchArray[] {
  const decoder = new TextDecoder();
  const found: RegExpMatchArray[] = [];
  let text = '';
  for (const chunk of readFileChunks(file)) {
    text += decoder.decode(chunk, { stream: true });
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      found.push(match);
      if (found.length === most) return found;
      end = match.index + match[0].length;
    }
    // The beginning of a match may be cut.
    text = text.slice(Math.max(end, text.length - LONGEST_MATCH));
  }
  return found;
}

const LONGEST_MATCH = 4096;

function cocoSource(file: string, places: readonly string[], images: string | undefined): AnnotationSource {
  return { annotations: file, images: images ?? pictureFolder(file, places) };
}

/** The folder below which the first pictures of a COCO file lie. @throws InputError where none is */
function pictureFolder(file: string, places: readonly string[]): string {
  const names = pictureNamesIn(file);
  const lookAlikes = new LookAlikes();
  const countIn = (folder: string): number =>
    names.filter((name) => existsSync(join(folder, name)) || lookAlikes.find(folder, name) !== undefined).length;
  const counted = places.map((place) => {
    const inside = ownFoldersIn(place).flatMap((folder) => [folder, ...ownFoldersIn(folder)]);
    const counts = [place, ...inside].map((folder) => ({ folder, count: countIn(folder) }));
    return counts.sort((a, b) => b.count - a.count)[0]!;
  });
  // The nearest that has them: farther away another set may have pictures of the same names, and more of them.
  const near = counted.find(({ count }) => count > 0 && count * 2 >= names.length);
  const best = near ?? counted.sort((a, b) => b.count - a.count)[0];
  if (best !== undefined && best.count > 0) return best.folder;
  const unusable = names.map((name) => ({ name, problem: imagePathProblem(name) })).find(({ problem }) => problem);
  if (unusable !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${file}: file_name is ${JSON.stringify(unusable.name)}, which ${unusable.problem}`,
    );
  throw new InputError(
    'file-not-found',
    `${file}: its pictures${names[0] === undefined ? '' : `, such as ${names[0]},`} are not near it: name their folder with --images`,
  );
}

/** What the first pictures of a COCO file are called: by name or, as in LVIS, by their addresses. */
function pictureNamesIn(file: string): string[] {
  const textsOf = (key: 'file_name' | 'coco_url'): string[] =>
    findInFile(file, new RegExp(`"${key}"\\s*:\\s*"((?:[^"\\\\]|\\\\.)*)"`, 'g'), FEW_NAMES).map(
      ([, text]) => JSON.parse(`"${text}"`) as string,
    );
  const names = textsOf('file_name');
  return names.length > 0 ? names.map(forwardSlashes) : textsOf('coco_url').flatMap((url) => imageNameInUrl(url) ?? []);
}

const FEW_NAMES = 20;
