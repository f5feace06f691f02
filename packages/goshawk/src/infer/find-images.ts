// The pictures that a person names: files, and folders with everything below them.
import { readdirSync, statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { InputError } from '@goshawk/core';

export interface NamedImage {
  /** To be opened. */
  readonly path: string;
  /** As written into detections.json: a file as given, a folder's pictures relative to it. */
  readonly fileName: string;
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);

/** @throws InputError for a path that does not exist and a folder without pictures */
export function findImages(paths: readonly string[]): NamedImage[] {
  return paths.flatMap((path) => {
    const status = statSync(path, { throwIfNoEntry: false });
    if (!status) throw new InputError('file-not-found', `${path}: no such file or folder`);
    if (!status.isDirectory()) return [{ path, fileName: path }];
    const found = readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase()))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    if (found.length === 0)
      throw new InputError('file-not-found', `${path}: no pictures in this folder (${[...EXTENSIONS].join(' ')})`);
    return found.map((file) => ({ path: file, fileName: relative(path, file) }));
  });
}
