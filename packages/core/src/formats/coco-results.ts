// COCO results files (https://cocodataset.org/#format-results): a list of detections, checked against a dataset.
import type { MaskSize } from '../masks/rle.js';
import { isFiniteNumber, readBox, readId, readKeypoints } from './coco-fields.js';
import { readSegmentation } from './coco-segmentation.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Category, Dataset, Detection, ImageRecord, Segmentation } from './dataset.js';
import { asObject, type JsonObject, readJson } from './read-json.js';

export interface CocoResultsOptions {
  /** Stands at the head of every message. */
  readonly fileName: string;
  /** The ground truth that the results belong to. */
  readonly dataset: Dataset;
}

export interface ParsedCocoResults {
  /** In file order. */
  readonly detections: readonly Detection[];
  readonly warnings: readonly DataIssue[];
}

/**
 * Reads a results file: boxes, masks, keypoints, or any of them together, each with a finite score. Boxes are taken as
 * they are, also empty ones and those outside, as pycocotools does. A detection of a category that the dataset lacks is
 * ignored with a warning (one a category).
 * @throws InputError that names the file, entry, field and remedy of the first error and counts the others.
 */
export function parseCocoResults(text: string | Uint8Array, options: CocoResultsOptions): ParsedCocoResults {
  const issues = new DataIssueList(options.fileName);
  const detections = readResults(text, options.dataset, issues);
  issues.throwFirstError(
    issues.issues.some((issue) => issue.code === 'json-syntax') ? 'json-invalid' : 'results-invalid',
  );
  return { detections, warnings: issues.warnings };
}

/** Every problem of a results file, in file order; never throws for what the file holds. */
export function checkCocoResults(text: string | Uint8Array, options: CocoResultsOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readResults(text, options.dataset, issues);
  return issues.issues;
}

function readResults(text: string | Uint8Array, dataset: Dataset, issues: DataIssueList): Detection[] {
  const list = readJson(text, issues);
  if (list === undefined) return [];
  if (!Array.isArray(list)) {
    const object = asObject(list);
    const looksLike = object !== undefined && 'images' in object ? ', which looks like ground truth' : '';
    issues.error(
      'top-level',
      '',
      `is ${describeValue(list)}${looksLike} (expected a list of detections): pass the list itself`,
    );
    return [];
  }
  const images = new Map(dataset.images.map((image) => [image.id, image]));
  const categories = new Map(dataset.categories.map((category) => [category.id, category]));
  const unknownCategories = new Set<number>();
  const detections: Detection[] = [];
  for (let i = 0; i < list.length; i++) {
    const entry: unknown = list[i];
    const object = asObject(entry);
    if (object === undefined) {
      issues.error('wrong-value', `[${i}]`, `is ${describeValue(entry)} (expected an object): correct it`);
      continue;
    }
    const detection = readDetection(object, `[${i}]`, images, categories, unknownCategories, issues);
    if (detection !== undefined) detections.push(detection);
  }
  return detections;
}

function readDetection(
  object: JsonObject,
  path: string,
  images: ReadonlyMap<number, ImageRecord>,
  categories: ReadonlyMap<number, Category>,
  unknownCategories: Set<number>,
  issues: DataIssueList,
): Detection | undefined {
  const imageId = readId(object.image_id, `${path}.image_id`, issues);
  const categoryId = readId(object.category_id, `${path}.category_id`, issues);
  const score = readScore(object.score, path, issues);
  if (imageId === undefined || categoryId === undefined) return undefined;
  const image = images.get(imageId);
  if (image === undefined) {
    issues.error(
      'unknown-image',
      `${path}.image_id`,
      `is ${imageId}, which the ground truth does not have: pass the ground truth that these results belong to`,
      `image id ${imageId}`,
    );
    return undefined;
  }
  const category = categories.get(categoryId);
  if (category === undefined && !unknownCategories.has(categoryId)) {
    unknownCategories.add(categoryId);
    issues.warning(
      'unknown-category',
      `${path}.category_id`,
      `is ${categoryId}, which the ground truth does not have: its detections are ignored; write category ids, not class indices`,
      `category id ${categoryId}`,
    );
  }
  const { bbox, segmentation, keypoints } = object;
  const box = isGiven(bbox) ? readBox(bbox, `${path}.bbox`, issues, '') : undefined;
  const mask = isGiven(segmentation) ? readMask(segmentation, image, path, issues) : undefined;
  const points = isGiven(keypoints)
    ? readKeypoints(keypoints, category?.keypoints?.length, `${path}.keypoints`, issues, '')
    : undefined;
  if (!isGiven(bbox) && !isGiven(segmentation) && !isGiven(keypoints)) {
    issues.error(
      'missing-field',
      `${path}.bbox`,
      'is missing (expected a bbox, segmentation or keypoints): add what was detected',
    );
  }
  if (
    category === undefined ||
    score === undefined ||
    (box === undefined && mask === undefined && points === undefined)
  )
    return undefined;
  return {
    imageId,
    categoryId,
    score,
    ...(box === undefined ? {} : { bbox: box }),
    ...(mask === undefined ? {} : { segmentation: mask }),
    ...(points === undefined ? {} : { keypoints: points }),
  };
}

function readScore(value: unknown, path: string, issues: DataIssueList): number | undefined {
  if (isFiniteNumber(value)) return value;
  const code = value === undefined ? 'missing-field' : 'wrong-value';
  issues.error(
    code,
    `${path}.score`,
    `is ${describeValue(value)} (expected a finite number): write the detection's score`,
  );
  return undefined;
}

function readMask(value: unknown, image: ImageRecord, path: string, issues: DataIssueList): Segmentation | undefined {
  const size: MaskSize | undefined = image.width > 0 && image.height > 0 ? [image.height, image.width] : undefined;
  const { segmentation, error, leftOut } = readSegmentation(value, size);
  if (error !== undefined) issues.error(error.code, `${path}.segmentation${error.path}`, error.text);
  for (const part of leftOut) issues.warning(part.code, `${path}.segmentation${part.path}`, part.text);
  return segmentation;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
