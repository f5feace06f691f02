// The pictures that a person names: files, and folders with everything below them.
import { readdirSync, statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { InputError } from '@goshawk/core';
import { fileError } from '../files/read-file.js';

export interface NamedImage {
  /** To be opened. */
  readonly path: string;
  /** As written into detections.json: a file as given, a folder's pictures relative to it. */
  readonly fileName: string;
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);

/**
 * Files as they are named, and the pictures in folders, in order of their names. Links to pictures count, links to folders
 * are not followed.
 * @throws InputError for a path that does not exist or cannot be read, and for a folder without pictures
 */
export function findImages(paths: readonly string[]): NamedImage[] {
  return paths.flatMap((path) => {
    const found = picturesIn(path);
    if (found === undefined) return [{ path, fileName: path }];
    if (found.length === 0)
      throw new InputError(
        'file-not-found',
        `${path}: no pictures in this folder (expected ${[...EXTENSIONS].join(' ')}): name another folder`,
      );
    return found.map((file) => ({ path: file, fileName: relative(path, file) }));
  });
}

/** Sorted; undefined where `path` is no folder. */
function picturesIn(path: string): string[] | undefined {
  try {
    if (!statSync(path).isDirectory()) return undefined;
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => EXTENSIONS.has(extname(entry.name).toLowerCase()))
      .filter((entry) => entry.isFile() || (entry.isSymbolicLink() && leadsToFile(join(entry.parentPath, entry.name))))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (error) {
    throw fileError(error, path);
  }
}

function leadsToFile(link: string): boolean {
  return statSync(link, { throwIfNoEntry: false })?.isFile() ?? false;
}
