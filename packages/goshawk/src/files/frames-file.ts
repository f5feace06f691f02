// What is found in the frames of a film, as JSON lines that grow frame by frame: a work that ends early, however it ends, leaves
// whole lines of the frames that were done.
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import {
  type Category,
  categoryNames,
  type FrameRecord,
  formatFrameResults,
  type TrackedDetection,
} from '@goshawk/core';
import { flushFolder } from '@goshawk/torch/checkpoint';
import { describeWriteError } from './atomic-file.js';
import { growingName } from './results-file.js';

export interface FramesFile {
  /** The name that the file gets when it is finished. */
  readonly file: string;
  /** Frames and detections written so far. */
  readonly frames: number;
  readonly detections: number;
  /** Appends what was found in a frame. @throws InputError where it cannot be written; the file keeps what it held before */
  add(frame: FrameRecord, detections: readonly TrackedDetection[]): void;
  /** Flushes the file and gives it its name, in place of one that was there. @throws InputError where that fails */
  finish(): void;
  /** Removes what was written; nothing after {@link finish}. */
  abandon(): void;
}

/** Until it is finished the file is called as {@link growingName} says. @throws InputError where it cannot be written */
export function openFramesFile(file: string, categories: readonly Category[]): FramesFile {
  const names = categoryNames(categories);
  const growing = growingName(file);
  const explained = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw describeWriteError(file, error);
    }
  };
  const fd = explained(() => {
    mkdirSync(path.dirname(file), { recursive: true });
    return openSync(growing, 'w');
  });
  let isOpen = true;
  let [frames, detections, length] = [0, 0, 0];
  const close = (): void => {
    isOpen = false;
    closeSync(fd);
  };
  return {
    file,
    get frames() {
      return frames;
    },
    get detections() {
      return detections;
    },
    add(frame, found) {
      const lines = Buffer.from(formatFrameResults(frame, found, names));
      explained(() => {
        try {
          for (let done = 0; done < lines.length; )
            done += writeSync(fd, lines, done, lines.length - done, length + done);
        } catch (error) {
          ftruncateSync(fd, length);
          throw error;
        }
      });
      length += lines.length;
      frames += 1;
      detections += found.length;
    },
    finish() {
      if (!isOpen) return;
      explained(() => {
        try {
          fsyncSync(fd);
        } finally {
          close();
        }
        renameSync(growing, file);
        flushFolder(path.dirname(file));
      });
    },
    abandon() {
      if (!isOpen) return;
      close();
      rmSync(growing, { force: true });
    },
  };
}
