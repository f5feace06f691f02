// Annotations of any format, told apart by what is there: a COCO file, a module that stands for one, CVAT's XML, a folder of PASCAL VOC, of
// YOLO, of labelme or of Cityscapes.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  checkCvat,
  checkLabelme,
  checkVoc,
  checkYolo,
  cityscapesDataset,
  type DataIssue,
  type Dataset,
  InputError,
  type LabelmeOptions,
  labelmeNames,
  parseCvat,
  parseLabelme,
  parseVoc,
  parseYolo,
  vocClassList,
  vocNames,
} from '@goshawk/core';
import type { AnnotationFormat } from '../config/index.js';
import { fileError } from '../files/read-file.js';
import { readSmallText } from '../files/read-small-text.js';
import { foldersIn, isHidden } from '../files/visible-entries.js';
import { cityscapesSets, openCityscapesFolder } from './cityscapes-folder.js';
import { checkCocoFile, parseCocoFile } from './coco-file.js';
import { cvatFileIn, cvatSets, isCvatFile, openCvatFolder } from './cvat-folder.js';
import { decodeLabelPng } from './label-png.js';
import { isLabelmeFile, isLabelmeFolder, openLabelmeFolder } from './labelme-folder.js';
import { isModuleFile } from './module-dataset.js';
import { recogniseOtherFormat } from './other-formats.js';
import { isVocFolder, openVocFolder, vocSets } from './voc-folder.js';
import { openYoloFolder, yoloSets } from './yolo-folder.js';
import { foldersCalled, isNamesText, listFileIn } from './yolo-list.js';

export type { AnnotationFormat } from '../config/index.js';

/** Formats whose files name classes and do not number them. */
export function namesClasses(format: AnnotationFormat): format is 'voc' | 'labelme' {
  return format === 'voc' || format === 'labelme';
}

/** Where annotations are; what a config says of a split. */
export interface AnnotationSource {
  /**
   * A COCO file, a module that exports a data set, a VOC folder (or folder of XML files, or one), YOLO's data.yaml or a folder with it, a
   * folder of labelme's files (or one), CVAT's annotations.xml or the folder with it, or the root of Cityscapes.
   */
  readonly annotations: string;
  /** Folder of the pictures; default: where the format has them. */
  readonly images?: string;
  /** Default: told by what `annotations` is. */
  readonly format?: AnnotationFormat;
  /** VOC: a list of ImageSets; YOLO: train, val or test; CVAT: a subset of a project; Cityscapes: a folder of gtFine. */
  readonly set?: string;
  /** VOC, labelme, and YOLO without a list of its own: the class names in the order of their ids. */
  readonly classes?: readonly string[];
}

export interface AnnotationOptions {
  readonly purpose?: 'training' | 'evaluation';
  /** COCO: an annotation without a mask is skipped (training) or an error (evaluation). */
  readonly forMasks?: boolean;
  /** COCO: every picture needs its file name and size. Default: for training. */
  readonly requireFiles?: boolean;
}

export interface ReadAnnotations {
  readonly format: AnnotationFormat;
  readonly dataset: Dataset;
  /** Folder that file names start from; undefined where neither the source nor the format names one. */
  readonly images: string | undefined;
  readonly warnings: readonly DataIssue[];
}

/** @throws InputError naming the file and what is wrong */
export function readAnnotations(source: AnnotationSource, options: AnnotationOptions = {}): ReadAnnotations {
  const { annotations } = source;
  const format = annotationFormat(source);
  switch (format) {
    case 'coco': {
      const { dataset, warnings } = parseCocoFile(annotations, options);
      const images = source.images ?? (isModuleFile(annotations) ? dirname(annotations) : undefined);
      return { format, dataset, images, warnings };
    }
    case 'voc': {
      const { files, images } = openVocFolder(annotations, source.set);
      const { purpose } = options;
      const classes = classNamesOf(source);
      const { dataset, warnings } = parseVoc(files, { classes, purpose, name: annotations });
      return { format, dataset, images: source.images ?? images, warnings };
    }
    case 'yolo': {
      const { files, images, classes, warnings: ofFolder } = openYoloFolder(annotations, source);
      const { dataset, warnings } = parseYolo(files, { ...classes, purpose: options.purpose, name: annotations });
      return { format, dataset, images, warnings: [...ofFolder, ...warnings] };
    }
    case 'labelme': {
      const { files, images } = openLabelmeFolder(annotations, source.images);
      const { dataset, warnings } = parseLabelme(files, labelmeOptions(source, options, classNamesOf(source)));
      return { format, dataset, images, warnings };
    }
    case 'cvat': {
      const { content, images, options: where } = openCvatFolder(annotations, source.images);
      const { dataset, warnings } = parseCvat(content, { ...where, set: source.set, purpose: options.purpose });
      return { format, dataset, images, warnings };
    }
    case 'cityscapes': {
      const dataset = cityscapesDataset(openCityscapesFolder(annotations, cityscapesSet(source)));
      return { format, dataset, images: source.images ?? join(annotations, 'leftImg8bit'), warnings: [] };
    }
  }
}

function labelmeOptions(
  { annotations }: AnnotationSource,
  { purpose }: AnnotationOptions,
  classes: readonly string[] | undefined,
): LabelmeOptions {
  return { classes, purpose, name: annotations, decodePng: decodeLabelPng };
}

export interface CheckedAnnotations {
  readonly format: AnnotationFormat;
  readonly issues: readonly DataIssue[];
  /** Undefined where an issue is an error. */
  readonly read: ReadAnnotations | undefined;
}

/**
 * Every problem of the annotations, in file order.
 * @throws InputError where files are missing, and for the first fault of Cityscapes labels
 */
