// Writing YOLO's label files and their data.yaml. Numbers are written in full: reading them gives the same pixels.
import { boxAround } from '../boxes/measure-box.js';
import { InputError } from '../errors/index.js';
import { traceContours } from '../masks/mask-contours.js';
import { polygonToRle } from '../masks/polygon-to-rle.js';
import { type Polygon, type Rle, rleArea } from '../masks/rle.js';
import { decodeMask } from '../masks/rle-encode.js';
import type { Annotation, Category, Dataset, ImageRecord, Segmentation } from './dataset.js';

/** What a line of a set's label files says; one kind for all files of a set. */
export type YoloTask = 'detect' | 'segment' | 'pose';

/** What the format cannot hold, in numbers of objects. */
export interface YoloLosses {
  /** Crowd regions, which are left out. */
  readonly crowds: number;
  /** Objects of several parts, or with holes: their outlines are joined by lines into one. */
  readonly joined: number;
  /** Masks of run lengths, which become outlines along pixel borders. */
  readonly traced: number;
  /** Objects without a mask, or keypoints, in a set where others have some: masks become their boxes, keypoints unlabelled. */
  readonly bare: number;
  /** Objects with an outline whose box is not the one around it: readers make it anew. */
  readonly boxes: number;
  /** Marks of VOC's difficult objects. */
  readonly difficult: number;
  /** Objects of which a pose is noted, or that they are truncated or occluded. */
  readonly marks: number;
  /** Objects whose area is another than that of their outline, or box, which is what readers compute. */
  readonly areas: number;
  /** Categories, which lose theirs. */
  readonly supercategories: number;
  /** Objects with a mask in a set of poses, whose lines have a box and points. */
  readonly masks: number;
  /** Categories that lose how their keypoints are joined, or their sigmas. */
  readonly skeletons: number;
  /** Pictures that lose LVIS' lists of what was looked for in them. */
  readonly lookedFor: number;
  /** Categories that lose LVIS' frequency. */
  readonly frequencies: number;
}

export const NO_YOLO_LOSSES: YoloLosses = {
  crowds: 0,
  joined: 0,
  traced: 0,
  bare: 0,
  boxes: 0,
  difficult: 0,
  marks: 0,
  areas: 0,
  supercategories: 0,
  masks: 0,
  skeletons: 0,
  lookedFor: 0,
  frequencies: 0,
};

/** Poses where a category names keypoints, outlines where an object has a mask, else boxes. */
export function yoloTaskOf({ categories, annotations }: Dataset): YoloTask {
  if (categories.some(({ keypoints }) => (keypoints?.length ?? 0) > 0)) return 'pose';
  return annotations.some(({ segmentation }) => segmentation !== undefined) ? 'segment' : 'detect';
}

/**
 * The label files of a set, in the order of its images; class c is the category with the c-th smallest id.
 * @throws InputError for poses of categories with different keypoints
 */
export function formatYolo(dataset: Dataset, task: YoloTask): { texts: string[]; losses: YoloLosses } {
  const losses: Counts = { ...NO_YOLO_LOSSES };
  const { categories } = dataset;
  losses.supercategories = categories.filter(({ supercategory }) => supercategory !== undefined).length;
  losses.skeletons = categories.filter(({ skeleton, sigmas }) => skeleton ?? sigmas).length;
  losses.lookedFor = dataset.images.filter(({ lookedFor }) => lookedFor !== undefined).length;
  losses.frequencies = categories.filter(({ frequency }) => frequency !== undefined).length;
  const classOf = new Map(sortedCategories(categories).map(({ id }, index) => [id, index]));
  const points = onlyKeypoints(categories)?.length ?? 0;
  const byImage = new Map<number, Annotation[]>(dataset.images.map(({ id }) => [id, []]));
  for (const annotation of dataset.annotations) byImage.get(annotation.imageId)?.push(annotation);
  const texts = dataset.images.map((image) => {
    const lines: string[] = [];
    for (const annotation of byImage.get(image.id)!) {
      if (annotation.isCrowd) {
        losses.crowds++;
        continue;
      }
      if (annotation.isDifficult) losses.difficult++;
      if (annotation.marks) losses.marks++;
      const numbers = task === 'segment' ? outline(annotation, image, losses) : boxNumbers(annotation, image);
      if (isOtherArea(annotation, task === 'segment' ? numbers : undefined, image)) losses.areas++;
      if (task === 'pose') {
        if (annotation.segmentation !== undefined) losses.masks++;
        if (annotation.keypoints === undefined) losses.bare++;
        numbers.push(...pointNumbers(annotation.keypoints ?? new Array<number>(3 * points).fill(0), image));
      }
      lines.push([classOf.get(annotation.categoryId)!, ...numbers].join(' '));
    }
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
  });
  return { texts, losses };
}

