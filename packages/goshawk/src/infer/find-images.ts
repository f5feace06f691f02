// The pictures that a person names: files, and folders with everything below them.
import { isUtf8 } from 'node:buffer';
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { InputError } from '@goshawk/core';
import { fileError } from '../files/read-file.js';
import { isHidden } from '../files/visible-entries.js';

export interface NamedImage {
  /** To be opened. */
  readonly path: string;
  /** As written into detections.json: a file as given, a folder's pictures relative to it. */
  readonly fileName: string;
}

export interface FindImagesOptions {
  /**
   * Is told of each picture that is there and cannot be taken: a link that leads nowhere or in a circle, a name that is no UTF-8, a
   * folder that may not be read. Without it the first of them is thrown.
   */
  readonly onUnusable?: (error: InputError) => void;
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);
/** What takes the place of bytes that are no UTF-8 in a name. */
const REPLACEMENT = '\uFFFD';

const VIDEO_EXTENSIONS: ReadonlySet<string> = new Set(
  '.mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .m2ts .mts .wmv .flv .3gp .ogv .mjpeg'.split(' '),
);
/** In folders these are texts as a rule, and videos where they are named. */
const DOUBTFUL_EXTENSIONS: ReadonlySet<string> = new Set(['.ts']);

/**
 * Files as they are named, and the pictures in folders, in order of their names. Links to pictures count, links to folders
 * are not followed, and what is hidden is passed over: names that begin with a dot, macOS' `__MACOSX`.
 * @throws InputError for a path that does not exist or cannot be read, and for a folder without pictures
 */
export function findImages(paths: readonly string[], options: FindImagesOptions = {}): NamedImage[] {
  return findFiles(paths, options, {
    isWanted: isPictureName,
    what: `pictures in this folder (expected ${shownPictures})`,
  });
}

/** The same for pictures and videos; a file is a video where its name ends as one's. */
export function findMedia(
  paths: readonly string[],
  options: FindImagesOptions = {},
): { readonly images: readonly NamedImage[]; readonly videos: readonly NamedImage[] } {
  const isVideo = (name: string) => VIDEO_EXTENSIONS.has(extname(name).toLowerCase());
  const found = findFiles(paths, options, {
    isWanted: (name) => isPictureName(name) || isVideo(name),
    what: `pictures or videos in this folder (expected ${shownPictures}, or videos such as .mp4)`,
  });
  const isTaken = ({ path }: NamedImage) => isVideo(path) || DOUBTFUL_EXTENSIONS.has(extname(path).toLowerCase());
  return { images: found.filter((one) => !isTaken(one)), videos: found.filter(isTaken) };
}

const shownPictures = [...EXTENSIONS].join(' ');

interface Wanted {
  readonly isWanted: (name: string) => boolean;
  /** For a folder that has none. */
  readonly what: string;
}

function findFiles(paths: readonly string[], options: FindImagesOptions, { isWanted, what }: Wanted): NamedImage[] {
  const tell = (error: InputError): void => {
    if (options.onUnusable === undefined) throw error;
    options.onUnusable(error);
  };
  return paths.flatMap((path) => {
    const kind = kindOf(path, tell);
    if (kind === 'unusable') return [];
    if (kind === 'file') return [{ path, fileName: path }];
    const found: string[] = [];
    let unusable = 0;
    const tellOne = (error: InputError): void => {
      unusable += 1;
      tell(error);
    };
    collectFiles(path, found, isWanted, tellOne);
    if (found.length + unusable === 0)
      throw new InputError('file-not-found', `${path}: no ${what}: name another folder`);
    return found.sort().map((file) => ({ path: file, fileName: relative(path, file) }));
  });
}

/** What a person named. @throws InputError where there is no such thing, or a folder that may not be read */
function kindOf(path: string, tell: (error: InputError) => void): 'file' | 'folder' | 'unusable' {
  try {
    if (!statSync(path).isDirectory()) return 'file';
    readdirSync(path);
    return 'folder';
  } catch (error) {
    // With `photos/*` a shell names what is there, so a broken link is no slip of the pen, nor is a name that came as other bytes.
    if (path.includes(REPLACEMENT)) tell(notUtf8(path));
    else if (isLink(path)) tell(fileError(error, path));
    else throw fileError(error, path);
    return 'unusable';
  }
}

function collectFiles(
  folder: string,
  found: string[],
  isWanted: Wanted['isWanted'],
  tell: (error: InputError) => void,
): void {
  const aliases = tellOddNames(folder, isWanted, tell);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    // Text that several names become stands in the list once for each of them.
    if (aliases.length > 0 && aliases.includes(entry.name)) {
      aliases.splice(aliases.indexOf(entry.name), 1);
      continue;
    }
    if (isHidden(entry.name)) continue;
    const path = join(folder, entry.name);
    if (!entry.isDirectory() && !isWanted(entry.name)) continue;
    try {
      if (entry.isDirectory()) collectFiles(path, found, isWanted, tell);
      else if (entry.isFile() || (entry.isSymbolicLink() && statSync(path).isFile())) found.push(path);
    } catch (error) {
      if (error instanceof InputError) throw error;
      tell(fileError(error, path));
    }
  }
}

/** Names of wanted files and of folders that are no UTF-8 are told; @returns all such names as text, which other names may have too */
function tellOddNames(folder: string, isWanted: Wanted['isWanted'], tell: (error: InputError) => void): string[] {
  return readdirSync(folder, 'buffer')
    .filter((name) => !isUtf8(name))
    .map((name) => {
      const text = name.toString();
      const path = Buffer.concat([Buffer.from(`${folder}/`), name]);
      if (isWanted(text) || statSync(path, { throwIfNoEntry: false })?.isDirectory())
        tell(notUtf8(join(folder, bytesShown(name))));
      return text;
    });
}

function isPictureName(name: string): boolean {
  return EXTENSIONS.has(extname(name).toLowerCase());
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

function notUtf8(path: string): InputError {
  return new InputError('usage', `${path}: its name is no UTF-8, which names in results have to be: rename it`);
}

/** A name as it is on the disk, bytes that are no ASCII as `\xe9`. */
function bytesShown(name: Buffer): string {
  return Array.from(name, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}
