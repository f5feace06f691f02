// Which files are pictures, by their names.
import { extname } from 'node:path';

const endings = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif']);

export function isPictureName(name: string): boolean {
  return endings.has(extname(name).toLowerCase());
}
