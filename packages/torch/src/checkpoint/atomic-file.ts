// Writing a file so that it appears whole or not at all, also when the process is killed.
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileError } from './checkpoint-error.js';

const chunkBytes = 0x4000_0000;

/**
 * Writes `file` through a temporary file beside it (`.<name>.<process>.tmp`): flushed, renamed over the old one, and the
 * folder flushed. `produce` calls `write` for each part in order. On failure the old file stays and the temporary one is
 * removed. Throws `CheckpointError`, or what `produce` throws.
 */
export function writeFileAtomically(file: string, produce: (write: (bytes: Uint8Array) => void) => void): void {
  if (isDevice(file)) {
    writeInto(file, produce);
    return;
  }
  const folder = path.dirname(file);
  const temporary = path.join(folder, temporaryNameOf(path.basename(file)));
  let fd: number | undefined;
  try {
    const opened = attempt(file, () => openSync(temporary, 'w'));
    fd = opened;
    const gather = new Gather((bytes) => attempt(file, () => writeAll(opened, bytes)));
    produce((bytes) => gather.write(bytes));
    gather.flush();
    attempt(file, () => fsyncSync(opened));
    attempt(file, () => closeSync(opened));
    fd = undefined;
    attempt(file, () => renameSync(temporary, file));
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    rmSync(temporary, { force: true });
    throw error;
  }
  flushFolder(folder);
}

/** Puts small parts together: a checkpoint of 300,000 small tensors has a million. */
class Gather {
  private readonly held = new Uint8Array(256 * 1024);
  private readonly writeOut: (bytes: Uint8Array) => void;
  private size = 0;

  constructor(writeOut: (bytes: Uint8Array) => void) {
    this.writeOut = writeOut;
  }

  write(bytes: Uint8Array): void {
    if (this.size + bytes.byteLength > this.held.byteLength) this.flush();
    if (bytes.byteLength > this.held.byteLength) {
      this.writeOut(bytes);
    } else {
      this.held.set(bytes, this.size);
      this.size += bytes.byteLength;
    }
  }

  flush(): void {
    if (this.size > 0) this.writeOut(this.held.subarray(0, this.size));
    this.size = 0;
  }
}

/** A device or a pipe, such as /dev/stdout: what stands there must stay, and has no old content. */
function isDevice(file: string): boolean {
  try {
    const status = statSync(file);
    return !status.isFile() && !status.isDirectory();
  } catch {
    return false;
  }
}

function writeInto(file: string, produce: (write: (bytes: Uint8Array) => void) => void): void {
  const fd = attempt(file, () => openSync(file, 'w'));
  try {
    produce((bytes) => attempt(file, () => writeAll(fd, bytes)));
  } finally {
    closeSync(fd);
  }
}

// What file systems take, in bytes.
const LONGEST_NAME = 255;

/** Also for a name that is as long as a name can be. */
function temporaryNameOf(name: string): string {
  const ending = `.${process.pid}.tmp`;
  const bytes = Buffer.from(name).subarray(0, LONGEST_NAME - 1 - ending.length);
  // A character cut in half would become three bytes.
  return `.${bytes.toString('utf8').replace(/\uFFFD+$/, '')}${ending}`;
}

const temporaryName = /^\..+\.\d+\.tmp$/;

/** Deletes what `writeFileAtomically` left behind in `folder` when its process was killed. For a folder that nobody writes to now. */
export function removeTemporaryFiles(folder: string): void {
  for (const name of readdirSync(folder))
    if (temporaryName.test(name)) rmSync(path.join(folder, name), { force: true });
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileError(error, file, 'write');
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.byteLength) done += writeSync(fd, bytes, done, Math.min(bytes.byteLength - done, chunkBytes));
}

/** Makes renames in `folder` survive a power cut, where the system can do that. */
export function flushFolder(folder: string): void {
  // The rename itself is already visible; not every system can flush a folder (Windows cannot).
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {}
}
