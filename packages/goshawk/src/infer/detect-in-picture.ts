// One picture's way through a detector, with the time of each stage.
import type { Detection, Preprocess, RgbImage } from '@goshawk/core';
import type { Predictor } from './predictor.js';
import { prepareBatch } from './prepare-batch.js';
import type { StageTimes } from './stage-times.js';

/** What `predictor.predict` finds in the picture. Augmented passes are all `network`. */
export function detectInPicture(
  predictor: Predictor,
  preprocess: Preprocess,
  image: RgbImage,
  stages: StageTimes,
): readonly Detection[] {
  if (predictor.isAugmented) return stages.measure('network', () => predictor.predictAugmented(image));
  const prepared = stages.measure('prepare', () => prepareBatch([image], preprocess));
  const images = prepared.images.map((sizes) => ({ ...sizes, imageId: 0 }));
  const pending = stages.measure('network', () => predictor.launchBatch({ ...prepared, images }));
  return stages.measure('post', () => pending.read())[0] ?? [];
}
