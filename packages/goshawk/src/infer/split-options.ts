// How the model of a config wants a data set to be read. Needs no engine.
import type { RunConfig } from '../config/index.js';
import type { DatasetOptions, SplitOptions } from '../data/index.js';
import { detectorKind } from '../models/kinds.js';

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

/** What of the annotations the model learns from, and which pictures it needs none of. */
function whatToLearn({ model, data }: RunConfig): DatasetOptions {
  const { learnsFrom, boxes } = detectorKind(model);
  const { masks, keypoints } = learnsFrom;
  return {
    masks: masks === 'whole',
    polygons: masks === 'polygons',
    keypoints,
    requireKeypoints: keypoints && data.requireKeypoints,
    keypointFlipPairs: data.keypointFlipPairs,
    mirrors: data.flip > 0,
    skipEmpty: data.skipEmpty,
    legacyPlusOne: (learnsFrom.boxes ?? boxes) === 'inclusive',
  };
}
