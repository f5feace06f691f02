// The data set of a split, whatever its format, as training and evaluation take it.
import { existsSync } from 'node:fs';
import { type DataIssue, InputError } from '@goshawk/core';
import {
  type AnnotationFormat,
  type AnnotationSource,
  annotationFormat,
  annotationSets,
  checkAnnotations,
  classNamesOf,
  namesClasses,
  readAnnotations,
} from './annotation-files.js';
import { type DatasetOptions, type DetectionDataset, examineDataset, firstImages, openDataset } from './dataset.js';

export interface SplitOptions extends DatasetOptions {
  /** How messages name the split, such as data.val. */
  readonly name: string;
  /** The split that training learns from: VOC's class numbers are its. */
  readonly train?: AnnotationSource;
  /** Without `set`, take all files of a folder of VOC even where it has sets. Default false: the config has to choose. */
  readonly isWhole?: boolean;
}

/**
 * Opens the annotations and pictures of a split.
 *
 * VOC's and labelme's files name classes and do not number them. The numbers are those of `classes` in the split, else of `classes` in
 * `train`, else of the names in the files of `train`'s folder (VOC's 20 where all are among them, otherwise sorted): so
 * every split of a config has one list, and a name that the list lacks is an error that tells the file.
 * @throws InputError naming the split, file and field
 */
export function openSplitDataset(split: AnnotationSource, options: SplitOptions): DetectionDataset {
  const source = sourceOf(split, options);
  const read = readAnnotations(source, { purpose: options.purpose, requireFiles: true });
  if (read.images === undefined) {
    throw new InputError(
      'config-invalid',
      `${options.name}.images: missing: name the folder that the file names of ${split.annotations} start from`,
    );
  }
  const { annotations } = split;
  const files = { annotations, images: read.images, format: source.format, issues: read.warnings };
  return openDataset(firstImages(read.dataset, options.limit), files, options);
}

/** A split, and everything that is said about it. */
export interface ExaminedSplit {
  readonly issues: readonly DataIssue[];
  /** Absent where the annotations cannot be read. Not to be used where an issue is an error. */
  readonly opened?: DetectionDataset;
}

/**
 * What {@link openSplitDataset} opens, with every problem instead of the first. Without a folder of pictures, none are
 * looked for.
 * @throws InputError where files or folders are missing
 */
export function examineSplitDataset(split: AnnotationSource, options: SplitOptions): ExaminedSplit {
  const source = sourceOf(split, options);
  const { issues, read } = checkAnnotations(source, { purpose: options.purpose, requireFiles: true });
  if (read === undefined) return { issues };
  const images = source.format === 'coco' || existsSync(read.images ?? '') ? read.images : undefined;
  const files = { annotations: split.annotations, images, format: source.format, issues };
  return examineDataset(firstImages(read.dataset, options.limit), files, options);
}

function sourceOf(
  split: AnnotationSource,
  { name, train, isWhole = false }: SplitOptions,
): AnnotationSource & { format: AnnotationFormat } {
  const format = annotationFormat(split);
  if (!namesClasses(format) && format !== 'yolo' && split.classes !== undefined) {
    throw new InputError(
      'config-invalid',
      `${name}.classes: is for PASCAL VOC and labelme, whose files do not number their classes, and YOLO, whose do not name them (${split.annotations} is ${format}): remove it`,
    );
  }
  if ((format === 'coco' || format === 'labelme') && split.set !== undefined) {
    throw new InputError(
      'config-invalid',
      `${name}.set: is for folders of PASCAL VOC, YOLO and Cityscapes and for projects of CVAT (${split.annotations} is ${format === 'coco' ? 'COCO' : 'labelme'}): remove it and name the ${format === 'coco' ? 'file' : 'folder'} of the set`,
    );
  }
  if (format !== 'coco' && split.set === undefined) {
    const sets = annotationSets(split);
    if ((sets.length > 1 && !isWhole) || format === 'cityscapes') {
      throw new InputError(
        'config-invalid',
        `${name}.set: missing: set it to one of ${sets.join(', ')}, the sets of ${split.annotations}`,
      );
    }
  }
  const classes = namesClasses(format) ? classesFor(split, format, train) : split.classes;
  return { ...split, format, ...(classes === undefined ? {} : { classes }) };
}

function classesFor(
  split: AnnotationSource,
  format: AnnotationFormat,
  train: AnnotationSource | undefined,
): readonly string[] {
  if (split.classes !== undefined) return split.classes;
  const source = train !== undefined && annotationFormat(train) === format ? train : split;
  return classNamesOf(source);
}
