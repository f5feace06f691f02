// The folder that holds all of several paths.
import { dirname, sep } from 'node:path';

/** The innermost folder that is each of the given ones or holds it. @param folders at least one, absolute */
export function commonFolder(folders: readonly string[]): string {
  let common = folders[0]!;
  for (const folder of folders) while (folder !== common && !isBelow(common, folder)) common = dirname(common);
  return common;
}

/** Whether a path lies in a folder, or in one of its folders. */
export function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
