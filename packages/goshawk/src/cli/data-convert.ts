// goshawk data convert: annotations of any format as a COCO file, or as a folder of PASCAL VOC or YOLO.
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { formatCoco, InputError } from '@goshawk/core';
import { annotationFormat, readAnnotations } from '../data/annotation-files.js';
import { pictureLocator } from '../data/picture-files.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireNotInput, requireWritableFile } from '../files/output-folder.js';
import { fileError } from '../files/read-file.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';
import { VOC_TRIAL, writeVoc } from './write-voc.js';
import { writeYolo, YOLO_TRIAL } from './write-yolo.js';

export interface DataConvertCommandOptions extends AnnotationCommandOptions {
  readonly output: string;
  /** Default: coco where the output ends in .json, else voc. */
  readonly format?: 'coco' | 'voc' | 'yolo';
  /** VOC and YOLO: put copies of the pictures where the format has them. */
  readonly copyPictures?: boolean;
}

/** Boxes go over as they are: what is wrong with them is for the reader of the new file to judge. */
export function runDataConvert(source: string, options: DataConvertCommandOptions): void {
  const { output, copyPictures = false } = options;
  const format = options.format ?? (/\.json$/i.test(output) ? 'coco' : 'voc');
  if (copyPictures && format === 'coco')
    throw new InputError(
      'usage',
      '--copy-pictures: is for voc and yolo, whose folders have a place for them: leave it out',
    );
  if (format !== 'coco' && /\.(txt|xml|ya?ml|csv|zip|tar|t?gz)$/i.test(output))
    throw new InputError(
      'usage',
      `--output: ${output} is called like a file (expected a .json file for COCO, or a folder for PASCAL VOC or YOLO): choose another name`,
    );
  requireNotInput([output], [source, ...folderOf(source, format)]);
  requireWritableFile(format === 'coco' ? output : join(output, format === 'voc' ? VOC_TRIAL : YOLO_TRIAL));
  const read = readAnnotations(annotationSource(source, options), { purpose: 'evaluation', requireFiles: true });
  for (const { message } of read.warnings) console.error(`warning: ${message}`);
  const { dataset } = read;
  if (copyPictures && read.images === undefined)
    throw new InputError('usage', `--copy-pictures: ${source} does not say where its pictures are: give --images`);
  const what = `${dataset.images.length} images, ${dataset.annotations.length} annotations, ${dataset.categories.length} categories`;
  endTidilyOnSignals();
  if (format === 'coco') {
    writeFileAtomic(output, formatCoco(dataset));
    const images = read.images === undefined ? '' : `; its file names start from ${read.images}`;
    const ignored = (dataset.ignoredRegions?.size ?? 0) > 0 ? '; the void regions have no place in it' : '';
    console.log(`${output}: ${what}${images}${ignored}`);
    return;
  }
  const set = options.imageSet ?? (format === 'voc' ? 'all' : 'train');
  if (format === 'yolo') {
    const { task, lost } = writeYolo(dataset, output, set);
    for (const loss of lost) console.error(`warning: ${loss}`);
    console.log(
      `${output}: labels/${set} and data.yaml of ${task === 'detect' ? 'boxes' : task === 'segment' ? 'outlines' : 'poses'} (${what})`,
    );
  } else {
    const { files, lost } = writeVoc(dataset, output, set);
    for (const loss of lost) console.error(`warning: ${loss}`);
    console.log(`${output}: ${files} files in Annotations (${what})`);
  }
  const folder = join(output, format === 'voc' ? 'JPEGImages' : join('images', set));
  if (!copyPictures) {
    console.log(`copy the pictures to ${folder}, or have them copied with --copy-pictures`);
    return;
  }
  const locate = pictureLocator(read.images!);
  for (const image of dataset.images) {
    const { path, problem } = locate(image);
    if (problem !== undefined)
      throw new InputError('annotation-invalid', `${source}: image id ${image.id}: ${problem.text}`);
    copyPicture(path, join(folder, format === 'voc' ? basename(image.fileName) : image.fileName));
  }
  console.log(`${folder}: ${dataset.images.length} pictures`);
}

/** Of a part of a folder the folder itself, where it is of the format that is written. */
function folderOf(source: string, format: string): string[] {
  const status = statSync(source, { throwIfNoEntry: false });
  if (status === undefined || format === 'coco' || annotationFormat({ annotations: source }) !== format) return [];
  const isPart = status.isFile() || /^(annotations|labels|images)$/i.test(basename(resolve(source)));
  return isPart ? [dirname(resolve(source))] : [];
}

function copyPicture(from: string, to: string): void {
  try {
    writeFileAtomic(to, readFileSync(from));
  } catch (error) {
    throw fileError(error, from);
  }
}
