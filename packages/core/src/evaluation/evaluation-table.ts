// Ground truth and detections as columns of numbers, grouped by category and image, detections best score first.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Dataset, Detection, ImageRecord } from '../formats/dataset.js';
import type { CocoParams, IouType } from './coco-params.js';
import { numbered, orderByKey, orderDescending } from './stable-order.js';

/** The rows of one side, in groups; a group is all rows of one category in one image. */
export interface EvaluationRows<Source> {
  /** What each row was made of. */
  readonly sources: readonly Source[];
  /** Index into `params.categoryIds`; 0 throughout where categories do not count. */
  readonly category: Int32Array;
  /** Index into the images of the table. */
  readonly image: Int32Array;
}

export interface EvaluationTable {
  readonly images: readonly ImageRecord[];
  readonly categoryCount: number;
  readonly truths: EvaluationRows<Annotation>;
  readonly detections: EvaluationRows<Detection>;
  readonly score: Float64Array;
  /** Rows of detections by category, then best score first over all its images; ties by image, then by their order in the file. */
  readonly byScore: Uint32Array;
}

interface Selected<Source> {
  readonly sources: Source[];
  readonly category: Int32Array;
  readonly image: Int32Array;
}

/**
 * Selects and orders what is evaluated.
 * @throws InputError for a detection of an image that the ground truth lacks, or with a score that is not a number.
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
  detections.forEach((detection, index) => {
    if (!knownImages.has(detection.imageId)) {
      throw new InputError(
        'results-invalid',
        `detections[${index}]: image ${detection.imageId} is not in the ground truth: evaluate against the ground truth of the same images`,
      );
    }
    if (Number.isNaN(detection.score)) {
      throw new InputError(
        'results-invalid',
        `detections[${index}]: score must be a number, got NaN: drop the detection`,
      );
    }
    requirePart(detection, iouType, `detections[${index}]`);
  });

  const truthRows = select(groundTruth.annotations, imagePlace, categoryPlace);
  const detectionRows = select(detections, imagePlace, categoryPlace);
  const imageCount = params.imageIds.length;
  const categoryCount = params.useCategories ? params.categoryIds.length : 1;

  const truthOrder = rowsByImage(truthRows, imageCount, params);
  const scores = Float64Array.from(detectionRows.sources, (detection) => detection.score);
  const scoreOrder = orderDescending(rowsByImage(detectionRows, imageCount, params), scores);
  if (!params.useCategories) {
    truthRows.category.fill(0);
    detectionRows.category.fill(0);
  }
  const detectionOrder = orderByKey(
    orderByKey(scoreOrder, detectionRows.image, imageCount),
    detectionRows.category,
    categoryCount,
  );
  const row = new Uint32Array(detectionOrder.length);
  for (let i = 0; i < detectionOrder.length; i++) row[detectionOrder[i]!] = i;
  return {
    images,
    categoryCount,
    truths: reorder(truthRows, orderByKey(truthOrder, truthRows.category, categoryCount)),
    detections: reorder(detectionRows, detectionOrder),
    score: Float64Array.from(detectionOrder, (item) => scores[item]!),
    byScore: orderByKey(scoreOrder, detectionRows.category, categoryCount).map((item) => row[item]!),
  };
}

function requirePart(detection: Detection, iouType: IouType, where: string): void {
  const { bbox, segmentation, keypoints } = detection;
  const isEnough =
    iouType === 'keypoints'
      ? keypoints
      : iouType === 'segm'
        ? (segmentation ?? bbox)
        : (bbox ?? segmentation ?? keypoints);
  if (isEnough) return;
  const needed = iouType === 'segm' ? 'segmentation' : iouType;
  throw new InputError(
    'results-invalid',
    `${where}: ${needed} is missing: evaluate what the results hold, or add ${needed}`,
  );
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

// Where categories do not count, rows of an image still come by category, as in pycocotools: it decides ties.
function rowsByImage(rows: Selected<unknown>, imageCount: number, params: CocoParams): Uint32Array {
  const all = numbered(rows.sources.length);
  const items = params.useCategories ? all : orderByKey(all, rows.category, params.categoryIds.length);
  return orderByKey(items, rows.image, imageCount);
}

function reorder<Source>(rows: Selected<Source>, order: Uint32Array): EvaluationRows<Source> {
  return {
    sources: Array.from(order, (item) => rows.sources[item]!),
    category: Int32Array.from(order, (item) => rows.category[item]!),
    image: Int32Array.from(order, (item) => rows.image[item]!),
  };
}
