// detections.json as it grows: written picture by picture, so that work which ends early - killed, stopped, on a full disk - is
// kept up to its last picture, and so that no text of the whole file is ever in memory.
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import {
  type Category,
  categoryNames,
  type Detection,
  formatPictureResults,
  type ImageRecord,
  InputError,
  listText,
} from '@goshawk/core';
import { flushFolder } from '@goshawk/torch/checkpoint';
import { describeWriteError } from './atomic-file.js';

export interface ResultsFileOptions {
  readonly categories: readonly Category[];
  /**
   * What SIGINT, SIGTERM and SIGHUP do while the file is open. `finish` (the default): the file is finished with what there is, a
   * line on stderr says so, and the process ends with 128 + the signal's number. `ignore`: nothing, the caller sees to it.
   */
  readonly onSignal?: 'finish' | 'ignore';
}

export interface ResultsFile {
  /** The name that the file gets when it is finished. */
  readonly file: string;
  /** Where it grows until then. */
  readonly growing: string;
  /** Pictures and detections written so far. */
  readonly pictures: number;
  readonly detections: number;
  /**
   * Appends what was found in a picture, best score first. The file on disk is a whole JSON list again when this returns.
   * @param place where the picture stands among all, for pictures that are done in another order; default: behind the last
   * @throws InputError where it cannot be written, on a full disk for instance; the file is then finished with what it held before
   */
  add(image: Pick<ImageRecord, 'id' | 'fileName'>, detections: readonly Detection[], place?: number): void;
  /** Flushes the file and gives it its name, in place of one that was there. @throws InputError where that fails */
  finish(): void;
  /** Removes what was written, and the folders made for it; nothing after {@link finish}. */
  abandon(): void;
}

