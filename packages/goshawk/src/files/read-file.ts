// Opening a person's files: what the system says becomes one line that names the file and the remedy.
import { readFile, stat } from 'node:fs/promises';
import { InputError } from '@goshawk/core';

/**
 * The bytes of `path`.
 * @param shownName the file's name in errors
 * @throws InputError `file-not-found` or `file-unreadable`; also above `byteLimit`, before anything is read
 */
export async function readInputFile(path: string, shownName: string, byteLimit: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > byteLimit) {
      const megabytes = (bytes: number) => Math.round(bytes / 1e6);
      throw new InputError(
        'file-unreadable',
        `${shownName}: ${megabytes(size)} MB (expected at most ${megabytes(byteLimit)} MB): is this the right file`,
      );
    }
    return await readFile(path);
  } catch (error) {
    throw fileError(error, shownName);
  }
}

/** What to do about a path that a person named and where nothing is. */
export function missingRemedy(path: string): string {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path))
    return 'nothing is fetched from the web here: download it, and name the file';
  if (path.includes('*')) return 'write the pattern without quotes, so that the shell finds what it means';
  return 'check the path';
}

/** The system's error about a file as an InputError; an InputError stays itself. */
export function fileError(error: unknown, shownName: string): InputError {
  if (error instanceof InputError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const options = { cause: error };
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new InputError('file-not-found', `${shownName}: not found: ${missingRemedy(shownName)}`, options);
    case 'EISDIR':
      return new InputError(
        'file-unreadable',
        `${shownName}: is a folder (expected a file): name a file in it`,
        options,
      );
    case 'EACCES':
    case 'EPERM':
      return new InputError(
        'file-unreadable',
        `${shownName}: no permission to read: change its mode or owner`,
        options,
      );
    case 'ELOOP':
      return new InputError('file-unreadable', `${shownName}: a loop of symbolic links: replace the link`, options);
    default: {
      const reason = error instanceof Error ? error.message : String(error);
      return new InputError('file-unreadable', `${shownName}: cannot be read (${reason}): check the disk`, options);
    }
  }
}
