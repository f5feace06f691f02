// A file piece by piece: what is larger than a string of the engine, or than the memory, can be read too.
import { closeSync, openSync, readSync } from 'node:fs';
import { fileError } from './read-file.js';

const chunkBytes = 4 * 1024 * 1024;

/**
 * The bytes of `file` in order. All chunks lie in one buffer: each is gone when the next is asked for.
 * @param shownName the file's name in errors
 * @throws InputError `file-not-found` or `file-unreadable`
 */
export function* readFileChunks(file: string, shownName = file): Generator<Uint8Array, void, void> {
  let fd: number | undefined;
  try {
    const opened = attempt(shownName, () => openSync(file, 'r'));
    fd = opened;
    const buffer = new Uint8Array(chunkBytes);
    for (;;) {
      const bytes = attempt(shownName, () => readSync(opened, buffer, 0, buffer.length, null));
      if (bytes === 0) return;
      yield buffer.subarray(0, bytes);
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function attempt<T>(shownName: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileError(error, shownName);
  }
}
