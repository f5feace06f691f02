// What a COCO evaluation can be set to, with the defaults of pycocotools 2.0.11 (cocoeval.py, class Params).
import { InputError } from '../errors/input-error.js';
import type { Dataset } from '../formats/dataset.js';
import { cocoPersonSigmas, oksSigmas } from '../keypoints/coco-person.js';

/** What is compared: boxes, masks, or keypoints (object keypoint similarity). */
export type IouType = 'bbox' | 'segm' | 'keypoints';

/** Objects of a size, by their area in square pixels; both ends belong to the range. */
export interface AreaRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

export interface CocoParams {
  /** Images to evaluate; default all. */
  readonly imageIds: readonly number[];
  /** Categories to evaluate; default all. */
  readonly categoryIds: readonly number[];
  /** Default 0.5, 0.55, ..., 0.95; at most 32. */
  readonly iouThresholds: readonly number[];
  /** Default 0, 0.01, ..., 1. */
  readonly recallThresholds: readonly number[];
  /** Most detections of a category counted in an image, ascending; default 1, 10, 100, for keypoints 20. */
  readonly maxDetections: readonly number[];
  /** Default all, small, medium, large (limits 32**2 and 96**2), for keypoints without small. */
  readonly areaRanges: readonly AreaRange[];
  /** false: every object and detection counts as of one category, as for proposals. Default true. */
  readonly useCategories: boolean;
  /**
   * Standard deviation of each keypoint relative to the object's scale. Default: those of the first category that has some
   * (`sigmas`); else COCO's for 17 keypoints, and for another number the mean of COCO's for each.
   */
  readonly oksSigmas: readonly number[];
  /** The entry of `maxDetections` that `stats.AP` (for keypoints: all of `stats`) reads. Default 100, for keypoints 20, even where that is not an entry; those stats are then -1. */
  readonly statsMaxDetections: number;
  /**
   * By which area a segm detection is small, medium or large. `box-first` (default): as pycocotools' loadRes, its box where
   * it has one, else its mask. `mask`: its mask, as torchvision and detectron2 do by dropping the boxes of mask results.
   */
  readonly segmArea: 'box-first' | 'mask';
  /**
   * true repeats a flaw of pycocotools: a detection matched to the annotation with id 0 counts as unmatched. Default
   * false: ids have no meaning.
   */
  readonly idZeroIsUnmatched: boolean;
}

/** The sigmas that a data set is measured with where none are given: {@link CocoParams.oksSigmas}. */
export function defaultSigmas({
  categories,
  annotations,
}: Pick<Dataset, 'categories' | 'annotations'>): readonly number[] {
  const given = categories.find(({ sigmas = [] }) => sigmas.length > 0)?.sigmas;
  if (given !== undefined) return given;
  const named = categories.find(({ keypoints = [] }) => keypoints.length > 0)?.keypoints;
  if (named !== undefined) return oksSigmas(named.length);
  const points = annotations.find(({ keypoints = [] }) => keypoints.length > 0)?.keypoints;
  return points === undefined ? cocoPersonSigmas : oksSigmas(points.length / 3);
}

/** The full parameters from the given ones. @throws InputError (code `usage`) for values that make no sense. */
export function resolveCocoParams(given: Partial<CocoParams>, iouType: IouType, groundTruth: Dataset): CocoParams {
  const isKeypoints = iouType === 'keypoints';
  const knownImages = ascending(groundTruth.images.map((image) => image.id));
  const knownCategories = ascending(groundTruth.categories.map((category) => category.id));
  const params: CocoParams = {
    imageIds: given.imageIds ? ascending(given.imageIds) : knownImages,
    categoryIds: given.categoryIds ? ascending(given.categoryIds) : knownCategories,
    iouThresholds: given.iouThresholds ?? evenlySpaced(0.5, 0.95, 10),
    recallThresholds: given.recallThresholds ?? evenlySpaced(0, 1, 101),
    maxDetections: ascending(given.maxDetections ?? (isKeypoints ? [20] : [1, 10, 100])),
    areaRanges: given.areaRanges ?? cocoAreaRanges.filter((range) => !isKeypoints || range.name !== 'small'),
    useCategories: given.useCategories ?? true,
    oksSigmas: given.oksSigmas ?? defaultSigmas(groundTruth),
    statsMaxDetections: given.statsMaxDetections ?? (isKeypoints ? 20 : 100),
    segmArea: given.segmArea ?? 'box-first',
    idZeroIsUnmatched: given.idZeroIsUnmatched ?? false,
  };
  requireKnown('imageIds', params.imageIds, knownImages);
  requireKnown('categoryIds', params.categoryIds, knownCategories);
  requireAll('iouThresholds', params.iouThresholds, Number.isFinite, '1 to 32 numbers', 32);
  requireAll('recallThresholds', params.recallThresholds, Number.isFinite, 'numbers from 0 to 1');
  requireAll('maxDetections', params.maxDetections, (n) => Number.isInteger(n) && n > 0, 'whole numbers above 0');
  requireAll('oksSigmas', params.oksSigmas, (sigma) => sigma > 0, 'numbers above 0');
  const isRange = (range: AreaRange) => range.min <= range.max;
  requireAll('areaRanges', params.areaRanges, isRange, 'ranges with min <= max');
  return params;
}

/** COCO's object sizes: all, small below 32 x 32, large above 96 x 96 pixels. */
export const cocoAreaRanges: readonly AreaRange[] = [
  { name: 'all', min: 0, max: 1e5 ** 2 },
  { name: 'small', min: 0, max: 32 ** 2 },
  { name: 'medium', min: 32 ** 2, max: 96 ** 2 },
  { name: 'large', min: 96 ** 2, max: 1e5 ** 2 },
];

/** `count` numbers from `first` to `last`, as numpy.linspace rounds them: recall 0.57 is 57 * 0.01 = 0.5700000000000001 there, which decides ties. */
export function evenlySpaced(first: number, last: number, count: number): number[] {
  const step = (last - first) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? last : i * step + first));
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function requireKnown(name: string, ids: readonly number[], known: readonly number[]): void {
  const all = new Set(known);
  const unknown = ids.find((id) => !all.has(id));
  if (unknown !== undefined) {
    throw new InputError(
      'usage',
      `evaluateCoco: params.${name} has ${unknown}, which the ground truth does not have: name ids of the ground truth`,
    );
  }
}

function requireAll<Value>(
  name: string,
  values: readonly Value[],
  isGood: (value: Value) => boolean,
  expected: string,
  most = Number.POSITIVE_INFINITY,
): void {
  const bad = values.findIndex((value) => !isGood(value));
  if (values.length > 0 && values.length <= most && bad < 0) return;
  const got = bad < 0 ? `${values.length} of them` : JSON.stringify(values[bad]);
  throw new InputError('usage', `evaluateCoco: params.${name} must be ${expected}, got ${got}: correct the parameter`);
}
