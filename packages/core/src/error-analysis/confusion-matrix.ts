// Which category is taken for which, the background being one of them.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Category, Detection, ImageRecord } from '../formats/dataset.js';
import { type AnalysisInput, examinedPictures } from './examined-pictures.js';

export interface ConfusionOptions {
  /** Detections with a lower score do not count. */
  readonly scoreThreshold?: number;
  /** IoU from which a detection and an object belong together. */
  readonly iouThreshold?: number;
}

/** A pair that belongs together, or one of its halves alone. */
export interface ConfusedPair {
  readonly image: ImageRecord;
  /** Index of the object's category; that of the background where there is no object. */
  readonly truth: number;
  /** Index of the detection's category; that of the background where there is no detection. */
  readonly found: number;
  readonly object?: Annotation;
  readonly detection?: Detection;
}

export interface ConfusionMatrix {
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  /** By ascending id; the background's index is their number. */
  readonly categories: readonly Category[];
  /** `[categories + 1][categories + 1]`: counts[truth][found], the last row and column for the background. */
  readonly counts: readonly (readonly number[])[];
  /** What the counts count; by picture, detections best first. */
  readonly pairs: readonly ConfusedPair[];
}

/**
 * Best score first, each detection takes the free object of any category that it overlaps most; what is left of either side is
 * confused with the background. A free detection more than `iouThreshold` of which lies in a crowd does not count.
 * @throws InputError as evaluateCoco does, and for thresholds that are not from 0 to 1
 */
export function confusionMatrix(input: AnalysisInput, options: ConfusionOptions = {}): ConfusionMatrix {
  const { scoreThreshold = 0.25, iouThreshold = 0.45 } = options;
  for (const [name, value] of Object.entries({ scoreThreshold, iouThreshold })) {
    if (value >= 0 && value <= 1) continue;
    throw new InputError('usage', `confusionMatrix: ${name} must be 0 to 1, got ${value}: correct it`);
  }
  const categories = [...input.groundTruth.categories].sort((a, b) => a.id - b.id);
  const place = new Map(categories.map(({ id }, index) => [id, index]));
  const background = categories.length;
  const counts = Array.from({ length: background + 1 }, () => new Array<number>(background + 1).fill(0));
  const pairs: ConfusedPair[] = [];
  const add = (pair: ConfusedPair) => {
    counts[pair.truth]![pair.found]!++;
    pairs.push(pair);
  };
  const examination = { smallestIou: iouThreshold, perPicture: Number.POSITIVE_INFINITY };
  for (const picture of examinedPictures(input, examination)) {
    const { image, objects, crowds } = picture;
    const isFree = objects.map(() => true);
    picture.detections.forEach((detection, d) => {
      if (detection.score < scoreThreshold) return;
      const found = place.get(detection.categoryId)!;
      let best: number | undefined;
      for (let o = 0; o < objects.length; o++) {
        const iou = picture.iou(d, o);
        if (!isFree[o] || iou < iouThreshold || iou === 0) continue;
        if (best === undefined || iou > picture.iou(d, best)) best = o;
      }
      if (best !== undefined) {
        isFree[best] = false;
        const object = objects[best]!;
        add({ image, truth: place.get(object.categoryId)!, found, object, detection });
      } else if (!crowds.some((_, c) => picture.shareInCrowd(d, c) > iouThreshold)) {
        add({ image, truth: background, found, detection });
      }
    });
    objects.forEach((object, o) => {
      if (isFree[o]) add({ image, truth: place.get(object.categoryId)!, found: background, object });
    });
  }
  return { scoreThreshold, iouThreshold, categories, counts, pairs };
}
