// A detection dataset on disk: annotations, whose pictures are checked to be there and inside the image folder, and the
// classes that a model sees.
import {
  type Annotation,
  type Category,
  type DataIssue,
  DataIssueList,
  type Dataset,
  flipPairsOf,
  type ImageRecord,
  InputError,
  keypointFlip,
  oneSidedProblem,
  type RgbImage,
} from '@goshawk/core';
import type { AnnotationFormat } from '../config/index.js';
import { parseCocoFile } from './coco-file.js';
import { type PictureFile, pictureLocator } from './picture-files.js';
import type { StoredProposals } from './proposals-file.js';
import { type LeftOutCode, type ObjectNeeds, reasons, selectObjects } from './select-objects.js';

export interface DatasetOptions extends ObjectNeeds {
  /** Read keypoints into the targets. Needs categories that agree on their keypoints. Default false. */
  readonly keypoints?: boolean;
  /** Leave out pictures in which no object has a labelled keypoint, as Detectron does. Default false. */
  readonly requireKeypoints?: boolean;
  /**
   * Keypoints that change places in a mirrored picture: pairs of names, or of numbers from 0. Default: those of the
   * file, else told by the names.
   */
  readonly keypointFlipPairs?: readonly FlipPair[];
  /** Whether pictures may be mirrored: keypoints have to tell then what they become. Default true. */
  readonly mirrors?: boolean;
  /** Leave out pictures without a usable object. Default false: they are background. */
  readonly skipEmpty?: boolean;
  /** `evaluation` keeps every box as the file has it, as pycocotools takes it; `training` (the default) clips and skips. */
  readonly purpose?: 'training' | 'evaluation';
  /** Take the first so many pictures of the file alone, with their objects: to overfit a few, or for a quick look. */
  readonly limit?: number;
  /** How EXIF orientation is taken; the annotations' sizes must be meant in the same way. Default apply. */
  readonly exifOrientation?: 'apply' | 'ignore';
  /** Follow links that lead out of the image folder. Default false: an annotation file could name any file. */
  readonly followLinks?: boolean;
}

export type FlipPair = readonly [number | string, number | string];

/** A picture and the objects in it that a model learns from. */
export interface DatasetSample {
  readonly image: ImageRecord;
  /** Where the picture is; where the data set has a `load`, what it is asked for. */
  readonly path: string;
  readonly annotations: readonly Annotation[];
}

/** A picture of the file, whether it is learned from or not. */
export interface PictureEntry extends Omit<DatasetSample, 'annotations'> {
  /** Its place in the list of pictures. */
  readonly index: number;
}

/** What was read and what was left out. */
export interface DatasetCounts {
  readonly images: number;
  readonly emptyImages: number;
  readonly skippedImages: number;
  readonly annotations: number;
  /** Objects that are not learned, by reason. */
  readonly leftOut: Readonly<Partial<Record<LeftOutCode, number>>>;
}

export interface DetectionDataset {
  /** The annotation file or folder. */
  readonly fileName: string;
  readonly format: AnnotationFormat;
  /** In order of their ids; class c (1..C) is `categories[c - 1]`. */
  readonly categories: readonly Category[];
  /** Category id to class 1..C. */
  readonly classOf: ReadonlyMap<number, number>;
  /** Points an object; 0 where the dataset was opened without keypoints. */
  readonly keypointCount: number;
  /** For each point the 0-based point that it becomes in a mirrored picture. */
  readonly keypointFlipOrder: readonly number[];
  readonly samples: readonly DatasetSample[];
  /** Every picture that is there, also those that `samples` leaves out. */
  readonly pictures: readonly PictureEntry[];
  /** Everything in the file, for evaluation: also crowds and what `samples` leaves out. */
  readonly annotations: Dataset;
  readonly hasMasks: boolean;
  readonly hasPolygons: boolean;
  /** By image id, where the model takes stored proposals; boxes in the model's convention. */
  readonly proposals?: ReadonlyMap<number, StoredProposals>;
  readonly exifOrientation: 'apply' | 'ignore';
  /** Gives the bytes of a picture file, or pixels, where pictures are not files. */
  readonly load?: (path: string) => Promise<Uint8Array | RgbImage>;
  readonly counts: DatasetCounts;
  /** The file's problems that were passed over, and what was left out. */
  readonly issues: readonly DataIssue[];
  /** Their messages, one line each. */
  readonly warnings: readonly string[];
}

/**
 * Opens a COCO annotation file and its pictures.
 * @param files.annotations path of the JSON file
 * @param files.images folder that file names start from
 * @throws InputError naming the file and field; a missing picture with its image id; one outside of the folder
 */
