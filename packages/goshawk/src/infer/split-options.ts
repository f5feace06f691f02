// How the model of a config wants a data set to be read. Needs no engine.
import { existsSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { type ModelConfig, mirrorsPictures, type NamedSet, type RunConfig, setsOfSplit } from '../config/index.js';
import type { DatasetOptions, LoaderOptions, SplitOptions } from '../data/index.js';
import { detectorKind } from '../models/kinds.js';

/**
 * The data sets of one of the splits that a config names.
 * @throws InputError where it names none, or a set that is not there
 */
export function requireSplit(config: RunConfig, name: SplitName): readonly [NamedSet, ...NamedSet[]] {
  const split = config.data[name];
  if (!split)
    throw new InputError(
      'config-invalid',
      `data.${name}: is not set: pass --set data.${name}.annotations=FILE --set data.${name}.images=FOLDER`,
    );
  const sets = setsOfSplit(split);
  // A config of another system names its own sets, so the key says which of them is meant.
  for (const { place, split: own } of sets)
    if (!existsSync(own.annotations))
      throw new InputError(
        'file-not-found',
        `data.${name}${place}.annotations: ${own.annotations}: not found: check the path, or give another with --set data.${name}${place}.annotations=FILE`,
      );
  return sets;
}

export type SplitName = 'train' | 'val' | 'test';

/**
 * How a set of a split of a config is taken: also what `goshawk data check` asks, so that both say the same.
 * @param set.place behind the split's name in messages
 */
export function splitOptions(
  config: RunConfig,
  name: 'train' | 'val' | 'test',
  purpose: 'training' | 'evaluation',
  { place = '', limit }: { readonly place?: string; readonly limit?: number | undefined } = {},
): SplitOptions {
  const { train, exifOrientation, followLinks } = config.data;
  return {
    name: `data.${name}${place}`,
    train,
    purpose,
    limit,
    exifOrientation,
    followLinks,
    ...(purpose === 'training' && whatToLearn(config)),
  };
}

/** How training makes its batches, but for where a run stands. */
export function trainingBatches({
  data,
  model,
  preprocess,
  train,
}: RunConfig): Omit<LoaderOptions, 'dataset' | 'startAt' | 'prefetch'> {
  const { batchSize } = train;
  return {
    // Who looks at pictures, and trains nothing, needs no size that fits.
    batchSize: batchSize === 'auto' ? 1 : batchSize,
    shuffle: true,
    seed: train.seed,
    workers: data.workers,
    preprocess,
    augment: {
      steps: data.augment,
      flip: data.flip,
      minSizes: preprocess.resize.trainMinSizes,
      sizes: preprocess.resize.trainSizes,
      maxSize: preprocess.resize.trainMaxSize,
      aspectCropping: data.aspectCropping,
      jitter: data.jitter,
    },
    aspectGrouping: data.aspectGrouping,
    legacyPlusOne: readsInclusiveBoxes(model),
    leaveOut: ({ code }) => data.onDamaged === 'skip' && code === 'image-invalid',
  };
}

/** Whether the boxes of annotations end at their last pixel to it. */
function readsInclusiveBoxes(model: ModelConfig): boolean {
  const { boxes, learnsFrom } = detectorKind(model);
  return (learnsFrom.boxes ?? boxes) === 'inclusive';
}

/** What of the annotations the model learns from, and which pictures it needs none of. */
function whatToLearn({ model, data }: RunConfig): DatasetOptions {
  const { masks, keypoints } = detectorKind(model).learnsFrom;
  return {
    masks: masks === 'whole',
    polygons: masks === 'polygons',
    keypoints,
    requireKeypoints: keypoints && data.requireKeypoints,
    keypointFlipPairs: data.keypointFlipPairs,
    mirrors: data.flip > 0 || mirrorsPictures(data.augment),
    skipEmpty: data.skipEmpty,
    dropCrowds: !data.learnCrowds,
    legacyPlusOne: readsInclusiveBoxes(model),
  };
}
