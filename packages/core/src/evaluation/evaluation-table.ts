// Ground truth and detections as columns of numbers, grouped by category and image, detections best score first.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Dataset, Detection, ImageRecord } from '../formats/dataset.js';
import type { CocoParams, IouType } from './coco-params.js';
import { numbered, orderByKey, orderDescending } from './stable-order.js';

/** The rows of one side, in groups; a group is all rows of one category in one image. */
export interface EvaluationRows<Source> {
  /** What each row was made of. */
  readonly sources: readonly Source[];
  /**
   * Number of each row's group, ascending: image * categories + category, both as indices into the parameters' ids (category 0
   * throughout where categories do not count). Infinity after the last row.
   */
  readonly group: Float64Array;
}

export interface EvaluationTable {
  readonly images: readonly ImageRecord[];
  readonly categoryCount: number;
  readonly truths: EvaluationRows<Annotation>;
  readonly detections: EvaluationRows<Detection>;
  readonly score: Float64Array;
  /** Rows of detections by category, then best score first over all its images; ties by image, then by their order in the file. */
  readonly byScore: Uint32Array;
  /** `[categories + 1]`: where each category starts in `byScore`, and the end. */
  readonly categoryStart: Uint32Array;
}

interface Selected<Source> {
  readonly sources: Source[];
  readonly category: Int32Array;
  readonly image: Int32Array;
}

/**
 * Selects and orders what is evaluated.
 * @throws InputError for a detection of an image that the ground truth lacks, with a score that is not a number, or without
 * what is compared; for an annotation without a mask where masks are compared.
 */
export function buildEvaluationTable(
  groundTruth: Dataset,
  detections: readonly Detection[],
  params: CocoParams,
  iouType: IouType,
): EvaluationTable {
  const imagePlace = new Map(params.imageIds.map((id, place) => [id, place]));
  const categoryPlace = new Map(params.categoryIds.map((id, place) => [id, place]));
  const images: ImageRecord[] = [];
  const knownImages = new Set<number>();
  for (const image of groundTruth.images) {
    knownImages.add(image.id);
    const place = imagePlace.get(image.id);
    if (place !== undefined) images[place] = image;
  }
  for (let i = 0; i < detections.length; i++) {
    const detection = detections[i]!;
    if (!knownImages.has(detection.imageId)) {
      throw new InputError(
        'results-invalid',
        `detections[${i}]: image ${detection.imageId} is not in the ground truth: evaluate against the ground truth of the same images`,
      );
    }
    if (Number.isNaN(detection.score)) {
      throw new InputError('results-invalid', `detections[${i}]: score must be a number, got NaN: drop the detection`);
    }
    if (!hasPart(detection, iouType)) {
      const needed = iouType === 'segm' ? 'segmentation' : iouType;
      throw new InputError(
        'results-invalid',
        `detections[${i}]: ${needed} is missing: evaluate what the results hold, or add ${needed}`,
      );
    }
  }

  const truthRows = select(groundTruth.annotations, imagePlace, categoryPlace);
  const detectionRows = select(detections, imagePlace, categoryPlace);
  if (iouType === 'segm') requireMasks(truthRows.sources);
  const imageCount = params.imageIds.length;
  const categoryCount = params.useCategories ? params.categoryIds.length : 1;

  // By category even where categories do not count, as in pycocotools: it decides ties.
  const rowOrder = (rows: Selected<unknown>) =>
    orderByKey(
      orderByKey(numbered(rows.sources.length), rows.category, params.categoryIds.length),
      rows.image,
      imageCount,
    );
  const truthOrder = rowOrder(truthRows);
  const scores = new Float64Array(detectionRows.sources.length);
  for (let i = 0; i < scores.length; i++) scores[i] = detectionRows.sources[i]!.score;
  const scoreOrder = orderDescending(rowOrder(detectionRows), scores);
  if (!params.useCategories) {
    truthRows.category.fill(0);
    detectionRows.category.fill(0);
  }
  const byCategory = orderByKey(scoreOrder, detectionRows.category, categoryCount);
  // Images outermost: their masks lie together in memory, and walking over them in that order is faster.
  const detectionOrder = orderByKey(byCategory, detectionRows.image, imageCount);
  const score = new Float64Array(detectionOrder.length);
  const row = new Uint32Array(detectionOrder.length);
  for (let i = 0; i < detectionOrder.length; i++) {
    const item = detectionOrder[i]!;
    score[i] = scores[item]!;
    row[item] = i;
  }
  const byScore = new Uint32Array(byCategory.length);
  const categoryStart = new Uint32Array(categoryCount + 1);
  for (let i = 0; i < byScore.length; i++) {
    const item = byCategory[i]!;
    byScore[i] = row[item]!;
    categoryStart[detectionRows.category[item]! + 1] = i + 1;
  }
  for (let k = 1; k <= categoryCount; k++) categoryStart[k] = Math.max(categoryStart[k]!, categoryStart[k - 1]!);
  return {
    images,
    categoryCount,
    truths: reorder(truthRows, truthOrder, categoryCount),
    detections: reorder(detectionRows, detectionOrder, categoryCount),
    score,
    byScore,
    categoryStart,
  };
}

function requireMasks(annotations: readonly Annotation[]): void {
  for (const { id, segmentation } of annotations) {
    if (segmentation !== undefined && (segmentation.kind === 'rle' || segmentation.polygons.length > 0)) continue;
    throw new InputError(
      'annotation-invalid',
      `annotation ${id}: segmentation is missing: evaluate boxes (bbox), or give every annotation a mask`,
    );
  }
}

function hasPart({ bbox, segmentation, keypoints }: Detection, iouType: IouType): boolean {
  if (iouType === 'keypoints') return keypoints !== undefined;
  if (iouType === 'segm') return segmentation !== undefined || bbox !== undefined;
  return bbox !== undefined || segmentation !== undefined || keypoints !== undefined;
}

function select<Source extends { readonly imageId: number; readonly categoryId: number }>(
  all: readonly Source[],
  imagePlace: ReadonlyMap<number, number>,
  categoryPlace: ReadonlyMap<number, number>,
): Selected<Source> {
  const sources: Source[] = [];
  const category = new Int32Array(all.length);
  const image = new Int32Array(all.length);
  for (const source of all) {
    const inImage = imagePlace.get(source.imageId);
    const inCategory = categoryPlace.get(source.categoryId);
    if (inImage === undefined || inCategory === undefined) continue;
    category[sources.length] = inCategory;
    image[sources.length] = inImage;
    sources.push(source);
  }
  return { sources, category: category.subarray(0, sources.length), image: image.subarray(0, sources.length) };
}

function reorder<Source>(rows: Selected<Source>, order: Uint32Array, categoryCount: number): EvaluationRows<Source> {
  const sources = new Array<Source>(order.length);
  const group = new Float64Array(order.length + 1);
  for (let i = 0; i < order.length; i++) {
    const item = order[i]!;
    sources[i] = rows.sources[item]!;
    group[i] = rows.image[item]! * categoryCount + rows.category[item]!;
  }
  group[order.length] = Number.POSITIVE_INFINITY;
  return { sources, group };
}
