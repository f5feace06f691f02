// Files that appear whole or not at all: made beside their place, flushed to the disk, renamed. How that is done is torch's
// (checkpoint/atomic-file.ts); here are its errors in words.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '@goshawk/core';
import { CheckpointError, writeFileAtomically } from '@goshawk/torch/checkpoint';

/**
 * Writes a file, replacing the one that is there; its folder is made when missing.
 * Whoever opens `file`, also after a crash in the middle, finds the old content or the new one.
 * @throws InputError when the folder cannot be written to
 */
export function writeFileAtomic(file: string, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileAtomically(file, (write) => write(bytes));
  } catch (error) {
    throw describeWriteError(file, error);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'may not be written: choose another place or change its permissions',
  EPERM: 'may not be written: choose another place or change its permissions',
  EROFS: 'lies on a read-only file system: choose another place',
  ENOSPC: 'the disk is full: make room or choose another place',
  EDQUOT: 'the disk quota is used up: make room or choose another place',
  ENOTDIR: 'a part of its path is a file, not a folder: choose another place',
  EEXIST: 'a part of its path is a file, not a folder: choose another place',
  EISDIR: 'is a folder: name a file',
  ENAMETOOLONG: 'the name is too long for the file system: choose a shorter one',
  EFBIG: 'is larger than the system lets a file become: raise the limit (ulimit -f) or choose another place',
};

/** Whether there is no room for anything more, so that going on is of no use. */
export function isDiskFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) return true;
  return false;
}

/** The system's error about writing a file, or a checkpoint's, as an InputError; others stay as they are. */
export function describeWriteError(file: string, error: unknown): unknown {
  const first = error instanceof CheckpointError ? error.cause : error;
  const reason = reasons[(first as NodeJS.ErrnoException).code ?? ''];
  return reason === undefined ? error : new InputError('file-unreadable', `${file}: ${reason}`, { cause: error });
}
