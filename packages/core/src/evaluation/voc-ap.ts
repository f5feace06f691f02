// PASCAL VOC's average precision of boxes, in both of the challenge's conventions (Everingham et al., IJCV 2010; the
// devkit's VOCevaldet.m and VOCap.m). Difficult objects do not count, found or not.
import type { BoxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import type { Dataset, Detection } from '../formats/dataset.js';
import { numbered, orderByKey, orderDescending } from './stable-order.js';
import { matchVocDetection, type VocTruth } from './voc-match.js';

/**
 * `11-point`: mean of the best precision at recall 0, 0.1, ..., 1 or beyond (the challenges until 2009, "VOC07").
 * `area`: area under the precision curve made monotone (2010 and later).
 */
export type VocMetric = '11-point' | 'area';

export interface VocEvaluationInput {
  /** `isDifficult` objects and crowds are ignored. */
  readonly groundTruth: Dataset;
  /** Boxes, in any order; of equal scores the earlier comes first. Those of categories that the ground truth lacks do not count. */
  readonly detections: readonly Detection[];
  /** An object is found by an overlap of at least this. Default 0.5. */
  readonly iouThreshold?: number;
  /** Default `area`. */
  readonly metric?: VocMetric;
}

export interface VocClassResult {
  readonly id: number;
  readonly name: string;
  /** 0 to 1; -1 for a class without objects to find. */
  readonly ap: number;
  /** Objects to find. */
  readonly objects: number;
  /** One entry a detection that counts, best score first. Recall is 0 throughout for a class without objects. */
  readonly precision: Float64Array;
  readonly recall: Float64Array;
  readonly scores: Float64Array;
}

export interface VocEvaluation {
  readonly metric: VocMetric;
  readonly iouThreshold: number;
  /** Mean over the classes with objects to find; -1 where there is none. */
  readonly map: number;
  /** In order of the ground truth's categories. */
  readonly perClass: readonly VocClassResult[];
}

/**
 * VOC AP of each class and their mean.
 *
 *     evaluateVoc({ groundTruth, detections, metric: '11-point' }).map; // 0.71
 *
 * @throws InputError for a threshold outside of 0 to 1, a detection of an image that is not in the ground truth, without
 * box or with a score that is not a number.
 */
export function evaluateVoc(input: VocEvaluationInput): VocEvaluation {
  const { groundTruth, iouThreshold = 0.5, metric = 'area' } = input;
  if (!(iouThreshold > 0 && iouThreshold <= 1)) {
    throw new InputError(
      'usage',
      `evaluateVoc: iouThreshold is ${iouThreshold} (expected above 0, at most 1): VOC's is 0.5`,
    );
  }
  checkDetections(input);
  const { categories } = groundTruth;
  const truths = truthsByClass(groundTruth);
  const { ordered, start } = byClassAndScore(input);
  const perClass = categories.map(({ id, name }, k): VocClassResult => {
    const { objects, images } = truths[k]!;
    const curve = classCurve(ordered, start[k]!, start[k + 1]!, images, objects, iouThreshold);
    const ap = objects === 0 ? -1 : metric === 'area' ? areaAp(curve) : elevenPointAp(curve, objects);
    const { precision, recall, scores } = curve;
    return { id, name, ap, objects, precision, recall, scores };
  });
  const counted = perClass.filter(({ objects }) => objects > 0);
  const map = counted.length === 0 ? -1 : counted.reduce((sum, { ap }) => sum + ap, 0) / counted.length;
  return { metric, iouThreshold, map, perClass };
}

function checkDetections({ groundTruth, detections }: VocEvaluationInput): void {
  const images = new Set(groundTruth.images.map(({ id }) => id));
  for (const [i, { imageId, score, bbox }] of detections.entries()) {
    const problem = !images.has(imageId)
      ? `image ${imageId} is not in the ground truth: evaluate against the ground truth of the same images`
      : Number.isNaN(score)
        ? 'score must be a number, got NaN: drop the detection'
        : bbox === undefined
          ? 'bbox is missing: VOC AP compares boxes, add them'
          : undefined;
    if (problem !== undefined) throw new InputError('results-invalid', `detections[${i}]: ${problem}`);
  }
}

interface ClassTruths {
  objects: number;
  readonly images: Map<number, VocTruth[]>;
}

function truthsByClass({ annotations, categories }: Dataset): ClassTruths[] {
  const place = new Map(categories.map(({ id }, k) => [id, k]));
  const truths = categories.map((): ClassTruths => ({ objects: 0, images: new Map() }));
  for (const { imageId, categoryId, bbox, isCrowd, isDifficult } of annotations) {
    const own = truths[place.get(categoryId) ?? -1];
    if (own === undefined) continue;
    const isIgnored = isCrowd || isDifficult === true;
    if (!isIgnored) own.objects++;
    const truth = { bbox, isIgnored, isFound: false };
    const inImage = own.images.get(imageId);
    if (inImage === undefined) own.images.set(imageId, [truth]);
    else inImage.push(truth);
  }
  return truths;
}

interface OrderedDetections {
  readonly ordered: readonly Detection[];
  /** `[classes + 1]`: where each class starts in `ordered`, and the end. */
  readonly start: readonly number[];
}

/** Detections by class, best score first. */
function byClassAndScore({ groundTruth, detections }: VocEvaluationInput): OrderedDetections {
  const place = new Map(groundTruth.categories.map(({ id }, k) => [id, k]));
  const known = detections.filter(({ categoryId }) => place.has(categoryId));
  const classes = Int32Array.from(known, ({ categoryId }) => place.get(categoryId)!);
  const scores = Float64Array.from(known, ({ score }) => score);
  const order = orderByKey(orderDescending(numbered(known.length), scores), classes, place.size);
  const start = new Array<number>(place.size + 1).fill(0);
  for (const k of classes) start[k + 1]!++;
  for (let k = 0; k < place.size; k++) start[k + 1]! += start[k]!;
  return { ordered: Array.from(order, (i) => known[i]!), start };
}

interface Curve {
  readonly precision: Float64Array;
  readonly recall: Float64Array;
  readonly scores: Float64Array;
  /** Right detections among the first n + 1 that count. */
  readonly found: Int32Array;
}

function classCurve(
  ordered: readonly Detection[],
  first: number,
  end: number,
  images: ReadonlyMap<number, readonly VocTruth[]>,
  objects: number,
  iouThreshold: number,
): Curve {
  const precision = new Float64Array(end - first);
  const recall = new Float64Array(end - first);
  const scores = new Float64Array(end - first);
  const found = new Int32Array(end - first);
  let count = 0;
  let right = 0;
  for (let i = first; i < end; i++) {
    const { imageId, bbox, score } = ordered[i]!;
    const outcome = matchVocDetection(bbox as BoxXywh, images.get(imageId), iouThreshold);
    if (outcome === 'ignored') continue;
    if (outcome === 'right') right++;
    precision[count] = right / (count + 1);
    recall[count] = objects === 0 ? 0 : right / objects;
    scores[count] = score;
    found[count++] = right;
  }
  return {
    precision: precision.slice(0, count),
    recall: recall.slice(0, count),
    scores: scores.slice(0, count),
    found: found.slice(0, count),
  };
}

/** From the right end, so that each precision is the best at that recall or beyond. */
function areaAp({ precision, recall }: Curve): number {
  let best = 0;
  let area = 0;
  for (let i = precision.length - 1; i >= 0; i--) {
    best = Math.max(best, precision[i]!);
    area += (recall[i]! - (i > 0 ? recall[i - 1]! : 0)) * best;
  }
  return area;
}

function elevenPointAp({ precision, found }: Curve, objects: number): number {
  let best = 0;
  let sum = 0;
  let i = precision.length - 1;
  for (let tenth = 10; tenth >= 0; tenth--) {
    // In whole numbers: a recall of exactly 3 / 10 reaches the third point, which 0.1 * 3 in doubles would put beyond it.
    for (; i >= 0 && found[i]! * 10 >= tenth * objects; i--) best = Math.max(best, precision[i]!);
    sum += best;
  }
  return sum / 11;
}
