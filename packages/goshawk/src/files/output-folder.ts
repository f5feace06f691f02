// Where a command writes: noticed before the work begins if that is impossible, and claimed for one process at a time.
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { InputError } from '@goshawk/core';
import { describeWriteError } from './atomic-file.js';
import { lockFolder } from './run-lock.js';
import { atExit } from './tidy-end.js';

export interface OutputClaim {
  readonly folder: string;
  /** Lets others in. Folders that the claim made and in which nothing was written are removed. Calling it twice does nothing. */
  release(): void;
}

export interface ClaimOptions {
  /** What works there, for the one who is refused: `goshawk train`. */
  readonly work: string;
  /** Names of files that will be written there: a folder in the way of one is noticed now. */
  readonly files?: readonly string[];
}

/**
 * Makes a folder, or takes one that is there, for this process alone; the claim ends with it, however it ends.
 * @throws InputError with the true cause where it cannot be written, and where another process works there; nothing is left then
 */
export function claimOutput(folder: string, { work, files = [] }: ClaimOptions): OutputClaim {
  const made = makeFolders(folder, folder);
  const removeMade = (): void => removeEmpty(made);
  let unlock: () => void;
  try {
    for (const name of files) requireNoFolder(path.join(folder, name));
    unlock = lockFolder(folder, work);
  } catch (error) {
    removeMade();
    throw writeError(folder, error);
  }
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    forget();
    unlock();
    removeMade();
  };
  const forget = atExit(release);
  return { folder, release };
}

/**
 * @param purpose what the bytes are for, in words
 * @throws InputError where the disk of a folder has not so many bytes left
 */
export function requireRoom(folder: string, bytes: number, purpose = 'for one checkpoint'): void {
  const { bavail, bsize } = statfsSync(folder);
  // Some file systems do not say.
  if (bsize === 0 || bavail * bsize >= bytes) return;
  const megabytes = (count: number): string => `${(count / 1e6).toFixed(1)} MB`;
  throw new InputError(
    'file-unreadable',
    `${folder}: the disk has ${megabytes(bavail * bsize)} left (expected at least ${megabytes(bytes)}, ${purpose}): make room or choose another place`,
  );
}

/**
 * Tries whether a file can be written, and leaves no trace.
 * @throws InputError with the true cause where it cannot
 */
export function requireWritableFile(file: string): void {
  const folder = path.dirname(file);
  try {
    requireNoFolder(file);
    // A device or a pipe is written itself.
    if (statusOf(file)?.isFile() === false) {
      accessSync(file, constants.W_OK);
      return;
    }
  } catch (error) {
    throw writeError(file, error);
  }
  const made = makeFolders(folder, file);
  const trial = path.join(folder, `.goshawk-${process.pid}.tmp`);
  try {
    const handle = openSync(trial, 'w');
    try {
      writeSync(handle, 'x');
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw writeError(file, error);
  } finally {
    rmSync(trial, { force: true });
    removeEmpty(made);
  }
}

/**
 * A person's own files stay: what is read is not what is written over.
 * @throws InputError where one of the outputs is one of the inputs, by whatever path
 */
export function requireNotInput(outputs: readonly string[], inputs: readonly string[]): void {
  const there = outputs.flatMap((output) => {
    const identity = identityOf(output);
    return identity === undefined ? [] : [{ output, identity }];
  });
  if (there.length === 0) return;
  const own = new Set(inputs.map(identityOf));
  const same = there.find(({ identity }) => own.has(identity));
  if (same !== undefined) throw new InputError('usage', `${same.output}: is the input itself: name another output`);
}

/** The same for two paths of one file; undefined where there is none that can be reached. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function requireNoFolder(file: string): void {
  if (statusOf(file)?.isDirectory())
    throw new InputError('file-unreadable', `${file}: is a folder (expected a file, or nothing): move it away`);
}

function statusOf(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false });
}

/** Folders made, outermost first; all of them or none. */
function makeFolders(folder: string, shownName: string): string[] {
  const made: string[] = [];
  const make = (at: string): void => {
    try {
      mkdirSync(at);
      made.push(at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && path.dirname(at) !== at) {
        make(path.dirname(at));
        mkdirSync(at);
        made.push(at);
      } else if (code !== 'EEXIST' || !statusOf(at)?.isDirectory()) throw error;
    }
  };
  try {
    // A read-only file system refuses even to make a folder that is there.
    if (!statusOf(folder)?.isDirectory()) make(path.resolve(folder));
    return made;
  } catch (error) {
    removeEmpty(made);
    throw writeError(shownName, error);
  }
}

function removeEmpty(made: readonly string[]): void {
  for (const folder of made.toReversed()) {
    try {
      rmdirSync(folder);
    } catch (error) {
      // Something was written there, and so are the outer ones not empty.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return;
    }
  }
}

/** Every error of the system's gets a line of its own: what is written is a person's choice. */
function writeError(file: string, error: unknown): unknown {
  const described = describeWriteError(file, error);
  if (described instanceof InputError || !(described instanceof Error && 'syscall' in described)) return described;
  return new InputError('file-unreadable', `${file}: cannot be written (${described.message}): choose another place`, {
    cause: error,
  });
}
