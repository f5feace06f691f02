// CVAT's own XML (docs.cvat.ai, XML annotation format 1.1): one file for all pictures of a task or project. "CVAT for images" has the shapes
// that are drawn on each; "CVAT for video" has tracks, each a shape on the frames on which it is seen.
import type { Element } from '@xmldom/xmldom';
import { readCvatLabels } from './cvat-labels.js';
import { type CvatPicture, objectsOfShapes, shapesOfImage } from './cvat-shapes.js';
import { type CvatFrames, framesOfTracks } from './cvat-tracks.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Annotation, Dataset, ImageRecord } from './dataset.js';
import { imagePathProblem } from './image-path.js';
import { childElements, readXml } from './voc-xml.js';

export interface CvatOptions {
  /** Stands at the head of every message. */
  readonly fileName: string;
  /** As for COCO: `training` (the default) clips and skips, `evaluation` keeps boxes as they are. */
  readonly purpose?: 'training' | 'evaluation';
  /** Only pictures of this subset of a project, as {@link cvatSet} calls it. */
  readonly set?: string;
  /** A picture's path below the image folder; default: the name in the file. */
  readonly pictureName?: (name: string, subset: string | undefined) => string;
  /** The pictures of a film's frames; default: one for each frame that has an object, called as CVAT calls them. */
  readonly frames?: CvatFrames;
}

export interface ParsedCvat {
  /** Images and annotations 1, 2, ... in the order of the file, or of a film's frames; categories in the order of the task's labels. */
  readonly dataset: Dataset;
  readonly warnings: readonly DataIssue[];
}

/**
 * Reads the file. Boxes are boxes, also turned ones, which get an outline; polygons, ellipses and masks have masks, and those of one label
 * and one `group_id` are one object, as in CVAT's export to COCO; skeletons are objects with keypoints. Polylines, points, cuboids and
 * tags are no objects.
 * @throws InputError that names the picture, shape and remedy of the first error and counts the others
 */
export function parseCvat(content: string | Uint8Array, options: CvatOptions): ParsedCvat {
  const issues = new DataIssueList(options.fileName);
  const dataset = readFile(content, options, issues);
  issues.throwFirstError('annotation-invalid');
  return { dataset, warnings: issues.warnings };
}

/** Every problem of the file, in file order; never throws for what it holds. */
export function checkCvat(content: string | Uint8Array, options: CvatOptions): DataIssue[] {
  const issues = new DataIssueList(options.fileName);
  readFile(content, options, issues);
  return issues.issues;
}

/** What a subset of a CVAT project is called among the sets of a data set: train, val, test, others in small letters. */
export function cvatSet(subset: string): string {
  const name = subset.toLowerCase();
  return name === 'validation' ? 'val' : name;
}

// A project of many thousand pictures.
const mebibytes = 256;

const empty: Dataset = { images: [], annotations: [], categories: [] };

function readFile(content: string | Uint8Array, options: CvatOptions, issues: DataIssueList): Dataset {
  const root = readXml(content, 'annotations', issues, mebibytes);
  if (root === undefined) return empty;
  const labels = readCvatLabels(root, issues);
  const images: ImageRecord[] = [];
  const annotations: Annotation[] = [];
  for (const { image, shapes } of childElements(root, 'track').length > 0
    ? framesOfTracks(root, options, issues)
    : picturesOf(root, options, issues)) {
    const imageId = images.push({ id: images.length + 1, ...image });
    for (const object of objectsOfShapes(shapes, image, { labels, purpose: options.purpose, issues }))
      annotations.push({ id: annotations.length + 1, imageId, ...object });
  }
  return { images, annotations, categories: [...labels.values()].map(({ category }) => category) };
}

function picturesOf(root: Element, options: CvatOptions, issues: DataIssueList): CvatPicture[] {
  const elements = childElements(root, 'image');
  if (elements.length === 0)
    issues.error(
      'missing-field',
      'image',
      'is missing (expected one for each picture): export the task as "CVAT for images 1.1"',
    );
  return elements.flatMap((element, i) => {
    const subset = element.getAttribute('subset') || undefined;
    if (options.set !== undefined && cvatSet(subset ?? 'default') !== options.set) return [];
    const image = readImage(element, `image ${i + 1}`, options, issues);
    return image === undefined ? [] : [{ image, shapes: shapesOfImage(element, image.fileName) }];
  });
}

function readImage(
  element: Element,
  path: string,
  { pictureName }: CvatOptions,
  issues: DataIssueList,
): Omit<ImageRecord, 'id'> | undefined {
  const given = element.getAttribute('name') ?? '';
  const subset = element.getAttribute('subset') || undefined;
  const fileName = pictureName?.(given, subset) ?? given;
  const problem = imagePathProblem(fileName);
  if (problem !== undefined) {
    issues.error('unsafe-path', `${path}.name`, `is ${describeValue(fileName)}, which ${problem}`);
    return undefined;
  }
  const sides = (['width', 'height'] as const).map((side) => {
    const text = element.getAttribute(side);
    const value = Number(text);
    if (text && Number.isSafeInteger(value) && value > 0) return value;
    issues.error(
      text === null ? 'missing-field' : 'wrong-value',
      `${path}.${side}`,
      `is ${describeValue(text ?? undefined)} (expected whole pixels, at least 1): write the picture's size`,
      `of ${describeValue(given)}`,
    );
    return undefined;
  });
  const [width, height] = sides;
  return width === undefined || height === undefined ? undefined : { fileName, width, height };
}
