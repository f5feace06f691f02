// What a person sees in a folder: not what file systems, archives and editors leave beside it.
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Whether a path, as a listing of a folder gives it, leads to or through what is none of a person's own: names that begin with a dot, such
 * as `._a.jpg` (macOS' second half of a.jpg) and `.ipynb_checkpoints`, and the folder `__MACOSX` of its archives.
 */
export function isHidden(path: string): boolean {
  return path.split(/[\\/]/).some((part) => part.startsWith('.') || part === '__MACOSX');
}

/** The folders in a folder, sorted; links to folders too. None where it cannot be read. */
export function foldersIn(path: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
  const isFolder = (entry: Dirent): boolean =>
    entry.isDirectory() ||
    (entry.isSymbolicLink() && statSync(join(path, entry.name), { throwIfNoEntry: false })?.isDirectory() === true);
  return entries
    .filter((entry) => !isHidden(entry.name) && isFolder(entry))
    .map(({ name }) => join(path, name))
    .sort();
}
