// Whether a runtime computes what the engine computed: the picture that a file brings, what was found on it, and numbers on the way
// there, which differ also where a detector finds nothing.
import { type PreparedBatch, type Preprocess, prepareBatch, type RgbImage } from '@goshawk/core';
import type { Probe, ProbeObject } from './model-description.js';

export interface ProbeReport {
  readonly agrees: boolean;
  /** Objects that the file expects, and those among them that were not found so. */
  readonly expected: number;
  readonly missing: readonly ProbeObject[];
  /** Numbers on the way that are compared, and how far they are apart at most, as a share of the largest of their part of the network. */
  readonly samples: number;
  readonly largestDifference: number;
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

/** @param samples of the same form as the probe's */
export function compareWithProbe(
  { objects, samples: wantedSamples, tolerance }: Pick<Probe, 'objects' | 'samples' | 'tolerance'>,
  { objects: found, samples }: Pick<Probe, 'objects' | 'samples'>,
): ProbeReport {
  const missing = objects.filter(
    (wanted) =>
      !found.some(
        ({ label, score, box }) =>
          label === wanted.label &&
          Math.abs(score - wanted.score) <= tolerance.score &&
          overlap(box, wanted.box) >= tolerance.iou,
      ),
  );
  const largestDifference = wantedSamples.reduce((largest, own, list) => larger(largest, apart(own, samples[list])), 0);
  return {
    agrees: missing.length === 0 && largestDifference <= tolerance.samples,
    expected: objects.length,
    missing,
    samples: wantedSamples.reduce((sum, own) => sum + own.length, 0),
    largestDifference,
  };
}

/** What is smaller counts as this: of a list of zeros every number would be infinitely far away. */
const LEAST_SAMPLE = 1e-3;

/** As a share of the largest number; what is no number is infinitely far away. */
function apart(wanted: readonly number[], other: readonly number[] = []): number {
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), LEAST_SAMPLE);
  const differences = wanted.map((value, i) => Math.abs(value - (other[i] ?? Number.NaN)));
  return differences.reduce(larger, 0) / largest;
}

function larger(a: number, b: number): number {
  return a >= b ? a : Number.isNaN(b) ? Number.POSITIVE_INFINITY : b;
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
