// What one evaluation works on: the pictures and the detector, opened the same way in the command and in its processes.
import { type Detection, InputError } from '@goshawk/core';
import type { RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { type OpenDetector, openDetector } from '../infer/index.js';
import { detectorKind } from '../models/index.js';
import { openSplit } from '../train/training-data.js';

export interface EvalJob {
  readonly config: RunConfig;
  readonly weights: string;
  readonly split: 'train' | 'val' | 'test';
  /** The first picture and the one behind the last, counted from 0. Absent: all. */
  readonly range?: readonly [number, number];
}

/** Takes what is found, in whatever order it comes. Places count the pictures of the job, from 0. */
export interface DetectionReceiver {
  /** The detector is open, and pictures will come. */
  onReady(): void;
  onFound(place: number, detections: readonly Detection[]): void;
  onUnusable(place: number, error: InputError): void;
}

/** @throws InputError where the split is not there, or has no picture in the range */
export function openEvalDataset({ config, split, range }: EvalJob): DetectionDataset {
  const dataset = openSplit(config, split, { purpose: 'evaluation' });
  return range ? inRange(dataset, range) : dataset;
}

/** @throws InputError where the detector does not know a category of the dataset */
export function openEvalDetector({ config, weights }: EvalJob, dataset: DetectionDataset): OpenDetector {
  const opened = openDetector({ config, weights, categories: dataset.categories });
  const known = new Set(opened.categories.map((category) => category.id));
  const unknown = dataset.categories.find((category) => !known.has(category.id));
  // Proposals are of no category.
  if (unknown && detectorKind(config.model).gives === 'objects')
    throw new InputError(
      'checkpoint-invalid',
      `${weights}: knows no category ${unknown.id} ('${unknown.name}') of ${dataset.fileName}: evaluate on the data it was trained for`,
    );
  return opened;
}

function inRange(dataset: DetectionDataset, [from, to]: readonly [number, number]): DetectionDataset {
  const samples = dataset.samples.slice(from, to);
  if (samples.length === 0)
    throw new InputError(
      'usage',
      `--range ${from} ${to}: has none of the ${dataset.samples.length} pictures of ${dataset.fileName}: start below ${dataset.samples.length}`,
    );
  const ids = new Set(samples.map(({ image }) => image.id));
  return {
    ...dataset,
    samples,
    annotations: {
      ...dataset.annotations,
      images: dataset.annotations.images.filter(({ id }) => ids.has(id)),
      annotations: dataset.annotations.annotations.filter(({ imageId }) => ids.has(imageId)),
    },
  };
}
