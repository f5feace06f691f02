// Annotation files named on the command line.
import { readFileSync } from 'node:fs';
import { InputError } from '@goshawk/core';

/** The bytes of a JSON file. @throws InputError where it cannot be read */
export function readJsonFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new InputError('file-not-found', `${file}: no such file: check the path`);
    if (code === 'EISDIR') throw new InputError('file-unreadable', `${file}: is a folder: name a JSON file in it`);
    throw new InputError('file-unreadable', `${file}: cannot be read (${code}): check its permissions`, {
      cause: error,
    });
  }
}
