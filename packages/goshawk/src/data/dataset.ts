// A detection dataset on disk: annotations, whose pictures are checked to be there and inside the image folder, and the
// classes that a model sees.
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import {
  type Annotation,
  type Category,
  type Dataset,
  type ImageRecord,
  InputError,
  imagePathProblem,
  keypointFlipOrder,
} from '@goshawk/core';
import { fileError } from '../files/read-file.js';
import { parseCocoFile } from './coco-file.js';
import type { StoredProposals } from './proposals-file.js';

export interface DatasetOptions {
  /** Read masks into the targets; objects without one are left out with a warning. Default false. */
  readonly masks?: boolean;
  /** Read polygons into the targets, for models that rasterise them inside of boxes. Default false. */
  readonly polygons?: boolean;
  /** Read keypoints into the targets. Needs categories that agree on their keypoints. Default false. */
  readonly keypoints?: boolean;
  /** Leave out pictures in which no object has a labelled keypoint, as Detectron does. Default false. */
  readonly requireKeypoints?: boolean;
  /** Leave out pictures without a usable object. Default false: they are background. */
  readonly skipEmpty?: boolean;
  /** Leave out crowd regions. Default true: they are no single objects to learn. */
  readonly dropCrowds?: boolean;
  /** Leave out objects marked difficult, as Detectron and maskrcnn-benchmark do in training. Default true. */
  readonly dropDifficult?: boolean;
  /** Leave out objects whose box, clipped to the picture, has a side of at most this many pixels. Default 0. */
  readonly minBoxSize?: number;
  /** `evaluation` keeps every box as the file has it, as pycocotools takes it; `training` (the default) clips and skips. */
  readonly purpose?: 'training' | 'evaluation';
  /** Take the first so many pictures of the file alone, with their objects: to overfit a few, or for a quick look. */
  readonly limit?: number;
  /** How EXIF orientation is taken; the annotations' sizes must be meant in the same way. Default apply. */
  readonly exifOrientation?: 'apply' | 'ignore';
}

/** A picture and the objects in it that a model learns from. */
export interface DatasetSample {
  readonly image: ImageRecord;
  /** Where the picture is. */
  readonly path: string;
  readonly annotations: readonly Annotation[];
}

/** What was read and what was left out. */
export interface DatasetCounts {
  readonly images: number;
  readonly emptyImages: number;
  readonly skippedImages: number;
  readonly annotations: number;
  readonly droppedCrowds: number;
  readonly droppedDifficult: number;
  readonly droppedSmall: number;
  readonly droppedWithoutMask: number;
}

export interface DetectionDataset {
  /** The annotation file or folder. */
  readonly fileName: string;
  readonly format: 'coco' | 'voc' | 'cityscapes';
  /** In order of their ids; class c (1..C) is `categories[c - 1]`. */
  readonly categories: readonly Category[];
  /** Category id to class 1..C. */
  readonly classOf: ReadonlyMap<number, number>;
  /** Points an object; 0 where the dataset was opened without keypoints. */
  readonly keypointCount: number;
  /** For each point the 0-based point that it becomes in a mirrored picture. */
  readonly keypointFlipOrder: readonly number[];
  readonly samples: readonly DatasetSample[];
  /** Everything in the file, for evaluation: also crowds and what `samples` leaves out. */
  readonly annotations: Dataset;
  readonly hasMasks: boolean;
  readonly hasPolygons: boolean;
  /** By image id, where the model takes stored proposals; boxes in the model's convention. */
  readonly proposals?: ReadonlyMap<number, StoredProposals>;
  readonly exifOrientation: 'apply' | 'ignore';
  readonly counts: DatasetCounts;
  /** One line each: the file's problems that were passed over, and what was left out. */
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
  const messages = warnings.map((warning) => warning.message);
  return openDataset(firstImages(dataset, options.limit), { ...files, warnings: messages }, options);
}

/** Where a data set came from. */
export interface DatasetFiles {
  /** The annotation file or folder, for messages. */
  readonly annotations: string;
  /** Folder that file names start from. */
  readonly images: string;
  /** Default coco. */
  readonly format?: 'coco' | 'voc' | 'cityscapes';
  /** What reading passed over. */
  readonly warnings?: readonly string[];
}

