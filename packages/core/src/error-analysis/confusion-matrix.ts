// Which category is taken for which, the background being one of them.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Category, Detection, ImageRecord } from '../formats/dataset.js';
import { type AnalysisInput, type ExaminedPicture, examinedPictures } from './examined-pictures.js';
import { type PairThresholds, type PictureOverlaps, pairPicture } from './pair-picture.js';

export type ConfusionOptions = Partial<PairThresholds>;

/** Detections from this score on count, and belong to what they overlap to this IoU, unless others are asked for. */
export const confusionDefaults: PairThresholds = { scoreThreshold: 0.25, iouThreshold: 0.45 };

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

/** A picture's detections and objects, and what of them overlaps. */
export interface OverlappingPicture {
  readonly image: ImageRecord;
  /** Best score first, equal ones in the order in which they were given. */
  readonly detections: readonly Detection[];
  /** Without crowds, in the order of the ground truth. */
  readonly objects: readonly Annotation[];
  /** By the places in these lists. */
  readonly overlaps: PictureOverlaps;
}

/**
 * Best score first, each detection takes the free object of any category that it overlaps most; what is left of either side is
 * confused with the background. A free detection more than `iouThreshold` of which lies in a crowd does not count.
 * @throws InputError as evaluateCoco does, and for thresholds that are not from 0 to 1
 */
export function confusionMatrix(input: AnalysisInput, options: ConfusionOptions = {}): ConfusionMatrix {
  const thresholds = { ...confusionDefaults, ...options };
  for (const [name, value] of Object.entries(thresholds)) {
    if (value >= 0 && value <= 1) continue;
    throw new InputError('usage', `confusionMatrix: ${name} must be 0 to 1, got ${value}: correct it`);
  }
  return confusionOf(input.groundTruth.categories, overlappingPictures(input, thresholds.iouThreshold), thresholds);
}

/**
 * Every picture that has objects or detections, in order of their ids.
 * @param smallestIou what is below may be left out
 * @throws InputError as evaluateCoco does
 */
export function* overlappingPictures(input: AnalysisInput, smallestIou: number): Generator<OverlappingPicture> {
  const examination = { smallestIou, perPicture: Number.POSITIVE_INFINITY };
  for (const picture of examinedPictures(input, examination)) {
    const { image, detections, objects } = picture;
    yield { image, detections, objects, overlaps: overlapsOf(picture, smallestIou) };
  }
}

/** The matrix of pictures whose overlaps are known from `iouThreshold` on at least. */
export function confusionOf(
  allCategories: readonly Category[],
  pictures: Iterable<OverlappingPicture>,
  thresholds: PairThresholds = confusionDefaults,
): ConfusionMatrix {
  const categories = [...allCategories].sort((a, b) => a.id - b.id);
  const place = new Map(categories.map(({ id }, index) => [id, index]));
  const background = categories.length;
  const counts = Array.from({ length: background + 1 }, () => new Array<number>(background + 1).fill(0));
  const pairs: ConfusedPair[] = [];
  for (const { image, detections, objects, overlaps } of pictures)
    pairPicture(overlaps, thresholds, (o, d) => {
      const [object, detection] = [objects[o], detections[d]];
      const truth = object === undefined ? background : place.get(object.categoryId)!;
      const found = detection === undefined ? background : place.get(detection.categoryId)!;
      counts[truth]![found]!++;
      pairs.push({ image, truth, found, ...(object && { object }), ...(detection && { detection }) });
    });
  const { scoreThreshold, iouThreshold } = thresholds;
  return { scoreThreshold, iouThreshold, categories, counts, pairs };
}

function overlapsOf(picture: ExaminedPicture, smallestIou: number): PictureOverlaps {
  const { detections, objects, crowds } = picture;
  const nearStart = [0];
  const nearObject: number[] = [];
  const nearIou: number[] = [];
  detections.forEach((_, d) => {
    const near: { readonly object: number; readonly iou: number }[] = [];
    for (let object = 0; object < objects.length; object++) {
      const iou = picture.iou(d, object);
      if (iou > 0 && iou >= smallestIou) near.push({ object, iou });
    }
    for (const { object, iou } of near.sort((a, b) => b.iou - a.iou)) {
      nearObject.push(object);
      nearIou.push(iou);
    }
    nearStart.push(nearObject.length);
  });
  return {
    objects: objects.length,
    score: detections.map(({ score }) => score),
    nearStart,
    nearObject,
    nearIou,
    crowdShare: detections.map((_, d) => crowds.reduce((most, __, c) => Math.max(most, picture.shareInCrowd(d, c)), 0)),
  };
}
