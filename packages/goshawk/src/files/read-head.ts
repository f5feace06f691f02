// The beginning and the end of a text, to see what it is without reading all of it.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { fileError } from './read-file.js';

/** `tail` is what `head` leaves, at most as long. @throws InputError where the file cannot be read */
export function readHead(path: string, bytes: number): { readonly head: string; readonly tail: string } {
  try {
    const { size } = statSync(path);
    const file = openSync(path, 'r');
    try {
      const read = (from: number, length: number): string => {
        const part = new Uint8Array(Math.max(0, length));
        return new TextDecoder().decode(part.subarray(0, readSync(file, part, 0, part.length, from)));
      };
      const head = read(0, Math.min(bytes, size));
      const rest = Math.min(bytes, Math.max(0, size - bytes));
      return { head, tail: rest === 0 ? '' : read(size - rest, rest) };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, path);
  }
}
