// Texts of a person's that have kilobytes: labels, lists and descriptions of data sets.
import { readFileSync, statSync } from 'node:fs';
import { markedEncoding } from '@goshawk/core';
import { fileError } from './read-file.js';

/** @throws InputError where the file cannot be read, or is larger than 64 MiB: it is something else then */
export function readSmallBytes(path: string): Uint8Array {
  try {
    if (statSync(path).size > 2 ** 26) throw new Error('larger than 64 MiB');
    return readFileSync(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

/** As UTF-8, or UTF-16 with a byte order mark, as Windows' editors write it. @throws InputError as {@link readSmallBytes} does */
export function readSmallText(path: string): string {
  const bytes = readSmallBytes(path);
  return new TextDecoder(markedEncoding(bytes) ?? 'utf-8').decode(bytes);
}
