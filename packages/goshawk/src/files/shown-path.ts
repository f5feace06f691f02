// Paths as a person gave them, or would.
import { relative, sep } from 'node:path';

/** An absolute path as it is called from the current folder, where it lies below that. */
export function shownPath(path: string): string {
  const below = relative('', path);
  return below === '' || below === '..' || below.startsWith(`..${sep}`) ? path : below;
}