export function openCocoDataset(
  files: { readonly annotations: string; readonly images: string },
  options: DatasetOptions = {},
): DetectionDataset {
  const { dataset, warnings } = parseCocoFile(files.annotations, { purpose: options.purpose, requireFiles: true });
  return openDataset(firstImages(dataset, options.limit), { ...files, issues: warnings }, options);
}

/** Where a data set came from. */
export interface DatasetFiles {
  /** The annotation file or folder, for messages. */
  readonly annotations: string;
  /** Folder that file names start from; undefined: pictures are not looked for. */
  readonly images: string | undefined;
  /** Default coco. */
  readonly format?: AnnotationFormat;
  /** What reading passed over. */
  readonly issues?: readonly DataIssue[];
}

/** The same for annotations that are already read, from any format. */
export function openDataset(dataset: Dataset, files: DatasetFiles, options: DatasetOptions = {}): DetectionDataset {
  const { opened, issues } = examineDataset(dataset, files, options);
  const errors = issues.filter(({ severity }) => severity === 'error');
  const first = errors[0];
  if (first !== undefined) {
    const others = errors.length - 1;
    const more = others === 0 ? '' : ` (and ${others} more ${others === 1 ? 'problem' : 'problems'})`;
    throw new InputError(
      first.code === 'image-missing' ? 'file-not-found' : 'annotation-invalid',
      first.message + more,
    );
  }
  return opened;
}

/** A data set and all that is said about it. Where an issue is an error, it is not to be used. */
export interface ExaminedDataset {
  readonly opened: DetectionDataset;
  readonly issues: readonly DataIssue[];
}

/**
 * What {@link openDataset} opens, and every problem instead of the first.
 * @throws InputError where the folder of the pictures cannot be opened
 */
export function examineDataset(dataset: Dataset, files: DatasetFiles, options: DatasetOptions = {}): ExaminedDataset {
  const { skipEmpty = false, purpose = 'training', exifOrientation = 'apply' } = options;
  const issues = new DataIssueList(files.annotations);
  issues.append({ issues: files.issues ?? [] });
  const { categories, points } = readCategories(dataset, options, issues);
  const { byImage, leftOut: unselected } = selectObjects(dataset, { ...options, purpose }, issues);
  const leftOut = { ...unselected, ...countLeftOut(issues.issues) };

  const locate =
    files.images === undefined
      ? ({ fileName }: ImageRecord): PictureFile => ({ path: fileName })
      : pictureLocator(files.images, options);
  const samples: DatasetSample[] = [];
  const pictures: PictureEntry[] = [];
  let emptyImages = 0;
  let unlabelledImages = 0;
  for (const [index, image] of dataset.images.entries()) {
    const annotations = byImage.get(image.id)!;
    const { path, problem } = locate(image);
    if (problem) issues.error(problem.code, `images[${index}]`, problem.text, `image id ${image.id}`);
    else pictures.push({ image, path, index });
    const isEmpty = annotations.length === 0;
    const isUnlabelled = options.requireKeypoints === true && !annotations.some(hasLabelledPoint);
    if (isEmpty) emptyImages++;
    else if (isUnlabelled) unlabelledImages++;
    if (!(isUnlabelled || (isEmpty && skipEmpty))) samples.push({ image, path, annotations });
  }
  const skipped = dataset.images.length - samples.length;
  if (samples.length === 0) {
    const lack = options.requireKeypoints ? 'with a labelled keypoint' : 'with a usable object';
    issues.error('no-usable-picture', '', nothingUsable(lack, dataset, leftOut, options));
  } else if (skipped > 0) {
    const counted = (count: number) => `has ${count} of ${dataset.images.length} pictures`;
    if (emptyImages > 0)
      issues.byRule(
        'image-empty',
        purpose,
        '',
        `${counted(emptyImages)} without a usable object, left out of training: set data.skipEmpty to false to learn background from them`,
      );
    if (unlabelledImages > 0)
      issues.byRule(
        'keypoints-unlabelled',
        purpose,
        '',
        `${counted(unlabelledImages)} without a labelled keypoint, left out of training: set data.requireKeypoints to false to learn their boxes`,
      );
  }
  const opened: DetectionDataset = {
    fileName: files.annotations,
    format: files.format ?? 'coco',
    categories,
    classOf: new Map(categories.map((category, i) => [category.id, i + 1])),
    keypointCount: points.length,
    keypointFlipOrder: points,
    samples,
    pictures,
    annotations: dataset,
    hasMasks: options.masks ?? false,
    hasPolygons: options.polygons ?? false,
    exifOrientation,
    counts: {
      images: samples.length,
      emptyImages,
      skippedImages: skipped,
      annotations: samples.reduce((sum, sample) => sum + sample.annotations.length, 0),
      leftOut,
    },
    issues: issues.issues,
    warnings: issues.warnings.map(({ message }) => message),
  };
  return { opened, issues: issues.issues };
}

