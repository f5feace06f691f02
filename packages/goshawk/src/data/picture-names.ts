// Which files are pictures, by their names.
import { extname } from 'node:path';

const endings: ReadonlySet<string> = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);

/** As a message lists them. */
export const shownEndings = [...endings].join(' ');

export function isPictureName(name: string): boolean {
  return endings.has(extname(name).toLowerCase());
}
