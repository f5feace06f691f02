// What an exported detector says about itself, as JSON in its file's metadata.
import { type Category, InputError, type Preprocess } from '@goshawk/core';
import { readOnnxMetadata } from './onnx-metadata.js';

/** The key of the metadata that holds it. */
export const DESCRIPTION_KEY = 'goshawk';

/** Files of another number are read by other versions. */
export const DESCRIPTION_FORMAT = 2;

export interface ModelDescription {
  readonly format: typeof DESCRIPTION_FORMAT;
  /** Such as mask_rcnn. */
  readonly model: string;
  /** The whole config that it was trained and exported with. */
  readonly config: unknown;
  /** In the order of the classes 1, 2, ... */
  readonly categories: readonly Category[];
  readonly preprocess: Preprocess;
  /** What boxes are measured in as they leave the graph. */
  readonly measuredIn: 'network' | 'image';
  /** Absent: it gives no masks. */
  readonly masks?: MaskDescription;
  /** Absent: it gives no keypoints. Heatmaps are enlarged to at least minSize pixels a side. */
  readonly keypoints?: { readonly minSize: number };
  readonly weights: {
    /** Of the file that it was exported from, hexadecimal; absent where there was none. */
    readonly sha256?: string;
    /** How they are stored; but for int8 all is computed in float32. */
    readonly precision: 'fp32' | 'fp16' | 'int8';
  };
  readonly probe: Probe;
}

export interface MaskDescription {
  /** In a detection's box, or over the whole padded input, with cells of `stride` pixels. */
  readonly extent: { readonly kind: 'box' } | { readonly kind: 'input'; readonly stride: number };
  /** Probability from which a pixel belongs to the object; not at exactly that where `strict`. */
  readonly threshold: number;
  readonly strict: boolean;
  /** Cells of zeros around a mask before it is enlarged to its box. */
  readonly padding: 0 | 1;
}

/** A small picture, as large as the network sees it, and what the detector computed and found there when it was exported. */
export interface Probe {
  readonly width: number;
  readonly height: number;
  /** Two hexadecimal digits a value, RGB, rows first. */
  readonly pixels: string;
  readonly objects: readonly ProbeObject[];
  /** Numbers on the way there, a list for each part of the network: the output `samples` has them one after another. */
  readonly samples: readonly (readonly number[])[];
  /** What may lie between those and what another runtime has; between samples as a share of the largest of their list. */
  readonly tolerance: { readonly iou: number; readonly score: number; readonly samples: number };
}

export interface ProbeObject {
  /** 1..C. */
  readonly label: number;
  readonly score: number;
  /** xyxy in the probe's pixels. */
  readonly box: readonly [number, number, number, number];
}

/**
 * @param name of the file, for errors
 * @throws InputError where the file does not describe a detector of goshawk
 */
export function readModelDescription(bytes: Uint8Array, name = 'the model'): ModelDescription {
  const text = readOnnxMetadata(bytes).get(DESCRIPTION_KEY);
  if (text === undefined)
    throw new InputError(
      'checkpoint-invalid',
      `${name}: is no ONNX file that goshawk exported, or is cut off: take one that goshawk export wrote`,
    );
  const description = parsed(text);
  if (description?.format !== DESCRIPTION_FORMAT)
    throw new InputError(
      'checkpoint-invalid',
      `${name}: describes itself in form ${String(description?.format)} (expected ${DESCRIPTION_FORMAT}): export the weights again, or use the version of @goshawk/runtime that belongs to the file`,
    );
  return description;
}

function parsed(text: string): ModelDescription | undefined {
  try {
    return JSON.parse(text) as ModelDescription;
  } catch {
    return undefined;
  }
}
