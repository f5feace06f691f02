import { createHash } from 'node:crypto';
import { readFileChunks } from './read-chunks.js';

/** Of a file of any length, in hexadecimal digits. */
export function sha256Of(file: string): string {
  const hash = createHash('sha256');
  for (const chunk of readFileChunks(file)) hash.update(chunk);
  return hash.digest('hex');
}
