// What the threads of a film say to each other. Frames lie in shared memory, in slots that go around: read and prepared, detected in,
// drawn and written, read again. There are only so many, which bounds the memory of a film of any length.
//
// Each thread starts its ffmpeg before the network runs for the first time, and says when it has: OpenBLAS ends its threads where the
// process forks, and a multiplication that another thread is in the middle of would wait for them for ever.
import type { MessagePort } from 'node:worker_threads';
import type { DrawnItem, DrawStyle, Preprocess } from '@goshawk/core';
import type { DecodingEnd, Ffmpeg, Ratio, VideoFacts, VideoSource } from '../../data/video/index.js';

/** Slots in flight: one being read, one being detected in, one being drawn, and one that waits. */
export const SLOTS = 4;

/** Memory for a batch. */
export interface FrameSlot {
  /** Bytes of `batchSize` frames. */
  readonly frames: SharedArrayBuffer;
  /** The same as the network takes them; absent where frames are prepared one by one later. */
  readonly prepared?: SharedArrayBuffer;
}

export interface ReaderSetup {
  readonly source: VideoSource;
  readonly facts: VideoFacts;
  readonly ffmpeg: Ffmpeg;
  /** Absent where frames are not to be prepared. */
  readonly preprocess?: Preprocess;
  readonly batchSize: number;
  readonly slots: readonly FrameSlot[];
  /** Frames, and seconds from the first frame, that are read at most. */
  readonly maxFrames: number;
  readonly maxSeconds: number;
  /** Gives the numbers of slots that are free again. */
  readonly freed: MessagePort;
}

/** Times are seconds of the film. */
export type FromReader =
  | { readonly kind: 'started'; readonly pid: number | undefined }
  | {
      readonly kind: 'frames';
      readonly slot: number;
      readonly times: readonly number[];
      readonly tick: Ratio;
      readonly decodeMs: number;
      readonly prepareMs: number;
    }
  | { readonly kind: 'end'; readonly end: DecodingEnd; readonly reachedLimit: boolean };

/** Ends the reading early. */
export type ToReader = 'stop';

export interface DrawerSetup {
  readonly file: string;
  readonly facts: VideoFacts;
  readonly ffmpeg: Ffmpeg;
  /** The canvas is the thread's own. */
  readonly drawing: DrawStyle;
  readonly slots: readonly FrameSlot[];
  readonly freed: MessagePort;
}

export type ToDrawer =
  | { readonly kind: 'begin'; readonly tick: Ratio }
  | {
      readonly kind: 'draw';
      readonly slot: number;
      readonly times: readonly number[];
      /** For each frame. */
      readonly items: readonly (readonly DrawnItem[])[];
    }
  | { readonly kind: 'finish' };

export type FromDrawer =
  | { readonly kind: 'started' }
  | { readonly kind: 'drawn'; readonly drawMs: number; readonly encodeMs: number }
  | { readonly kind: 'finished' }
  /** The film cannot be written; nothing more is drawn. */
  | { readonly kind: 'failed'; readonly reason: string };

/** One frame of a slot. */
export function frameOf(slot: FrameSlot, place: number, { width, height }: VideoFacts) {
  const bytes = width * height * 3;
  return { data: new Uint8Array(slot.frames, place * bytes, bytes), width, height };
}
