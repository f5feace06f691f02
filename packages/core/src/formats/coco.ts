// COCO annotation files (https://cocodataset.org/#format-data): instances and person keypoints. One pass finds all
// problems; a loader stops at the errors, `goshawk data check` lists everything.
import { AnnotationReader } from './coco-annotations.js';
import type { CocoOptions } from './coco-options.js';
import { readCategories, readImages } from './coco-tables.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Dataset } from './dataset.js';
import { type JsonPart, readJsonParts } from './json-stream.js';
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
  throwError(issues);
  return { dataset, warnings: issues.warnings };
}

/** Every problem of a COCO annotation file, in file order; never throws for what the file holds. */
export function checkCoco(text: string | Uint8Array, options: CocoOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readDataset(text, options, issues);
  return issues.issues;
}

/** Gives a file's bytes from its start, in chunks; it is asked twice. */
export type OpenChunks = () => Iterable<Uint8Array>;

/**
 * {@link parseCoco} for a file of any length: the tables are read in a first walk over it, the annotations in a second, and
 * nothing is in memory but the data set.
 */
export function parseCocoChunks(open: OpenChunks, options: CocoOptions): ParsedCoco {
  const issues = new DataIssueList(options.fileName);
  const dataset = readDatasetChunks(open, options, issues);
  throwError(issues);
  return { dataset, warnings: issues.warnings };
}

/** {@link checkCoco} for a file of any length. */
export function checkCocoChunks(open: OpenChunks, options: CocoOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readDatasetChunks(open, options, issues);
  return issues.issues;
}

function throwError(issues: DataIssueList): void {
  issues.throwFirstError(
    issues.issues.some((issue) => issue.code === 'json-syntax') ? 'json-invalid' : 'annotation-invalid',
  );
}

const empty: Dataset = { images: [], annotations: [], categories: [] };

function readDataset(text: string | Uint8Array, options: CocoOptions, issues: DataIssueList): Dataset {
  const value = readJson(text, issues);
  return value === undefined
    ? empty
    : readRoot(value, options, issues, (list, read) => {
        for (const entry of list) read(entry);
      });
}

function readDatasetChunks(open: OpenChunks, options: CocoOptions, issues: DataIssueList): Dataset {
  const root: Record<string, unknown> = {};
  let value: unknown = root;
  let annotationLists = 0;
  for (const part of partsOf(open(), issues)) {
    if (part.key === undefined) {
      // No data set: its first entry is enough to say what it is.
      if (part.kind === 'value') value = part.value;
      else if (part.isFirst) value = part.entries.slice(0, 7);
      else if (Array.isArray(value) && value.length < 7) value = [...(value as unknown[]), ...part.entries.slice(0, 7)];
      continue;
    }
    const isAnnotations = part.key === 'annotations';
    if (part.kind === 'value') root[part.key] = part.value;
    else if (part.isFirst) root[part.key] = isAnnotations || !tableNames.has(part.key) ? [] : [...part.entries];
    else if (!isAnnotations && tableNames.has(part.key))
      for (const entry of part.entries) (root[part.key] as unknown[]).push(entry);
    if (isAnnotations && part.kind === 'entries' && part.isFirst) annotationLists++;
  }
  if (issues.errorCount > 0) return empty;
  return readRoot(value, options, issues, (_, read) => {
    let lists = 0;
    // Of a key that stands there twice, the last counts, as for JSON.parse. The first walk has said what is wrong with the text.
    for (const part of partsOf(open(), new DataIssueList(options.fileName))) {
      if (part.key !== 'annotations' || part.kind !== 'entries') continue;
      if (part.isFirst) lists++;
      if (lists === annotationLists) for (const entry of part.entries) read(entry);
    }
  });
}

const tableNames: ReadonlySet<string> = new Set(['images', 'categories']);

function partsOf(chunks: Iterable<Uint8Array>, issues: DataIssueList): Iterable<JsonPart> {
  return readJsonParts(chunks, issues);
}

/** @param walk gives the entries of the list of annotations to its second argument */
function readRoot(
  value: unknown,
  options: CocoOptions,
  issues: DataIssueList,
  walk: (list: readonly unknown[], read: (entry: unknown) => void) => void,
): Dataset {
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
  const partly = [...images.entries.values()].filter(({ lookedFor }) => lookedFor !== undefined).length;
  if (partly > 0)
    issues.byRule(
      'partly-annotated',
      options.purpose ?? 'training',
      'images',
      `are annotated for some of the categories each (LVIS; ${partly} of ${imageList.length}): found objects of the others count as wrong, so figures lie below LVIS' own; for those give detections.json to its own program`,
    );
  const reader = new AnnotationReader({ images, categories }, options, issues);
  walk(annotationList, (entry) => reader.read(entry));
  const { annotations } = reader;
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
