// COCO annotation files (https://cocodataset.org/#format-data): instances and person keypoints. One pass finds all
// problems; a loader stops at the errors, `goshawk data check` lists everything.
import { readAnnotations } from './coco-annotations.js';
import type { CocoOptions } from './coco-options.js';
import { readCategories, readImages } from './coco-tables.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Dataset } from './dataset.js';
import { asObject, type JsonObject, readJson } from './read-json.js';

export interface ParsedCoco {
  readonly dataset: Dataset;
  /** What was skipped, clipped or looks wrong, in file order. */
  readonly warnings: readonly DataIssue[];
}

/**
 * Reads a COCO annotation file. Missing `iscrowd` is 0; missing `area` is that of the mask, or of the box without one;
 * missing `num_keypoints` counts the labelled points. Polygons of fewer than three corners are left out with a warning.
 * @param text the file's text or bytes (UTF-8, with or without byte order mark; UTF-16 with one).
 * @throws InputError that names the file, field, id and remedy of the first error and counts the others.
 */
export function parseCoco(text: string | Uint8Array, options: CocoOptions): ParsedCoco {
  const issues = new DataIssueList(options.fileName);
  const dataset = readDataset(text, options, issues);
  issues.throwFirstError(
    issues.issues.some((issue) => issue.code === 'json-syntax') ? 'json-invalid' : 'annotation-invalid',
  );
  return { dataset, warnings: issues.warnings };
}

/** Every problem of a COCO annotation file, in file order; never throws for what the file holds. */
export function checkCoco(text: string | Uint8Array, options: CocoOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readDataset(text, options, issues);
  return issues.issues;
}

function readDataset(text: string | Uint8Array, options: CocoOptions, issues: DataIssueList): Dataset {
  const empty: Dataset = { images: [], annotations: [], categories: [] };
  const value = readJson(text, issues);
  if (value === undefined) return empty;
  const root = asObject(value);
  if (root === undefined) {
    const found =
      Array.isArray(value) && asObject(value[0]) !== undefined
        ? 'is a list, which looks like a results file (expected an object with images, annotations and categories): pass the ground truth'
        : `is ${describeValue(value)} (expected an object with images, annotations and categories): check that it is the right file`;
    issues.error('top-level', '', found);
    return empty;
  }
  const imageList = readList(root, 'images', issues);
  const annotationList = readList(root, 'annotations', issues);
  const categoryList = readList(root, 'categories', issues);
  // Without its tables every annotation would look like a stray.
  if (imageList === undefined || annotationList === undefined || categoryList === undefined) return empty;
  if (imageList.length === 0)
    issues.error('missing-field', 'images', 'is empty (expected at least one picture): add the pictures');
  const images = readImages(imageList, options.requireFiles ?? options.purpose !== 'evaluation', issues);
  const categories = readCategories(categoryList, issues);
  const annotations = readAnnotations(annotationList, { images, categories }, options, issues);
  return { images: [...images.entries.values()], annotations, categories: [...categories.entries.values()] };
}

function readList(root: JsonObject, key: string, issues: DataIssueList): readonly unknown[] | undefined {
  const value = root[key];
  if (Array.isArray(value)) return value;
  if (value === undefined)
    issues.error(
      'missing-field',
      key,
      `is missing (expected the list "${key}"): add it, or check that this is a COCO annotation file`,
    );
  else issues.error('wrong-value', key, `is ${describeValue(value)} (expected a list): correct it`);
  return undefined;
}
