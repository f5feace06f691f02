// How commands name annotations of any format: a path, and for folders the set.
import { statSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { type AnnotationSource, annotationFormat } from '../data/index.js';
import { findAnnotations } from '../starter/find-annotations.js';

export interface AnnotationCommandOptions {
  /** VOC: a list of ImageSets/Main; Cityscapes: a folder of gtFine. */
  readonly imageSet?: string;
  /** Folder of the pictures, where it is not the format's own. */
  readonly images?: string;
  /** VOC: class names in order, separated by commas. */
  readonly classes?: string;
}

export function annotationSource(annotations: string, options: AnnotationCommandOptions): AnnotationSource {
  const { imageSet, images, classes } = options;
  return {
    ...(imageSet === undefined && isFolderWithoutMarks(annotations)
      ? cocoFileIn(annotations, images)
      : { annotations, ...(images === undefined ? {} : { images }) }),
    ...(imageSet === undefined ? {} : { set: imageSet }),
    ...(classes === undefined ? {} : { classes: classes.split(',').map((name) => name.trim()) }),
  };
}

/** Whether a path is a folder that no format can be told from: COCO's files have any name, and lie anywhere. */
function isFolderWithoutMarks(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false;
  try {
    annotationFormat({ annotations: path });
    return false;
  } catch (error) {
    if (error instanceof InputError && error.code === 'file-unreadable') return true;
    throw error;
  }
}

/**
 * The COCO file of a folder, and where its pictures are, found as `goshawk train FOLDER` finds them.
 * @throws InputError where there are several, with their names
 */
function cocoFileIn(folder: string, images: string | undefined): AnnotationSource {
  let found: ReturnType<typeof findAnnotations>;
  try {
    found = findAnnotations(folder, images);
  } catch (error) {
    // Nothing at all: the words for what a folder may hold are those of the formats.
    if (error instanceof InputError && error.code === 'annotation-invalid')
      return { annotations: folder, ...(images === undefined ? {} : { images }) };
    throw error;
  }
  const parts = [found.train, found.val, found.test].flatMap((part) => part?.annotations ?? []);
  if (parts.length === 1) return found.train;
  throw new InputError('usage', `${folder}: holds a file for each part (${parts.join(', ')}): name one of them`);
}
