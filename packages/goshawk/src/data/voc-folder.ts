// A folder as the PASCAL VOC devkit lays it out: Annotations/ID.xml, JPEGImages/ID.jpg and ImageSets/Main/SET.txt, whose
// lines begin with an ID. Also as people lay out their own: XML files in a folder of any name beside one of pictures, or among
// the pictures; a folder of XML files alone, or one file.
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { InputError, imagePathProblem, type VocFile } from '@goshawk/core';
import { lookOf } from '../files/look-alike.js';
import { fileError } from '../files/read-file.js';
import { readSmallBytes, readSmallText } from '../files/read-small-text.js';
import { foldersIn, isHidden } from '../files/visible-entries.js';
import { isPictureName } from './picture-names.js';
import { shownSize } from './shown-size.js';

/** The files of one set; reading them is left to the iteration. */
export interface VocFolder {
  readonly files: Iterable<VocFile>;
  /** Where the pictures are, if the folder has a place for them. */
  readonly images: string | undefined;
}

/**
 * @param set name of a list in ImageSets/Main (or of a file in ImageSets); undefined: every file, by name
 * @throws InputError where the folder, set or a file that it names is missing
 */
export function openVocFolder(path: string, set?: string): VocFolder {
  if (/\.xml$/i.test(path)) return { files: vocFiles([path], undefined), images: undefined };
  const folder = xmlFolderOf(path) ?? path;
  const images = pictureFolderOf(path, folder);
  const ids = set === undefined ? undefined : readImageSet(path, folder, set);
  const names = ids?.map(({ id }) => `${id}.xml`) ?? listXml(folder);
  if (names.length === 0) {
    throw new InputError(
      'annotation-invalid',
      `${folder}: has no XML files (expected PASCAL VOC annotations): name the folder that holds Annotations, or correct the set`,
    );
  }
  for (const { id, where } of ids ?? []) {
    if (!existsSync(join(folder, `${id}.xml`))) {
      throw new InputError(
        'file-not-found',
        `${where}: names ${id}, but ${join(folder, `${id}.xml`)} is not there: correct the list or add the file`,
      );
    }
  }
  return {
    files: vocFiles(
      names.map((name) => join(folder, name)),
      images,
    ),
    images,
  };
}

/** Names of the lists in ImageSets/Main, without those of single classes (aeroplane_train). */
export function vocSets(path: string): string[] {
  const names = listFolder(join(path, 'ImageSets', 'Main')) ?? listFolder(join(path, 'ImageSets')) ?? [];
  return names
    .filter((name) => name.endsWith('.txt') && !name.includes('_'))
    .map((name) => name.slice(0, -'.txt'.length))
    .sort();
}

function readImageSet(path: string, xmlFolder: string, set: string): { id: string; where: string }[] {
  const refuse = (problem: string, code: 'file-not-found' | 'annotation-invalid'): InputError => {
    const known = vocSets(path);
    const remedy = known.length === 0 ? 'leave set out to take every file' : `the sets here are ${known.join(', ')}`;
    return new InputError(code, `${join(path, 'ImageSets', 'Main', `${set}.txt`)}: ${problem}: ${remedy}`);
  };
  if (imagePathProblem(set) !== undefined) throw refuse('is no name of a set', 'annotation-invalid');
  const file = [join(path, 'ImageSets', 'Main', `${set}.txt`), join(path, 'ImageSets', `${set}.txt`)].find(existsSync);
  if (file === undefined) throw refuse('not found', 'file-not-found');
  const ids: { id: string; where: string }[] = [];
  for (const [i, line] of readSmallText(file).split(/\r?\n/).entries()) {
    // The lists of single classes say behind each ID whether the class is there; here the objects themselves say it.
    const said = line.trim().replace(/\s+(-1|0|1)$/, '');
    // Some lists have the names of files.
    const isFileName = (isPictureName(said) || isXml(said)) && !existsSync(join(xmlFolder, `${said}.xml`));
    const id = isFileName ? stem(said) : said;
    if (id === '') continue;
    const problem = imagePathProblem(id);
    if (problem !== undefined) throw new InputError('annotation-invalid', `${file}: line ${i + 1} ${problem}`);
    ids.push({ id, where: `${file}: line ${i + 1}` });
  }
  if (ids.length === 0) throw refuse('names no picture', 'annotation-invalid');
  return ids;
}

