// What a page and a worker say to each other about a detector.
import type { Detection, InputErrorCode, RgbImage } from '@goshawk/core';
import type { CreateDetectorOptions, DetectOptions } from './create-detector.js';
import type { ModelDescription } from './model-description.js';
import type { ProbeReport } from './probe.js';

/** One of two ends that messages go between: a Worker, a worker's own `self`, a MessagePort. */
export interface MessageEnd {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: { readonly data?: unknown }) => void): void;
}

export type WorkerRequest =
  | { readonly id: number; readonly kind: 'open'; readonly bytes: Uint8Array; readonly options: CreateDetectorOptions }
  | {
      readonly id: number;
      readonly kind: 'detect';
      readonly images: readonly RgbImage[];
      readonly options: DetectOptions;
    }
  | { readonly id: number; readonly kind: 'check' };

export type RequestKind = WorkerRequest['kind'];

export interface AnswerOf {
  readonly open: ModelDescription;
  readonly detect: Detection[][];
  readonly check: ProbeReport;
}

/** Answers come in the order of the requests. */
export type WorkerAnswer =
  | { readonly id: number; readonly value: AnswerOf[RequestKind] }
  | { readonly id: number; readonly error: SentError };

/** An error's class is lost on the way; this says which it was. */
export interface SentError {
  readonly message: string;
  /** Of an InputError. */
  readonly code?: InputErrorCode;
}