/** The same for annotations that are already read, from any format. */
export function openDataset(dataset: Dataset, files: DatasetFiles, options: DatasetOptions = {}): DetectionDataset {
  const { skipEmpty = false, dropCrowds = true, dropDifficult = true, minBoxSize = 0 } = options;
  const warnings = [...(files.warnings ?? [])];
  const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
  const byImage = new Map<number, Annotation[]>(dataset.images.map((image) => [image.id, []]));
  const sizeOf = new Map(dataset.images.map((image) => [image.id, image]));
  let droppedCrowds = 0;
  let droppedDifficult = 0;
  let droppedSmall = 0;
  const withoutMask: number[] = [];
  for (const annotation of dataset.annotations) {
    const image = sizeOf.get(annotation.imageId)!;
    if (annotation.isCrowd && dropCrowds) droppedCrowds++;
    else if (annotation.isDifficult && dropDifficult) droppedDifficult++;
    else if (clippedSide(annotation, image) <= minBoxSize) droppedSmall++;
    else if ((options.masks || options.polygons) && !hasMask(annotation)) withoutMask.push(annotation.id);
    else byImage.get(annotation.imageId)!.push(annotation);
  }
  if (withoutMask.length > 0) {
    warnings.push(
      `${files.annotations}: ${withoutMask.length} annotations have no segmentation and are left out of mask training ` +
        `(ids ${listFirst(withoutMask)}): draw their polygons or train boxes only`,
    );
  }

  if (droppedDifficult > 0 && options.purpose !== 'evaluation') {
    warnings.push(`${files.annotations}: ${droppedDifficult} objects marked difficult are left out of training`);
  }

  const pathOf = imageLocator(files.images, files.annotations);
  const samples: DatasetSample[] = [];
  let emptyImages = 0;
  for (const image of dataset.images) {
    const annotations = byImage.get(image.id)!;
    const path = pathOf(image);
    if (annotations.length === 0) emptyImages++;
    const hasEnough = options.requireKeypoints
      ? annotations.some(hasLabelledPoint)
      : annotations.length > 0 || !skipEmpty;
    if (hasEnough) samples.push({ image, path, annotations });
  }
  if (samples.length === 0) {
    const lack = options.requireKeypoints
      ? 'with a labelled keypoint'
      : skipEmpty && emptyImages > 0
        ? 'with a usable object'
        : 'at all';
    throw new InputError(
      'annotation-invalid',
      `${files.annotations}: has no picture ${lack} ` +
        `(${dataset.images.length} images, ${dataset.annotations.length} annotations): check the export`,
    );
  }
  const names = options.keypoints ? keypointNames(categories, files.annotations) : [];
  return {
    fileName: files.annotations,
    format: files.format ?? 'coco',
    categories,
    classOf: new Map(categories.map((category, i) => [category.id, i + 1])),
    keypointCount: names.length,
    keypointFlipOrder: keypointFlipOrder(names),
    samples,
    annotations: dataset,
    hasMasks: options.masks ?? false,
    hasPolygons: options.polygons ?? false,
    exifOrientation: options.exifOrientation ?? 'apply',
    counts: {
      images: samples.length,
      emptyImages,
      skippedImages: dataset.images.length - samples.length,
      annotations: samples.reduce((sum, sample) => sum + sample.annotations.length, 0),
      droppedCrowds,
      droppedDifficult,
      droppedSmall,
      droppedWithoutMask: withoutMask.length,
    },
    warnings,
  };
}

/** The first so many pictures, with their objects; all of them where `limit` is undefined. */
export function firstImages(dataset: Dataset, limit: number | undefined): Dataset {
  if (limit === undefined) return dataset;
  const images = dataset.images.slice(0, limit);
  const ids = new Set(images.map((image) => image.id));
  return { ...dataset, images, annotations: dataset.annotations.filter((annotation) => ids.has(annotation.imageId)) };
}

/** The shorter side of the box within its picture, pixels; negative where it lies outside. */
function clippedSide(annotation: Annotation, image: ImageRecord): number {
  const [x, y, width, height] = annotation.bbox;
  return Math.min(
    Math.min(x + width, image.width) - Math.max(x, 0),
    Math.min(y + height, image.height) - Math.max(y, 0),
  );
}

function hasMask({ segmentation }: Annotation): boolean {
  if (segmentation === undefined) return false;
  return segmentation.kind === 'rle' || segmentation.polygons.length > 0;
}

function hasLabelledPoint({ keypoints = [] }: Annotation): boolean {
  return keypoints.some((value, i) => i % 3 === 2 && value > 0);
}

function keypointNames(categories: readonly Category[], fileName: string): readonly string[] {
  const named = categories.filter((category) => (category.keypoints?.length ?? 0) > 0);
  const first = named[0];
  if (first === undefined) {
    throw new InputError(
      'annotation-invalid',
      `${fileName}: no category has keypoints (expected their names in categories[].keypoints): ` +
        'use a keypoint annotation file or train without keypoints',
    );
  }
  for (const category of named) {
    if (category.keypoints!.join() !== first.keypoints!.join()) {
      throw new InputError(
        'annotation-invalid',
        `${fileName}: categories "${first.name}" and "${category.name}" have different keypoints ` +
          '(expected one set for all): train them separately',
      );
    }
  }
  return first.keypoints!;
}

/** Finds a record's picture, which must exist and lie in `folder` when every link is followed. */
function imageLocator(folder: string, annotationFile: string): (image: ImageRecord) => string {
  let root: string;
  try {
    root = realpathSync(folder);
  } catch (error) {
    throw fileError(error, folder);
  }
  const realFolders = new Map<string, string>();
  const isInside = (path: string) => {
    const below = relative(root, path);
    return below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below);
  };
  return (image) => {
    const refuse = (problem: string) =>
      new InputError(
        'annotation-invalid',
        `${annotationFile}: image id ${image.id}: file_name "${image.fileName}" ${problem}`,
      );
    const problem = imagePathProblem(image.fileName);
    if (problem !== undefined) throw refuse(problem);
    const shown = join(folder, image.fileName);
    try {
      const parent = dirname(shown);
      let realParent = realFolders.get(parent);
      if (realParent === undefined) {
        realParent = realpathSync(parent);
        realFolders.set(parent, realParent);
      }
      let real = join(realParent, basename(shown));
      const status = lstatSync(real);
      if (status.isSymbolicLink()) real = realpathSync(real);
      if (!isInside(real)) {
        throw refuse(`is a link that leads outside of ${folder}: put the picture itself there`);
      }
      if (status.isDirectory()) throw refuse('is a folder (expected a picture): correct file_name');
      return shown;
    } catch (error) {
      if (error instanceof InputError) throw error;
      const reason = fileError(error, shown);
      throw new InputError(
        reason.code,
        `${annotationFile}: image id ${image.id}: ${reason.message} or the image folder ${folder}`,
        { cause: error },
      );
    }
  };
}

function listFirst(ids: readonly number[]): string {
  return ids.length > 5 ? `${ids.slice(0, 5).join(', ')}, ...` : ids.join(', ');
}