/** Where a results file grows: detections.json as detections.partial.json. */
export function growingName(file: string): string {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}.partial${ext}`);
}

/** A picture's lines in the growing file. */
interface Part {
  readonly place: number;
  readonly start: number;
  readonly bytes: number;
}

const end = Buffer.from(`${listText.close}\n`);
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Opens a results file. Its finished bytes are those of core's formatCocoResults. Until {@link ResultsFile.finish} it has another
 * name ({@link growingName}) and is a whole JSON list after every picture; a leftover of that name is overwritten.
 * @throws InputError where it cannot be written, before any work is done
 */
export function openResultsFile(file: string, options: ResultsFileOptions): ResultsFile {
  const names = categoryNames(options.categories);
  const growing = growingName(file);
  const folder = path.dirname(file);
  let madeFolder: string | undefined;
  let fd: number;
  try {
    if (isFolder(file)) throw new InputError('file-unreadable', `${file}: is a folder: name a file`);
    madeFolder = mkdirSync(folder, { recursive: true });
    fd = openSync(growing, 'w+');
    writeAll(fd, Buffer.from(`${listText.empty}\n`), 0);
  } catch (error) {
    throw describeWriteError(file, error);
  }
  let isOpen = true;
  // Bytes before the end of the list; 0 while it is empty.
  let body = 0;
  let detectionCount = 0;
  const parts: Part[] = [];
  const places = new Set<number>();

  const close = (): void => {
    isOpen = false;
    for (const signal of Object.keys(signals)) process.off(signal, stop);
    closeSync(fd);
  };
  const giveName = (): void => {
    try {
      if (isAscending(parts)) fsyncSync(fd);
      else putInOrder(growing, fd, parts);
    } finally {
      close();
    }
    renameSync(growing, file);
    flushFolder(folder);
  };
  const stop = (signal: NodeJS.Signals): void => {
    try {
      if (parts.length > 0) {
        giveName();
        process.stderr.write(`stopped by ${signal}: ${file} has ${contents(parts.length, detectionCount)}\n`);
      } else results.abandon();
    } finally {
      process.exit(128 + signals[signal as keyof typeof signals]);
    }
  };

  const results: ResultsFile = {
    file,
    growing,
    get pictures() {
      return parts.length;
    },
    get detections() {
      return detectionCount;
    },
    add(image, detections, place = (parts.at(-1)?.place ?? -1) + 1) {
      if (!isOpen) throw new Error(`${file}: is finished`);
      if (places.has(place)) throw new Error(`${file}: has a picture at place ${place} already (image id ${image.id})`);
      const lines = Buffer.from(formatPictureResults(image, detections, names));
      const before = body;
      const lead = lines.length === 0 ? '' : before === 0 ? listText.open : listText.between;
      if (lines.length > 0) {
        try {
          // In one call over the old end, so that a process that is killed leaves the list before or after this picture.
          writeAll(fd, Buffer.concat([Buffer.from(lead), lines, end]), before);
          body = before + lead.length + lines.length;
        } catch (error) {
          keepWhole(fd, before);
          const reason = describeWriteError(file, error);
          try {
            giveName();
          } catch {
            // The first failure is the one to name; what was done stays under the growing name.
          }
          throw reason;
        }
      }
      places.add(place);
      parts.push({ place, start: before + lead.length, bytes: lines.length });
      detectionCount += detections.length;
    },
    finish() {
      if (!isOpen) return;
      try {
        giveName();
      } catch (error) {
        throw describeWriteError(file, error);
      }
    },
    abandon() {
      if (!isOpen) return;
      close();
      rmSync(growing, { force: true });
      if (madeFolder !== undefined) removeEmptyFolders(folder, madeFolder);
    },
  };
  if (options.onSignal !== 'ignore') for (const signal of Object.keys(signals)) process.on(signal, stop);
  return results;
}

/** What an unfinished work leaves, in words. */
export function keptIn({ file, pictures, detections }: ResultsFile): string {
  return `${file} has ${contents(pictures, detections)}`;
}

function contents(pictures: number, detections: number): string {
  return `the ${detections} objects of the ${pictures} ${pictures === 1 ? 'picture' : 'pictures'} that ${pictures === 1 ? 'was' : 'were'} done`;
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** The list as it was: its end stood in blocks that the file has already, so that a full disk does not hinder it. */
function keepWhole(fd: number, body: number): void {
  try {
    writeAll(fd, body === 0 ? Buffer.from(`${listText.empty}\n`) : end, body);
    ftruncateSync(fd, body === 0 ? listText.empty.length + 1 : body + end.length);
  } catch {
    // A list whose end is missing is still read, with a warning.
  }
}

function isAscending(parts: readonly Part[]): boolean {
  return parts.every(({ place }, index) => index === 0 || place > parts[index - 1]!.place);
}

/** Writes the list anew with its pictures by their places, and puts it where the file was. */
function putInOrder(growing: string, from: number, parts: readonly Part[]): void {
  const ordered = `${growing}.tmp`;
  const to = openSync(ordered, 'w');
  try {
    let position = 0;
    const append = (bytes: Uint8Array): void => {
      writeAll(to, bytes, position);
      position += bytes.length;
    };
    const found = [...parts].filter(({ bytes }) => bytes > 0).sort((a, b) => a.place - b.place);
    for (const [index, { start, bytes }] of found.entries()) {
      append(Buffer.from(index === 0 ? listText.open : listText.between));
      const lines = Buffer.alloc(bytes);
      for (let done = 0; done < bytes; ) done += readSync(from, lines, done, bytes - done, start + done);
      append(lines);
    }
    append(found.length === 0 ? Buffer.from(`${listText.empty}\n`) : end);
    fsyncSync(to);
    renameSync(ordered, growing);
  } finally {
    closeSync(to);
    rmSync(ordered, { force: true });
  }
}

function removeEmptyFolders(folder: string, last: string): void {
  try {
    for (let at = path.resolve(folder); ; at = path.dirname(at)) {
      rmdirSync(at);
      if (at === path.resolve(last)) return;
    }
  } catch {
    // Somebody else put something there.
  }
}