export function checkAnnotations(source: AnnotationSource, options: AnnotationOptions = {}): CheckedAnnotations {
  const format = annotationFormat(source);
  const issues = issuesOf(source, format, options);
  const isUsable = issues.every(({ severity }) => severity !== 'error');
  return { format, issues, read: isUsable ? readAnnotations(source, options) : undefined };
}

function issuesOf(
  source: AnnotationSource,
  format: AnnotationFormat,
  options: AnnotationOptions,
): readonly DataIssue[] {
  const { annotations, set, classes } = source;
  switch (format) {
    case 'coco':
      return checkCocoFile(annotations, options);
    case 'voc':
      return checkVoc(openVocFolder(annotations, set).files, { classes, ...options });
    case 'yolo': {
      const folder = openYoloFolder(annotations, source);
      return [...folder.warnings, ...checkYolo(folder.files, { ...folder.classes, purpose: options.purpose })];
    }
    case 'labelme':
      return checkLabelme(
        openLabelmeFolder(annotations, source.images).files,
        labelmeOptions(source, options, classes),
      );
    case 'cvat': {
      const { content, options: where } = openCvatFolder(annotations, source.images);
      return checkCvat(content, { ...where, set, purpose: options.purpose });
    }
    case 'cityscapes':
      return [];
  }
}

/**
 * The class list of a folder of VOC or labelme where none is given: VOC's 20 where all names in VOC's files are among them, else the names,
 * sorted. Of all its files and not of one set's, so that the sets of a folder number their classes alike.
 */
export function classNamesOf(source: AnnotationSource): readonly string[] {
  const { annotations, images, classes } = source;
  if (classes !== undefined) return classes;
  if (annotationFormat(source) === 'labelme')
    return [...labelmeNames(openLabelmeFolder(annotations, images).files)].sort();
  return vocClassList(vocNames(openVocFolder(annotations).files));
}

/** Names of the sets among which `set` chooses; none for COCO. */
export function annotationSets(source: AnnotationSource): string[] {
  const { annotations } = source;
  switch (annotationFormat(source)) {
    case 'coco':
    case 'labelme':
      return [];
    case 'cvat':
      return cvatSets(annotations);
    case 'voc':
      return vocSets(annotations);
    case 'yolo':
      return yoloSets(annotations);
    case 'cityscapes':
      return cityscapesSets(annotations);
  }
}

/** @throws InputError where there is nothing, or a folder of none of the formats */
export function annotationFormat({ annotations, format }: AnnotationSource): AnnotationFormat {
  if (format !== undefined) return format;
  let isFolder: boolean;
  try {
    isFolder = statSync(annotations).isDirectory();
  } catch (error) {
    throw fileError(error, annotations);
  }
  if (!isFolder) return formatOfFile(annotations);
  if (existsSync(join(annotations, 'gtFine'))) return 'cityscapes';
  if (cvatFileIn(annotations) !== undefined) return 'cvat';
  if (isVocFolder(annotations)) return 'voc';
  if (isLabelmeFolder(annotations)) return 'labelme';
  if (isYoloFolder(annotations)) return 'yolo';
  refuseOtherFormat(annotations);
  throw new InputError(
    'file-unreadable',
    `${annotations}: is a folder of no known format (expected Annotations/ as PASCAL VOC, data.yaml or labels/ as YOLO, JSON files as labelme, annotations.xml as CVAT, or gtFine/ as Cityscapes): name a COCO .json file, or the folder that holds them`,
  );
}

/** @throws InputError that names the format and what to export, where a path has the marks of one that is not read here */
function refuseOtherFormat(path: string): void {
  const other = recogniseOtherFormat(path);
  if (other === undefined) return;
  throw new InputError(
    'annotation-invalid',
    `${path}: is of ${other.name} (expected COCO, PASCAL VOC, YOLO, labelme, CVAT or Cityscapes): ${other.remedy}`,
  );
}

/** @throws InputError for one file of labels, which says nothing without its picture */
function formatOfFile(path: string): AnnotationFormat {
  if (/\.xml$/i.test(path)) return isCvatFile(path) ? 'cvat' : 'voc';
  if (/\.ya?ml$/i.test(path) && isNamesText(readSmallText(path))) return 'yolo';
  if (/\.txt$/i.test(path) && isYoloLabels(path))
    throw new InputError(
      'annotation-invalid',
      `${path}: is a file of YOLO labels, fractions of a picture: name the data.yaml, or the folder that holds images and labels`,
    );
  if (isModuleFile(path)) return 'coco';
  if (/\.json$/i.test(path) && isLabelmeFile(path)) return 'labelme';
  refuseOtherFormat(path);
  return 'coco';
}

function isYoloFolder(path: string): boolean {
  if (listFileIn(path) !== undefined) return true;
  const inside = foldersIn(path);
  if ([path, ...inside].some((folder) => foldersCalled(folder, 'labels').length > 0)) return true;
  return [path, ...inside].some((folder) => {
    const texts = readdirSync(folder).filter(
      (name) => /\.txt$/i.test(name) && !isHidden(name) && name !== 'classes.txt',
    );
    return texts.slice(0, 20).some((name) => isYoloLabels(join(folder, name)));
  });
}

/** Lines of a class and at least four numbers. */
function isYoloLabels(path: string): boolean {
  const lines = readSmallText(path)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  return lines.length > 0 && lines.every((line) => /^\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$/i.test(line));
}

function cityscapesSet(source: AnnotationSource): string {
  if (source.set !== undefined) return source.set;
  throw new InputError(
    'usage',
    `${source.annotations}: Cityscapes needs the set: name one of ${cityscapesSets(source.annotations).join(', ')}`,
  );
}