/** Objects that reading has left out already. */
function countLeftOut(issues: readonly DataIssue[]): Partial<Record<LeftOutCode, number>> {
  const counts: Partial<Record<LeftOutCode, number>> = {};
  for (const { code } of issues)
    if (code === 'box-degenerate' || code === 'box-outside') counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

function nothingUsable(
  lack: string,
  { images, annotations }: Dataset,
  leftOut: DatasetCounts['leftOut'],
  options: DatasetOptions,
): string {
  const unread = (leftOut['box-degenerate'] ?? 0) + (leftOut['box-outside'] ?? 0);
  const all = annotations.length + (options.purpose === 'evaluation' ? 0 : unread);
  const counted = Object.entries(leftOut) as [LeftOutCode, number][];
  const main = counted.sort(([, a], [, b]) => b - a)[0]?.[0];
  const why =
    counted.length === 0 ? '' : `, left out: ${counted.map(([code, n]) => `${n} ${reasons[code].short}`).join(', ')}`;
  const remedy = main === undefined ? 'check the export' : reasons[main].remedy;
  return `has no picture ${lack} (${images.length} images, ${all} annotations${why}): ${remedy}`;
}

/** The first so many pictures, with their objects; all of them where `limit` is undefined. */
export function firstImages(dataset: Dataset, limit: number | undefined): Dataset {
  if (limit === undefined) return dataset;
  const images = dataset.images.slice(0, limit);
  const ids = new Set(images.map((image) => image.id));
  return { ...dataset, images, annotations: dataset.annotations.filter((annotation) => ids.has(annotation.imageId)) };
}

function hasLabelledPoint({ keypoints = [] }: Annotation): boolean {
  return keypoints.some((value, i) => i % 3 === 2 && value > 0);
}

/** The categories, which know then what mirroring does, in order of their ids; and that order of their points. */
function readCategories(
  dataset: Dataset,
  { keypoints = false, keypointFlipPairs, mirrors = true, purpose = 'training' }: DatasetOptions,
  issues: DataIssueList,
): { readonly categories: readonly Category[]; readonly points: readonly number[] } {
  const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
  if (!keypoints) return { categories, points: [] };
  const named = categories.filter((category) => (category.keypoints?.length ?? 0) > 0);
  const first = named[0];
  if (first === undefined) {
    issues.byRule(
      'keypoints-missing',
      purpose,
      'categories',
      'has no category with keypoints (no category has keypoints; expected their names in categories[].keypoints): ' +
        'use a keypoint annotation file or train without keypoints',
    );
    return { categories, points: [] };
  }
  const other = named.find((category) => category.keypoints!.join('\0') !== first.keypoints!.join('\0'));
  if (other !== undefined)
    issues.byRule(
      'keypoints-differ',
      purpose,
      'categories',
      `"${first.name}" and "${other.name}" have different keypoints (expected one set for all): train them separately`,
    );
  const flipPairs = givenPairs(first, keypointFlipPairs, issues) ?? first.flipPairs;
  const paired = flipPairs === undefined ? first : { ...first, flipPairs };
  const flip = keypointFlip(paired);
  if (mirrors && flip.oneSided)
    issues.byRule(
      'flip-one-sided',
      purpose,
      'categories',
      `keypoint ${oneSidedProblem(flip.oneSided)}`,
      `category "${first.name}"`,
    );
  if (mirrors && flip.isGuess)
    issues.byRule(
      'flip-unknown',
      purpose,
      'categories',
      `no keypoint's name says left or right and no flip pairs are given, so no point changes places in a mirrored picture ` +
        `(${first.keypoints!.slice(0, 4).join(', ')} stay what they are): give data.keypointFlipPairs, [] where that is right, or set data.flip to 0`,
      `category "${first.name}"`,
    );
  const withPairs = (category: Category): Category =>
    flipPairs === undefined || (category.keypoints?.length ?? 0) === 0 ? category : { ...category, flipPairs };
  return { categories: categories.map(withPairs), points: flip.order };
}

function givenPairs(
  { name, keypoints = [] }: Category,
  pairs: readonly FlipPair[] | undefined,
  issues: DataIssueList,
): (readonly [number, number])[] | undefined {
  if (pairs === undefined) return undefined;
  try {
    return flipPairsOf(keypoints, pairs);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-keypoints', 'data.keypointFlipPairs', error.message, `category "${name}"`);
    return undefined;
  }
}
