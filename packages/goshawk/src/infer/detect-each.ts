// A detector's way through a data set, picture by picture.
import type { Detection, RgbImage } from '@goshawk/core';
import type { PreprocessConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, decodeSample } from '../data/index.js';
import type { Predictor } from './predictor.js';

export interface DetectEachOptions {
  readonly dataset: DetectionDataset;
  readonly preprocess: PreprocessConfig;
  readonly batchSize: number;
  readonly workers: number;
}

/** The detections of one picture after the other, in the order of the dataset. */
export async function* detectEach(
  predictor: Predictor,
  { dataset, preprocess, batchSize, workers }: DetectEachOptions,
): AsyncGenerator<readonly Detection[], void, void> {
  if (predictor.isAugmented) {
    yield* detectInPictures(predictor, dataset);
    return;
  }
  const loader = createLoader({ dataset, batchSize, workers, preprocess });
  try {
    for await (const batch of loader) {
      const found = predictor.predictBatch(batch);
      batch.release();
      yield* found;
    }
  } finally {
    await loader.close();
  }
}

/** Augmentation makes its own forms of a picture, so it starts from the file; the next one is decoded meanwhile. */
async function* detectInPictures(
  predictor: Predictor,
  { samples, exifOrientation, proposals }: DetectionDataset,
): AsyncGenerator<readonly Detection[], void, void> {
  const decode = (index: number): Promise<RgbImage> | undefined => {
    const decoding = samples[index] && decodeSample(samples[index], exifOrientation);
    // It is awaited later or, after an earlier failure, never.
    decoding?.catch(() => undefined);
    return decoding;
  };
  let next = decode(0);
  for (const [index, { image }] of samples.entries()) {
    const picture = await next!;
    next = decode(index + 1);
    const found = predictor.predictAugmented(picture, proposals?.get(image.id)?.boxes);
    yield found.map((detection) => ({ ...detection, imageId: image.id }));
  }
}
