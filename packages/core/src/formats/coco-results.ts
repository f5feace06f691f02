// COCO results files (https://cocodataset.org/#format-results): a list of detections, checked against a dataset.
import { InputError } from '../errors/index.js';
import type { MaskSize } from '../masks/rle.js';
import { isFiniteNumber, readBox, readId, readKeypoints } from './coco-fields.js';
import { readSegmentation } from './coco-segmentation.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Dataset, Detection, ImageRecord, Segmentation } from './dataset.js';
import { type EntryTaker, type JsonStreamOptions, readJsonParts } from './json-stream.js';
import { type DetectionRow, PackedDetections } from './packed-detections.js';
import { asObject, type JsonObject, readJson } from './read-json.js';
import { ResultCategories } from './result-categories.js';
import { ResultEntries } from './result-entries.js';

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
 * ignored with a warning (one a category). Where entries have a `category_name`, it decides: the same names under other ids
 * are matched by name, with a warning.
 * @throws InputError that names the file, entry, field and remedy of the first error and counts the others.
 */
export function parseCocoResults(text: string | Uint8Array, options: CocoResultsOptions): ParsedCocoResults {
  const issues = new DataIssueList(options.fileName);
  const detections = readResults(text, options.dataset, issues);
  throwResultsError(issues);
  return { detections, warnings: issues.warnings };
}

export interface CocoResultsChunksOptions extends CocoResultsOptions, Omit<JsonStreamOptions, 'taker'> {}

export interface PackedCocoResults {
  /** In file order. */
  readonly detections: PackedDetections;
  readonly warnings: readonly DataIssue[];
}

// A file may be wrong in every one of millions of entries.
const mostIssues = 1000;

/**
 * The same for a file of any length, in chunks: its detections are kept packed, some 250 bytes for one with a mask.
 * @throws as {@link parseCocoResults}
 */
export function parseCocoResultsChunks(
  chunks: Iterable<Uint8Array>,
  options: CocoResultsChunksOptions,
): PackedCocoResults {
  const issues = new DataIssueList(options.fileName, mostIssues);
  const detections = new PackedDetections();
  const reader = new ResultsReader(options.dataset, issues);
  const taker = reader.taker((row) => detections.append(row));
  const parts = readJsonParts(chunks, issues, { ...options, taker });
  let value: unknown;
  for (;;) {
    const next = parts.next();
    if (next.done) {
      if (next.value === 'list') reader.finish();
      else if (next.value !== undefined) notAList(value, issues);
      break;
    }
    const { key } = next.value;
    if (key !== undefined) value = { ...(value as object), [key]: next.value.kind };
    else if (next.value.kind === 'value') value = next.value.value;
    else for (const entry of next.value.entries) reader.read(entry, (detection) => detections.push(detection));
  }
  throwResultsError(issues);
  return { detections, warnings: issues.warnings };
}

/** Every problem of a results file, in file order; never throws for what the file holds. */
export function checkCocoResults(text: string | Uint8Array, options: CocoResultsOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readResults(text, options.dataset, issues);
  return issues.issues;
}

function throwResultsError(issues: DataIssueList): void {
  const syntax = issues.issues.find(({ code }) => code === 'json-syntax');
  if (syntax !== undefined) throw new InputError('json-invalid', syntax.message);
  issues.throwFirstError('results-invalid');
}

function readResults(text: string | Uint8Array, dataset: Dataset, issues: DataIssueList): Detection[] {
  const list = readJson(text, issues);
  if (list === undefined) return [];
  if (!Array.isArray(list)) {
    notAList(list, issues);
    return [];
  }
  const detections: Detection[] = [];
  const reader = new ResultsReader(dataset, issues);
  for (const entry of list as readonly unknown[]) reader.read(entry, (detection) => detections.push(detection));
  reader.finish();
  return detections;
}

function notAList(value: unknown, issues: DataIssueList): void {
  const object = asObject(value);
  const looksLike = object !== undefined && 'images' in object ? ', which looks like ground truth' : '';
  issues.error(
    'top-level',
    '',
    `is ${describeValue(value === undefined ? {} : value)}${looksLike} (expected a list of detections): pass the list itself`,
  );
}

/** Reads the entries of a results file, one after the other. */
class ResultsReader {
  private readonly issues: DataIssueList;
  private readonly images: ReadonlyMap<number, ImageRecord>;
  private readonly categories: ResultCategories;
  private entries = 0;

  constructor(dataset: Dataset, issues: DataIssueList) {
    this.issues = issues;
    this.images = new Map(dataset.images.map((image) => [image.id, image]));
    this.categories = new ResultCategories(dataset.categories, issues);
  }

  /** Gives the detection to `keep`, where it is one and of a known category. */
  read(entry: unknown, keep: (detection: Detection) => void): void {
    const path = `[${this.entries++}]`;
    const object = asObject(entry);
    if (object === undefined) {
      this.issues.error('wrong-value', path, `is ${describeValue(entry)} (expected an object): correct it`);
      return;
    }
    const detection = this.readDetection(object, path);
    if (detection !== undefined) keep(detection);
  }

  /** Reads entries from their bytes, each in its place among those of {@link read}. */
  taker(keep: (row: DetectionRow) => void): EntryTaker {
    const entries = new ResultEntries(this.images, this.categories, keep);
    return {
      take: (bytes, from, end) => {
        const to = entries.take(bytes, from, end);
        if (to >= 0) this.entries++;
        return to;
      },
      get isAscii() {
        return entries.isAscii;
      },
    };
  }

  /** Checks that only the whole file can be asked for. */
  finish(): void {
    this.categories.finish();
  }

  private readDetection(object: JsonObject, path: string): Detection | undefined {
    const { issues } = this;
    const imageId = readId(object.image_id, `${path}.image_id`, issues);
    const writtenId = readId(object.category_id, `${path}.category_id`, issues);
    const score = readScore(object.score, path, issues);
    if (imageId === undefined || writtenId === undefined) return undefined;
    const image = this.images.get(imageId);
    if (image === undefined) {
      issues.error(
        'unknown-image',
        `${path}.image_id`,
        `is ${imageId}, which the ground truth does not have: pass the ground truth that these results belong to`,
        `image id ${imageId}`,
      );
      return undefined;
    }
    const category = this.categories.of(writtenId, object.category_name, path);
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
      categoryId: category.id,
      score,
      ...(box === undefined ? {} : { bbox: box }),
      ...(mask === undefined ? {} : { segmentation: mask }),
      ...(points === undefined ? {} : { keypoints: points }),
    };
  }
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
