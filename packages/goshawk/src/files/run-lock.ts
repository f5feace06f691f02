// One process at a time in a folder: a file that names the process which works there, and that counts for nothing once it has ended.
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { InputError } from '@goshawk/core';

export const LOCK_NAME = '.goshawk-lock';

/** A holder on another machine, whose processes cannot be asked for, gives signs of life; after so long without one it has ended. */
const LIFE_SIGN_MS = 30_000;
const SILENCE_MS = 600_000;
/** Takes of a stale lock that others were quicker at. */
const ATTEMPTS = 20;

interface Holder {
  readonly pid: number;
  /** When the process began, in the system's own clock: the same number may be another process later. */
  readonly started?: string;
  readonly host: string;
  /** Of the machine's start and of the space that process numbers are of; Linux. */
  readonly boot?: string;
  readonly space?: string;
  readonly since: string;
  /** Such as `goshawk train`. */
  readonly work: string;
}

/**
 * Takes the lock of a folder, also one whose process has ended (by its number and start time; `kill -9` included).
 * @returns gives it back
 * @throws InputError naming the process that works there; the system's error where the folder cannot be written
 */
export function lockFolder(folder: string, work: string): () => void {
  const lock = path.join(folder, LOCK_NAME);
  const own = `${lock}.${process.pid}`;
  const text = JSON.stringify({ ...thisProcess(), since: new Date().toISOString(), work } satisfies Holder);
  writeFlushed(own, 'w', text);
  try {
    for (let attempt = 0; !takeName(own, lock, text); attempt++) {
      const found = readLock(lock);
      if (found === undefined) continue;
      const holder = parseHolder(found.text);
      const silence = statSync(own).mtimeMs - found.modified;
      if (attempt >= ATTEMPTS || (holder !== undefined && isAtWork(holder, silence))) throw inUse(folder, lock, holder);
      removeStale(lock, found.text);
    }
  } finally {
    rmSync(own, { force: true });
  }
  const signs = setInterval(() => touch(lock), LIFE_SIGN_MS).unref();
  return () => {
    clearInterval(signs);
    if (readLock(lock)?.text === text) rmSync(lock, { force: true });
  };
}

function writeFlushed(file: string, flags: 'w' | 'wx', text: string): void {
  const handle = openSync(file, flags);
  try {
    writeSync(handle, text);
    // A full disk may be noticed as late as this.
    fsyncSync(handle);
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
}

/** Whether the lock is ours now: the name appears with its whole content, for one process alone. */
function takeName(own: string, lock: string, text: string): boolean {
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
  }
  // Not every file system has links.
  try {
    writeFlushed(lock, 'wx', text);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function readLock(lock: string): { readonly text: string; readonly modified: number } | undefined {
  try {
    return { text: readFileSync(lock, 'utf8'), modified: statSync(lock).mtimeMs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of two that find the same stale lock, one moves it away; the other, which may have moved the new one, puts it back. */
function removeStale(lock: string, stale: string): void {
  const aside = `${lock}.${process.pid}.old`;
  try {
    renameSync(lock, aside);
  } catch {
    return;
  }
  if (readLock(aside)?.text !== stale) {
    try {
      linkSync(aside, lock);
    } catch {
      // A third one has it by now.
    }
  }
  rmSync(aside, { force: true });
}

function touch(lock: string): void {
  try {
    const now = new Date();
    utimesSync(lock, now, now);
  } catch {
    // The next sign may succeed.
  }
}

function thisProcess(): Omit<Holder, 'since' | 'work'> {
  return {
    pid: process.pid,
    host: hostname(),
    started: startOf(process.pid),
    boot: ignoringErrors(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    space: ignoringErrors(() => readlinkSync('/proc/self/ns/pid')),
  };
}

function isAtWork(holder: Holder, silence: number): boolean {
  const here = thisProcess();
  // A container's name is its own while the start of the machine is the same for all of them.
  const isSameMachine = holder.host === here.host || (holder.boot !== undefined && holder.boot === here.boot);
  if (isSameMachine && holder.boot !== here.boot) return false;
  if (isSameMachine && holder.space === here.space) return isRunning(holder);
  return silence < SILENCE_MS;
}

function isRunning({ pid, started }: Holder): boolean {
  const now = startOf(pid);
  if (now !== undefined) return now === started;
  if (startOf(process.pid) !== undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Ticks from the machine's start to the process's (proc(5): field 22 of stat); undefined where it has ended, or without /proc. */
function startOf(pid: number): string | undefined {
  return ignoringErrors(() => {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const hasEnded = fields[0] === 'Z' || fields[0] === 'X';
    return hasEnded ? undefined : fields[19];
  });
}

function parseHolder(text: string): Holder | undefined {
  const value = ignoringErrors(() => JSON.parse(text) as Partial<Holder> | null);
  return typeof value?.pid === 'number' && typeof value.host === 'string' ? (value as Holder) : undefined;
}

function inUse(folder: string, lock: string, holder: Holder | undefined): InputError {
  if (holder === undefined) return new InputError('usage', `${folder}: others start there too: try again`);
  const { pid, host, since, work } = holder;
  const isElsewhere = host !== hostname();
  const who = `process ${pid}${isElsewhere ? ` on ${host}` : ''}, since ${since.slice(0, 19).replace('T', ' ')} UTC`;
  const remedy = isElsewhere ? `, or remove ${lock} if it has ended` : '';
  return new InputError(
    'usage',
    `${folder}: ${work} is at work there (${who}): wait for it, end it, or choose another output${remedy}`,
  );
}

function ignoringErrors<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
