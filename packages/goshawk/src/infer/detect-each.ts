// A detector's way through a data set, picture by picture.
import { boxXywh, type Detection, InputError, type RgbImage } from '@goshawk/core';
import type { PreprocessConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, decodeSample } from '../data/index.js';
import { BatchFeed } from './batch-feed.js';
import type { Predictor } from './predictor.js';

export interface DetectEachOptions {
  readonly dataset: DetectionDataset;
  readonly preprocess: PreprocessConfig;
  /** Pictures of one pass, of one size in the network: the detections do not depend on it. */
  readonly batchSize: number;
  readonly workers: number;
  /**
   * Is told of a picture that cannot be used, in its turn; nothing is found in it then. Without it such a picture ends the way.
   * @param place where it stands in the dataset, counted from 0
   */
  readonly onUnusable?: (place: number, error: InputError) => void;
}

/** The detections of one picture after the other, in the order of the dataset, as results files have them. */
export async function* detectEach(
  predictor: Predictor,
  options: DetectEachOptions,
): AsyncGenerator<readonly Detection[], void, void> {
  const found = predictor.isAugmented ? detectInPictures(predictor, options) : detectInBatches(predictor, options);
  let place = 0;
  for await (const own of found) {
    if (own instanceof InputError) options.onUnusable?.(place, own);
    yield own instanceof InputError ? [] : asResults(own, predictor.boxes);
    place += 1;
  }
}

/** A picture's detections, or why it could not be used. */
type Outcome = readonly Detection[] | InputError;

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
  { dataset, preprocess, batchSize, workers, onUnusable }: DetectEachOptions,
): AsyncGenerator<Outcome, void, void> {
  const leaveOut = () => onUnusable !== undefined;
  const loader = createLoader({ dataset, batchSize, workers, preprocess, leaveOut, evenSizes: true });
  const feed = new BatchFeed(loader, { device: predictor.device, targets: false });
  // Batches come out of the data set's order, by a bounded number of pictures.
  const early = new Map<number, Outcome>();
  let place = 0;
  try {
    const next = () => predictor.stages.waiting('pictures', feed.next());
    for (let fed = await next(); fed !== undefined; fed = await next()) {
      const { batch, tensors } = fed;
      const pending = tensors && predictor.launch(tensors.images, batch.images);
      await feed.lookAhead();
      const outcomes: Outcome[] = pending ? pending.read() : [];
      fed.release();
      for (const { place: at, error } of batch.leftOut) outcomes.splice(at, 0, error);
      for (const [at, outcome] of outcomes.entries()) early.set(batch.places[at]!, outcome);
      for (let outcome = early.get(place); outcome !== undefined; outcome = early.get(place)) {
        early.delete(place);
        place += 1;
        yield outcome;
      }
    }
  } finally {
    await loader.close();
    await feed.close();
  }
}

/** Augmentation makes its own forms of a picture, so it starts from the file; the next one is decoded meanwhile. */
async function* detectInPictures(
  predictor: Predictor,
  { dataset: { samples, exifOrientation, proposals }, onUnusable }: DetectEachOptions,
): AsyncGenerator<Outcome, void, void> {
  const decode = (index: number): Promise<RgbImage> | undefined => {
    const decoding = samples[index] && decodeSample(samples[index], exifOrientation);
    // It is awaited later or, after an earlier failure, never.
    decoding?.catch(() => undefined);
    return decoding;
  };
  let next = decode(0);
  for (const [index, { image }] of samples.entries()) {
    const picture = await next!.catch((error: unknown) => {
      if (error instanceof InputError && onUnusable !== undefined) return error;
      throw error;
    });
    next = decode(index + 1);
    if (picture instanceof InputError) {
      yield picture;
      continue;
    }
    const found = predictor.predictAugmented(picture, proposals?.get(image.id)?.boxes);
    yield found.map((detection) => ({ ...detection, imageId: image.id }));
  }
}
