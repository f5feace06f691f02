// How the model of a config wants a data set to be read. Needs no engine.
import type { RunConfig } from '../config/index.js';
import type { DatasetOptions, SplitOptions } from '../data/index.js';
import { CONVENTIONS } from '../models/conventions.js';
import { detectorKind } from '../models/kinds.js';

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

/** What of the annotations the model learns from, and which pictures it needs none of. */
function whatToLearn({ model, data }: RunConfig): DatasetOptions {
  const { masks, keypoints } = detectorKind(model).learnsFrom;
  return {
    masks: masks === 'whole',
    polygons: masks === 'polygons',
    keypoints,
    requireKeypoints: keypoints && data.requireKeypoints,
    keypointFlipPairs: data.keypointFlipPairs,
    mirrors: data.flip > 0,
    skipEmpty: data.skipEmpty,
    legacyPlusOne: CONVENTIONS[model.conventions].boxes === 'inclusive',
  };
}
