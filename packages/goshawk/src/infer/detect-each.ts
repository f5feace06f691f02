// A detector's way through a data set, picture by picture.
import { boxXywh, type Detection, type RgbImage } from '@goshawk/core';
import type { PreprocessConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, decodeSample } from '../data/index.js';
import type { Predictor } from './predictor.js';

export interface DetectEachOptions {
  readonly dataset: DetectionDataset;
  readonly preprocess: PreprocessConfig;
  readonly batchSize: number;
  readonly workers: number;
}

/** The detections of one picture after the other, in the order of the dataset, as results files have them. */
export async function* detectEach(
  predictor: Predictor,
  options: DetectEachOptions,
): AsyncGenerator<readonly Detection[], void, void> {
  const found = predictor.isAugmented
    ? detectInPictures(predictor, options.dataset)
    : detectInBatches(predictor, options);
  for await (const own of found) yield asResults(own, predictor.boxes);
}

/**
 * Detections as results files have them: a box is as wide as its pixels, the last one counted (Detectron,
 * maskrcnn-benchmark and mmdetection write x2 - x1 + 1 there).
 * @param boxes how a predictor's are meant: {@link Predictor.boxes}
 */
export function asResults(detections: readonly Detection[], boxes: Predictor['boxes']): readonly Detection[] {
  if (boxes === 'continuous') return detections;
  return detections.map((detection) => {
    if (!detection.bbox) return detection;
    const [x, y, width, height] = detection.bbox;
    return { ...detection, bbox: boxXywh(x, y, width + 1, height + 1) };
  });
}

async function* detectInBatches(
  predictor: Predictor,
  { dataset, preprocess, batchSize, workers }: DetectEachOptions,
): AsyncGenerator<readonly Detection[], void, void> {
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
