// labelme's JSON files in a folder and those below it, beside their pictures or in a folder beside that of the pictures.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { InputError, type LabelmeFile, type LabelmePicture } from '@goshawk/core';
import { commonFolder, isBelow } from '../files/common-folder.js';
import { readHead } from '../files/read-head.js';
import { readSmallBytes } from '../files/read-small-text.js';
import { shownPath } from '../files/shown-path.js';
import { foldersIn, isHidden } from '../files/visible-entries.js';
import { isPictureName } from './picture-names.js';
import { shownSize } from './shown-size.js';

/** The files of one set; reading them is left to the iteration. */
export interface LabelmeFolder {
  readonly files: Iterable<LabelmeFile>;
  /** Folder that the pictures' names start from. */
  readonly images: string;
}

/**
 * Opens a folder, or one file. A picture is where the file says, else beside it or, where none lies beside the files, in a folder beside
 * theirs, under the name that the file says or has itself. Never farther away: annotation files are other people's, and the folders beside
 * may be other data sets with pictures of the same names.
 * @param images folder that the pictures' names are to start from; absent: the innermost that holds them all
 */
export function openLabelmeFolder(path: string, images?: string): LabelmeFolder {
  const isFile = !statSync(path).isDirectory();
  const files = isFile ? [resolve(path)] : labelmeFilesIn(path);
  if (files.length === 0)
    throw new InputError('annotation-invalid', `${path}: has no labelme files: name the folder that holds them`);
  const find = pictureFinder(images === undefined ? undefined : resolve(images));
  const found = files.map((file) => ({ file, ...find(file) }));
  const root = images === undefined ? commonFolder(found.map(({ folder }) => folder)) : resolve(images);
  return { files: readAll(found, root), images: root };
}

/** Whether a JSON file is of labelme, by its beginning and its end: the picture may lie between. */
export function isLabelmeFile(path: string): boolean {
  const { head, tail } = readHead(path, 65_536);
  const text = `${head} ${tail}`;
  return /^\s*\{/.test(head) && /"shapes"\s*:\s*\[/.test(text) && /"image(Path|Height|Data)"\s*:/.test(text);
}

/** Whether the first JSON files of a folder, or of one in it, are of labelme. */
export function isLabelmeFolder(path: string): boolean {
  return [path, ...foldersIn(path)].some((folder) => {
    const first = jsonNames(readdirSync(folder)).slice(0, 3);
    return first.some((name) => isLabelmeFile(join(folder, name)));
  });
}

function labelmeFilesIn(folder: string): string[] {
  return jsonNames(readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    .map((name) => resolve(folder, name))
    .filter((file) => statSync(file).isFile() && (isLabelmeFile(file) || hasItsPicture(file)));
}

/** A file that is called as a picture beside it is meant to be of labelme, whatever became of it: reading says what is wrong. */
function hasItsPicture(file: string): boolean {
  const name = bare(basename(file));
  return readdirSync(dirname(file)).some((other) => isPictureName(other) && bare(other) === name);
}

function jsonNames(names: readonly string[]): string[] {
  return names.filter((name) => /\.json$/i.test(name) && !isHidden(name)).sort();
}

interface Found {
  /** Of the picture as far as names tell: the file itself says more when it is read. */
  readonly folder: string;
  readonly locate: (imagePath: string | undefined) => string | undefined;
}

/** Finds the pictures of files, listing each folder once. */
function pictureFinder(images: string | undefined): (file: string) => Found {
  const listed = new Map<string, ReadonlyMap<string, string>>();
  /** Pictures of a folder by their names, and by those without their ending. */
  const picturesIn = (folder: string): ReadonlyMap<string, string> => {
    const known = listed.get(folder);
    if (known !== undefined) return known;
    const names = existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => isPictureName(name) && !isHidden(name))
          .sort()
      : [];
    const all = new Map([
      ...names.map((name) => [bare(name), join(folder, name)] as const),
      ...names.map((name) => [name, join(folder, name)] as const),
    ]);
    listed.set(folder, all);
    return all;
  };
  const besides = new Map<string, string[]>();
  const foldersBeside = (folder: string): string[] => {
    const known = besides.get(folder);
    if (known !== undefined) return known;
    const others = foldersIn(dirname(folder));
    besides.set(folder, others);
    return others;
  };
  const among = new Map<string, boolean>();
  /** Whether a file of the folder lies beside its picture. */
  const isAmongPictures = (folder: string): boolean => {
    const known = among.get(folder);
    if (known !== undefined) return known;
    const pictures = picturesIn(folder);
    const isAmong = jsonNames(readdirSync(folder)).some((name) => pictures.has(bare(name)));
    among.set(folder, isAmong);
    return isAmong;
  };
  return (file) => {
    const own = dirname(file);
    const places = images !== undefined ? [images, own] : isAmongPictures(own) ? [own] : [own, ...foldersBeside(own)];
    const named = (name: string): string | undefined =>
      places.map((place) => picturesIn(place).get(name)).find((path) => path !== undefined);
    const byOwnName = named(bare(basename(file)));
    const locate = (imagePath: string | undefined): string | undefined => {
      if (imagePath === undefined || imagePath === '') return byOwnName;
      // Written on Windows, too.
      const said = resolve(own, imagePath.replaceAll('\\', '/'));
      const isNear = isBelow(images ?? dirname(own), said) && isPictureName(said) && existsSync(said);
      return isNear ? said : (named(basename(said)) ?? byOwnName);
    };
    return { folder: dirname(byOwnName ?? locate(imagePathIn(file)) ?? file), locate };
  };
}

/** What a file says of its picture, where that stands near its beginning or end; enough to see which folder it is in. */
function imagePathIn(file: string): string | undefined {
  const { head, tail } = readHead(file, 262_144);
  const text = /"imagePath"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(`${head} ${tail}`)?.[1];
  return text === undefined ? undefined : (JSON.parse(`"${text}"`) as string);
}

function bare(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

function* readAll(found: readonly (Found & { readonly file: string })[], root: string): Generator<LabelmeFile> {
  for (const { file, locate } of found) {
    yield {
      fileName: shownPath(file),
      content: readSmallBytes(file),
      locate: (imagePath): LabelmePicture => {
        const picture = locate(imagePath);
        if (picture !== undefined && isBelow(root, picture))
          return {
            image: relative(root, picture).split(sep).join('/'),
            isThere: true,
            size: () => shownSize(picture),
          };
        // It is missed where pictures are looked for, by the name that it has here.
        const folder = relative(root, dirname(file)).split(sep).join('/');
        const said = imagePath?.replaceAll('\\', '/') || `${bare(basename(file))}.jpg`;
        const name = /^(\/|[a-z]:)/i.test(said) ? basename(said) : said;
        const isAbove = folder === '' || folder.startsWith('..');
        return { image: isAbove ? name : `${folder}/${name}`, isThere: false };
      },
    };
  }
}
