// How the model of a config wants a data set to be read. Needs no engine.
import { existsSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { type DataSplitConfig, mirrorsPictures, type RunConfig } from '../config/index.js';
import type { DatasetOptions, LoaderOptions, SplitOptions } from '../data/index.js';
import { detectorKind } from '../models/kinds.js';

/** One of the data sets that a config names. @throws InputError where it names none, or one that is not there */
export function requireSplit(config: RunConfig, name: 'train' | 'val' | 'test'): DataSplitConfig {
  const split = config.data[name];
  if (!split)
    throw new InputError(
      'config-invalid',
      `data.${name}: is not set: pass --set data.${name}.annotations=FILE --set data.${name}.images=FOLDER`,
    );
  // A config of another system names its own sets, so the key says which of them is meant.
  if (!existsSync(split.annotations))
    throw new InputError(
      'file-not-found',
      `data.${name}.annotations: ${split.annotations}: not found: check the path, or give another with --set data.${name}.annotations=FILE`,
    );
  return split;
}

/** How a split of a config is taken: also what `goshawk data check` asks, so that both say the same. */
export function splitOptions(
  config: RunConfig,
  name: 'train' | 'val' | 'test',
  purpose: 'training' | 'evaluation',
): SplitOptions {
  const { train, exifOrientation, followLinks } = config.data;
  return {
    name: `data.${name}`,
    train,
    purpose,
    limit: config.data[name]?.limit,
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
  return {
    batchSize: train.batchSize,
    shuffle: true,
    seed: train.seed,
    workers: data.workers,
    preprocess,
    augment: {
      steps: data.augment,
      flip: data.flip,
      minSizes: preprocess.resize.trainMinSizes,
      maxSize: preprocess.resize.trainMaxSize,
      aspectCropping: data.aspectCropping,
      jitter: data.jitter,
    },
    aspectGrouping: data.aspectGrouping,
    legacyPlusOne: detectorKind(model).boxes === 'inclusive',
    leaveOut: ({ code }) => data.onDamaged === 'skip' && code === 'image-invalid',
  };
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
    legacyPlusOne: detectorKind(model).boxes === 'inclusive',
  };
}
