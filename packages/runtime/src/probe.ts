// Whether a runtime computes what the engine computed: the picture that a file brings, and what was found on it.
import { type PreparedBatch, type Preprocess, prepareBatch, type RgbImage } from '@goshawk/core';
import type { Probe, ProbeObject } from './model-description.js';

export interface ProbeReport {
  readonly agrees: boolean;
  /** Objects that the file expects, and those among them that were not found so. */
  readonly expected: number;
  readonly missing: readonly ProbeObject[];
}

/** The probe as the network reads it: no resizing, which is not what is to be checked. */
export function probeInput(
  { width, height, pixels }: Pick<Probe, 'width' | 'height' | 'pixels'>,
  preprocess: Preprocess,
): PreparedBatch {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) =>
    Number.parseInt(pixels.slice(2 * i, 2 * i + 2), 16),
  );
  const image: RgbImage = { width, height, data };
  return prepareBatch([image], { ...preprocess, resize: { ...preprocess.resize, rule: 'none' } });
}

export function compareWithProbe({ objects, tolerance }: Probe, found: readonly ProbeObject[]): ProbeReport {
  const missing = objects.filter(
    (wanted) =>
      !found.some(
        ({ label, score, box }) =>
          label === wanted.label &&
          Math.abs(score - wanted.score) <= tolerance.score &&
          overlap(box, wanted.box) >= tolerance.iou,
      ),
  );
  return { agrees: missing.length === 0, expected: objects.length, missing };
}

type Corners = ProbeObject['box'];

function overlap(a: Corners, b: Corners): number {
  const shared = side(Math.max(a[0], b[0]), Math.min(a[2], b[2])) * side(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  return shared / (areaOf(a) + areaOf(b) - shared);
}

function side(low: number, high: number): number {
  return Math.max(0, high - low);
}

function areaOf(box: Corners): number {
  return side(box[0], box[2]) * side(box[1], box[3]);
}