/** Those of the categories that have any. @throws InputError where they differ: the format has one number of them for all classes */
function onlyKeypoints(categories: readonly Category[]): readonly string[] | undefined {
  const [first, ...others] = categories.filter(({ keypoints = [] }) => keypoints.length > 0);
  const other = others.find(({ keypoints }) => keypoints!.join('\0') !== first!.keypoints!.join('\0'));
  if (other !== undefined)
    throw new InputError(
      'annotation-invalid',
      `categories: ${first!.name} and ${other.name} have different keypoints, and YOLO has the same for all classes: write one of them (data filter --categories)`,
    );
  return first?.keypoints;
}

/** Categories as YOLO numbers them. */
export function sortedCategories(categories: readonly Category[]): Category[] {
  return [...categories].sort((a, b) => a.id - b.id);
}

function boxNumbers({ bbox: [x, y, w, h] }: Annotation, { width, height }: ImageRecord): number[] {
  return [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height];
}

/** @param fractions the outline as it is written, where there is one */
function isOtherArea(
  { area, bbox }: Annotation,
  fractions: readonly number[] | undefined,
  { width, height }: ImageRecord,
): boolean {
  const outline = fractions?.map((value, i) => value * (i % 2 === 0 ? width : height));
  const computed = outline === undefined ? bbox[2] * bbox[3] : rleArea(polygonToRle(outline, [height, width]));
  return Math.abs(area - computed) > 1e-6 * Math.max(1, area);
}

function pointNumbers(keypoints: readonly number[], { width, height }: ImageRecord): number[] {
  return keypoints.map((value, i) => (i % 3 === 0 ? value / width : i % 3 === 1 ? value / height : value));
}

type Counts = { -readonly [Name in keyof YoloLosses]: number };

function outline({ segmentation, bbox }: Annotation, { width, height }: ImageRecord, losses: Counts): number[] {
  const [x, y, w, h] = bbox;
  let polygons = segmentation === undefined ? [] : outlines(segmentation, losses);
  if (polygons.length === 0) {
    losses.bare++;
    polygons = [[x, y, x + w, y, x + w, y + h, x, y + h]];
  }
  if (polygons.length > 1) losses.joined++;
  const around = boxAround(polygons.flat());
  if (around.some((value, i) => Math.abs(value - bbox[i]!) > 1e-6)) losses.boxes++;
  return joined(polygons).map((value, i) => value / (i % 2 === 0 ? width : height));
}

function outlines(segmentation: Segmentation, losses: Counts): readonly Polygon[] {
  if (segmentation.kind === 'polygons') return segmentation.polygons;
  losses.traced++;
  return traced(segmentation.rle);
}

function traced(rle: Rle): Polygon[] {
  return traceContours(decodeMask(rle), rle.size).map(({ points }) => points);
}

/**
 * One outline of several: out from the first corner of the first to the first corner of each other and back by the same line,
 * which encloses nothing.
 */
function joined(polygons: readonly Polygon[]): Polygon {
  const [first = [], ...others] = polygons;
  if (others.length === 0) return first;
  const from = first.slice(0, 2);
  return [...first, ...from, ...others.flatMap((other) => [...other, ...other.slice(0, 2), ...from])];
}
