// What the threads of a server say to each other. The main one has the connections and the queue; one decodes pictures, one has the
// detector. Bytes and pixels are handed over, not copied.
import type { Category, InputErrorCode, Preprocess, RgbImage } from '@goshawk/core';
import type { RunConfig } from '../config/index.js';
import type { RefusalFacts } from './refusal.js';

export type ModelSource =
  | {
      readonly kind: 'engine';
      readonly weights: string;
      readonly config: RunConfig;
      readonly categories?: readonly Category[];
    }
  | { readonly kind: 'onnx'; readonly file: string; readonly threads?: number };

export interface DetectorSetup {
  readonly source: ModelSource;
  /** Logit from which a keypoint is drawn. */
  readonly keypointThreshold: number;
}

/** What a detector is. */
export interface ModelFacts {
  /** Such as mask_rcnn. */
  readonly type: string;
  readonly runtime: 'engine' | 'onnxruntime';
  /** Of the file; of an exported one, of the weights that it was made of, where it says. */
  readonly sha256: string | undefined;
  readonly precision: string;
  readonly categories: readonly Category[];
  readonly preprocess: Preprocess;
  readonly exifOrientation: 'apply' | 'ignore';
  readonly threads: number | undefined;
}

export interface DecodeSetup {
  readonly maxPixels: number;
}

export interface ToDecoder {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** For errors. */
  readonly fileName: string;
  readonly exifOrientation: 'apply' | 'ignore';
}

export type FromDecoder =
  | { readonly kind: 'decoded'; readonly id: number; readonly image: RgbImage; readonly ms: number }
  | { readonly kind: 'refused'; readonly id: number; readonly facts: RefusalFacts }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string };

export interface ToDetector {
  readonly id: number;
  readonly image: RgbImage;
  readonly fileName: string;
  /** The picture's `image_id` in the answer. */
  readonly imageId: number;
  /** Of each category by its id, or one for all. */
  readonly thresholds: ReadonlyMap<number, number> | number;
  readonly maxDetections: number;
  /** Whether the drawn picture is wanted. */
  readonly draw: boolean;
}

export type FromDetector =
  | { readonly kind: 'open'; readonly facts: ModelFacts }
  /** The detector cannot be opened. */
  | { readonly kind: 'unusable'; readonly name: string; readonly message: string; readonly code?: InputErrorCode }
  | FoundMessage
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string };

export interface FoundMessage {
  readonly kind: 'found';
  readonly id: number;
  readonly width: number;
  readonly height: number;
  /** Lines as in a results file, without those around them. */
  readonly lines: string;
  /** How many of each category, by its id. */
  readonly counts: ReadonlyMap<number, number>;
  readonly png?: Uint8Array;
  /** Of the network with what comes before and behind it. */
  readonly ms: number;
}
