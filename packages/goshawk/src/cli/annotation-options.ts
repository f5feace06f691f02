// How commands name annotations of any format: a path, and for folders the set.
import type { AnnotationSource } from '../data/index.js';

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
    annotations,
    ...(imageSet === undefined ? {} : { set: imageSet }),
    ...(images === undefined ? {} : { images }),
    ...(classes === undefined ? {} : { classes: classes.split(',').map((name) => name.trim()) }),
  };
}
