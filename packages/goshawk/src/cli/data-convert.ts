// goshawk data convert: annotations of PASCAL VOC or Cityscapes as a COCO file, or of any format as VOC files.
import { basename, join } from 'node:path';
import { type Annotation, type Dataset, formatCoco, formatVocAnnotation, InputError } from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';

export interface DataConvertCommandOptions extends AnnotationCommandOptions {
  readonly output: string;
}

/** Boxes go over as they are: what is wrong with them is for the reader of the new file to judge. */
export function runDataConvert(source: string, options: DataConvertCommandOptions): void {
  const { output } = options;
  const isFile = /\.json$/i.test(output);
  requireWritableFile(isFile ? output : join(output, VOC_TRIAL));
  const read = readAnnotations(annotationSource(source, options), { purpose: 'evaluation', requireFiles: true });
  for (const { message } of read.warnings) console.error(`warning: ${message}`);
  const { dataset } = read;
  const what = `${dataset.images.length} images, ${dataset.annotations.length} annotations, ${dataset.categories.length} categories`;
  endTidilyOnSignals();
  if (isFile) {
    writeFileAtomic(output, formatCoco(dataset));
    const images = read.images === undefined ? '' : `; its file names start from ${read.images}`;
    const ignored = (dataset.ignoredRegions?.size ?? 0) > 0 ? '; the void regions have no place in it' : '';
    console.log(`${output}: ${what}${images}${ignored}`);
    return;
  }
  const files = writeVoc(dataset, output, options.imageSet ?? 'all');
  console.log(`${output}: ${files} files in Annotations (${what}); copy the pictures to ${join(output, 'JPEGImages')}`);
}

/** Any file of a VOC folder. */
const VOC_TRIAL = join('Annotations', 'any.xml');

/** Annotations/ID.xml and ImageSets/Main/SET.txt. */
function writeVoc(dataset: Dataset, folder: string, set: string): number {
  const byImage = new Map<number, Annotation[]>(dataset.images.map(({ id }) => [id, []]));
  for (const annotation of dataset.annotations) byImage.get(annotation.imageId)?.push(annotation);
  const names = new Map<string, string>();
  const text = dataset.images.map((image) => {
    const name = basename(image.fileName).replace(/\.[^.]*$/, '');
    const other = names.get(name);
    if (other !== undefined) {
      throw new InputError(
        'annotation-invalid',
        `${folder}: ${other} and ${image.fileName} would both be ${name}.xml: VOC has one folder of pictures, rename one`,
      );
    }
    names.set(name, image.fileName);
    const record = { ...image, fileName: basename(image.fileName) };
    return [name, formatVocAnnotation(record, byImage.get(image.id)!, dataset.categories)] as const;
  });
  for (const [name, annotation] of text) writeFileAtomic(join(folder, 'Annotations', `${name}.xml`), annotation);
  writeFileAtomic(join(folder, 'ImageSets', 'Main', `${set}.txt`), `${[...names.keys()].join('\n')}\n`);
  return text.length;
}
