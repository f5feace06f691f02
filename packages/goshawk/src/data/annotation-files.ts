// Annotations of any format, told apart by what is there: a COCO file, a module that stands for one, a folder of PASCAL VOC or one
// of Cityscapes.
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  checkVoc,
  cityscapesDataset,
  type DataIssue,
  type Dataset,
  InputError,
  parseVoc,
  vocClassList,
  vocNames,
} from '@goshawk/core';
import { fileError } from '../files/read-file.js';
import { cityscapesSets, openCityscapesFolder } from './cityscapes-folder.js';
import { checkCocoFile, parseCocoFile } from './coco-file.js';
import { isModuleFile } from './module-dataset.js';
import { isVocFolder, openVocFolder, vocSets } from './voc-folder.js';

export type AnnotationFormat = 'coco' | 'voc' | 'cityscapes';

/** Where annotations are; what a config says of a split. */
export interface AnnotationSource {
  /** A COCO file, a module that exports a data set, a VOC folder (or folder of XML files, or one), or the root of Cityscapes. */
  readonly annotations: string;
  /** Folder of the pictures; default: where the format has them. */
  readonly images?: string;
  /** Default: told by what `annotations` is. */
  readonly format?: AnnotationFormat;
  /** VOC: a list of ImageSets; Cityscapes: a folder of gtFine. */
  readonly set?: string;
  /** VOC: the class names in the order of their ids. */
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
      const classes = vocClassesOf(source);
      const { dataset, warnings } = parseVoc(files, { classes, purpose, name: annotations });
      return { format, dataset, images: source.images ?? images, warnings };
    }
    case 'cityscapes': {
      const dataset = cityscapesDataset(openCityscapesFolder(annotations, cityscapesSet(source)));
      return { format, dataset, images: source.images ?? join(annotations, 'leftImg8bit'), warnings: [] };
    }
  }
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
  const { annotations } = source;
  const format = annotationFormat(source);
  const issues =
    format === 'coco'
      ? checkCocoFile(annotations, options)
      : format === 'voc'
        ? checkVoc(openVocFolder(annotations, source.set).files, { classes: source.classes, ...options })
        : [];
  const isUsable = issues.every(({ severity }) => severity !== 'error');
  return { format, issues, read: isUsable ? readAnnotations(source, options) : undefined };
}

/**
 * The class list of a VOC folder where none is given: VOC's 20 where all names in its files are among them, else the names,
 * sorted. Of all its files and not of one set's, so that the sets of a folder number their classes alike.
 */
export function vocClassesOf(source: AnnotationSource): readonly string[] {
  return source.classes ?? vocClassList(vocNames(openVocFolder(source.annotations).files));
}

/** Names of the sets among which `set` chooses; none for COCO. */
export function annotationSets(source: AnnotationSource): string[] {
  const format = annotationFormat(source);
  return format === 'coco' ? [] : format === 'voc' ? vocSets(source.annotations) : cityscapesSets(source.annotations);
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
  const yolo = yoloIn(annotations, isFolder);
  if (yolo !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${annotations}: is ${yolo}, a format that is not read: export the set as COCO from the tool that made it (most have both), and name its .json file`,
    );
  if (!isFolder) return /\.xml$/i.test(annotations) ? 'voc' : 'coco';
  if (existsSync(join(annotations, 'gtFine'))) return 'cityscapes';
  if (isVocFolder(annotations)) return 'voc';
  throw new InputError(
    'file-unreadable',
    `${annotations}: is a folder of no known format (expected Annotations/ as PASCAL VOC or gtFine/ as Cityscapes): name a COCO .json file, or the folder that holds them`,
  );
}

/** What of a YOLO data set this is, in words; undefined for anything else. */
function yoloIn(path: string, isFolder: boolean): string | undefined {
  if (isFolder) {
    const names = new Set(readdirSync(path));
    if (names.has('gtFine') || isVocFolder(path)) return undefined;
    const isSet = names.has('data.yaml') || names.has('data.yml') || names.has('labels');
    if (isSet) return 'a folder of YOLO (data.yaml, labels/*.txt)';
    const texts = [...names].filter((name) => name.endsWith('.txt') && name !== 'classes.txt');
    return texts.some((name) => isYoloLabels(join(path, name))) ? 'a folder of YOLO labels' : undefined;
  }
  if (/\.ya?ml$/i.test(path)) return /^\s*(names|nc)\s*:/m.test(headOf(path)) ? "YOLO's list of a data set" : undefined;
  return /\.txt$/i.test(path) && isYoloLabels(path) ? 'a file of YOLO labels' : undefined;
}

/** Lines of a class and at least four numbers. */
function isYoloLabels(path: string): boolean {
  const lines = headOf(path)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  return lines.length > 0 && lines.every((line) => /^\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$/i.test(line));
}

function headOf(path: string): string {
  try {
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(4096);
      const text = head.toString('latin1', 0, readSync(file, head, 0, head.length, 0));
      return text.length < head.length ? text : text.slice(0, text.lastIndexOf('\n') + 1);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

function cityscapesSet(source: AnnotationSource): string {
  if (source.set !== undefined) return source.set;
  throw new InputError(
    'usage',
    `${source.annotations}: Cityscapes needs the set: name one of ${cityscapesSets(source.annotations).join(', ')}`,
  );
}