function* vocFiles(paths: readonly string[], images: string | undefined): Generator<VocFile> {
  const pictures = picturesByName(images);
  for (const path of paths) {
    const own = pictures.get(composed(basename(path).replace(/\.xml$/i, '')));
    // Two pictures of one name: the XML's filename decides, as for one that is missing.
    const image = own?.length === 1 ? own[0] : undefined;
    const found = image !== undefined && { image, size: () => shownSize(join(images!, image)) };
    yield { fileName: path, content: readSmallBytes(path), ...found };
  }
}

/** By names without their endings, which differ in their case, or altogether, from what files say; annotations may lie among them. */
function picturesByName(folder: string | undefined): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const name of (folder === undefined ? undefined : listFolder(folder)) ?? []) {
    if (!isPictureName(name)) continue;
    const bare = composed(stem(name));
    names.set(bare, [...(names.get(bare) ?? []), name]);
    // Annotated as a.jpg.xml.
    names.set(composed(name), [name]);
  }
  return names;
}

function listXml(folder: string): string[] {
  try {
    return readdirSync(folder).filter(isXml).sort();
  } catch (error) {
    throw fileError(error, folder);
  }
}

/** What a person sees in it; undefined where it cannot be read. */
function listFolder(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).filter((name) => !isHidden(name));
  } catch {
    return undefined;
  }
}

/** Whether a folder has annotations of PASCAL VOC, as the devkit lays them out or otherwise. */
export function isVocFolder(path: string): boolean {
  return xmlFolderOf(path) !== undefined;
}

/** What people call a folder of annotations, where others hold XML files too. */
const ANNOTATIONS = /annot|xml|label/i;

/** The devkit's folder; else the given one; else the one in it, or in its folder of annotations, that has XML files of VOC. */
function xmlFolderOf(path: string): string | undefined {
  const devkit = join(path, 'Annotations');
  if (existsSync(devkit)) return devkit;
  if (xmlCount(path) > 0) return path;
  const hasVoc = (folder: string): boolean => xmlCount(folder) > 0 && isVocXml(folder);
  const inside = foldersIn(path);
  // Several data sets side by side are not one.
  if (inside.some((folder) => existsSync(join(folder, 'Annotations')))) return undefined;
  const named = inside.filter((folder) => ANNOTATIONS.test(basename(folder)));
  for (const folders of [inside, named, named.flatMap(foldersIn)]) {
    const found = folders.filter(hasVoc);
    if (found.length === 1) return found[0];
  }
  return undefined;
}

/**
 * The devkit's folder; else, among the XML files or in the folder that was named, the one that has most of their pictures; else one beside
 * the XML files' own. What lies beside is asked last: another data set there may have pictures of the same names.
 */
function pictureFolderOf(path: string, xmlFolder: string): string | undefined {
  const devkit = join(path, 'JPEGImages');
  if (basename(xmlFolder) === 'Annotations' && existsSync(devkit)) return devkit;
  const wanted = new Set((listFolder(xmlFolder) ?? []).filter(isXml).map((name) => lookOf(stem(name))));
  const fullest = (places: readonly string[]): string | undefined => {
    let best: { folder: string; count: number } | undefined;
    for (const folder of new Set(places)) {
      const pictures = (listFolder(folder) ?? []).filter(isPictureName);
      const count = pictures.filter((name) => wanted.has(lookOf(stem(name))) || wanted.has(lookOf(name))).length;
      if (count > (best?.count ?? 0)) best = { folder, count };
    }
    return best?.folder;
  };
  const beside = dirname(xmlFolder);
  // Where the devkit has none yet, messages name the place where it belongs.
  return (
    fullest([xmlFolder, path, ...foldersIn(path)]) ??
    fullest([beside, ...foldersIn(beside)]) ??
    (basename(xmlFolder) === 'Annotations' ? devkit : undefined)
  );
}

function xmlCount(folder: string): number {
  return (listFolder(folder) ?? []).filter(isXml).length;
}

/** Whether the first XML file of a folder is of one picture: other programs write XML too. */
function isVocXml(folder: string): boolean {
  const first = listXml(folder)[0]!;
  return /<annotation[\s>]/.test(readSmallText(join(folder, first)).slice(0, 4096));
}

function isXml(name: string): boolean {
  return /\.xml$/i.test(name) && !isHidden(name);
}

/** Archives of macOS have letters and their accents apart. */
function composed(name: string): string {
  return name.normalize('NFC');
}

function stem(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}
