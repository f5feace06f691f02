// Ground truth and detections as columns of numbers, grouped by category and image, detections best score first.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Dataset, Detection, ImageRecord } from '../formats/dataset.js';
import type { CocoParams, IouType } from './coco-params.js';
import { type DetectionColumns, type Detections, detectionColumns } from './detection-columns.js';
import { numbered, orderByKey, orderDescending } from './stable-order.js';

/** The rows of one side, in groups; a group is all rows of one category in one image. */
export interface EvaluationRows<Source> {
  readonly count: number;
  /** What a row was made of. */
  readonly at: (row: number) => Source;
  /** Each row's place in the list that was given. */
  readonly items: Uint32Array;
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
  /** What the rows of detections are places in. */
  readonly columns: DetectionColumns;
  readonly score: Float64Array;
  /** Rows of detections by category, then best score first over all its images; ties by image, then by their order in the file. */
  readonly byScore: Uint32Array;
  /** `[categories + 1]`: where each category starts in `byScore`, and the end. */
  readonly categoryStart: Uint32Array;
}

interface Selected {
  /** Which of all. */
  readonly items: Uint32Array;
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
  detections: Detections,
  params: CocoParams,
  iouType: IouType,
): EvaluationTable {
  const columns = detectionColumns(detections);
  const imagePlace = new Map(params.imageIds.map((id, place) => [id, place]));
  const categoryPlace = new Map(params.categoryIds.map((id, place) => [id, place]));
  const images: ImageRecord[] = [];
  const knownImages = new Set<number>();
  for (const image of groundTruth.images) {
    knownImages.add(image.id);
    const place = imagePlace.get(image.id);
    if (place !== undefined) images[place] = image;
  }
  for (let i = 0; i < columns.length; i++) {
    const imageId = columns.imageId(i);
    if (!knownImages.has(imageId)) {
      throw new InputError(
        'results-invalid',
        `detections[${i}]: image ${imageId} is not in the ground truth: evaluate against the ground truth of the same images`,
      );
    }
    if (Number.isNaN(columns.score(i))) {
      throw new InputError('results-invalid', `detections[${i}]: score must be a number, got NaN: drop the detection`);
    }
    if (!hasPart(columns, i, iouType)) {
      const needed = iouType === 'segm' ? 'segmentation' : iouType;
      throw new InputError(
        'results-invalid',
        `detections[${i}]: ${needed} is missing: evaluate what the results hold, or add ${needed}`,
      );
    }
  }

  const { annotations } = groundTruth;
  const truthRows = select(
    annotations.length,
    (index) => imagePlace.get(annotations[index]!.imageId),
    (index) => categoryPlace.get(annotations[index]!.categoryId),
  );
  const detectionRows = select(
    columns.length,
    (index) => imagePlace.get(columns.imageId(index)),
    (index) => categoryPlace.get(columns.categoryId(index)),
  );
  if (iouType === 'segm') requireMasks(annotations, truthRows.items);
  const imageCount = params.imageIds.length;
  const categoryCount = params.useCategories ? params.categoryIds.length : 1;

  // By category even where categories do not count, as in pycocotools: it decides ties.
  const rowOrder = (rows: Selected) =>
    orderByKey(
      orderByKey(numbered(rows.items.length), rows.category, params.categoryIds.length),
      rows.image,
      imageCount,
    );
  const truthOrder = rowOrder(truthRows);
  const scores = Float64Array.from(detectionRows.items, (item) => columns.score(item));
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
    truths: reorder(truthRows, truthOrder, categoryCount, (item) => annotations[item]!),
    detections: reorder(detectionRows, detectionOrder, categoryCount, (item) => columns.at(item)),
    columns,
    score,
    byScore,
    categoryStart,
  };
}

function requireMasks(annotations: readonly Annotation[], items: Uint32Array): void {
  for (const item of items) {
    const { id, segmentation } = annotations[item]!;
    if (segmentation !== undefined && (segmentation.kind === 'rle' || segmentation.polygons.length > 0)) continue;
    throw new InputError(
      'annotation-invalid',
      `annotation ${id}: segmentation is missing: evaluate boxes (bbox), or give every annotation a mask`,
    );
  }
}

function hasPart(columns: DetectionColumns, index: number, iouType: IouType): boolean {
  if (iouType === 'keypoints') return columns.has(index, 'keypoints');
  if (columns.has(index, 'bbox') || columns.has(index, 'segmentation')) return true;
  return iouType === 'bbox' && columns.has(index, 'keypoints');
}

function select(
  count: number,
  imagePlace: (index: number) => number | undefined,
  categoryPlace: (index: number) => number | undefined,
): Selected {
  const items = new Uint32Array(count);
  const category = new Int32Array(count);
  const image = new Int32Array(count);
  let selected = 0;
  for (let i = 0; i < count; i++) {
    const inImage = imagePlace(i);
    const inCategory = categoryPlace(i);
    if (inImage === undefined || inCategory === undefined) continue;
    category[selected] = inCategory;
    image[selected] = inImage;
    items[selected++] = i;
  }
  return {
    items: items.subarray(0, selected),
    category: category.subarray(0, selected),
    image: image.subarray(0, selected),
  };
}

function reorder<Source>(
  rows: Selected,
  order: Uint32Array,
  categoryCount: number,
  at: (item: number) => Source,
): EvaluationRows<Source> {
  const items = new Uint32Array(order.length);
  const group = new Float64Array(order.length + 1);
  for (let i = 0; i < order.length; i++) {
    const item = order[i]!;
    items[i] = rows.items[item]!;
    group[i] = rows.image[item]! * categoryCount + rows.category[item]!;
  }
  group[order.length] = Number.POSITIVE_INFINITY;
  return { count: order.length, at: (row) => at(items[row]!), items, group };
}
