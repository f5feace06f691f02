// goshawk data filter: some of the objects and pictures of a data set, as a COCO file.
import { filterDataset, formatCoco, InputError } from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireNotInput, requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';

export interface DataFilterCommandOptions extends AnnotationCommandOptions {
  readonly output: string;
  /** Names, separated by commas. */
  readonly categories?: string;
  readonly without?: string;
  /** Pixels. */
  readonly minSide?: string;
  readonly dropCrowds?: boolean;
  readonly dropEmpty?: boolean;
}

export function runDataFilter(file: string, options: DataFilterCommandOptions): void {
  const { output, categories, without, dropCrowds, dropEmpty } = options;
  if (!/\.json$/i.test(output)) throw new InputError('usage', `--output ${output}: must be a .json file: correct it`);
  const minSide = Number(options.minSide ?? 0);
  if (!(Number.isFinite(minSide) && minSide >= 0))
    throw new InputError('usage', `--min-side ${options.minSide}: must be a number of pixels: correct it`);
  requireNotInput([output], [file]);
  requireWritableFile(output);
  const read = readAnnotations(annotationSource(file, options), { purpose: 'evaluation', requireFiles: true });
  for (const { message } of read.warnings) console.error(`warning: ${message}`);
  const names = (text: string) => text.split(',').map((name) => name.trim());
  const kept = filterDataset(read.dataset, {
    ...(categories === undefined ? {} : { categories: names(categories) }),
    ...(without === undefined ? {} : { without: names(without) }),
    minSide,
    dropCrowds: dropCrowds ?? false,
    dropEmpty: dropEmpty ?? false,
  });
  endTidilyOnSignals();
  writeFileAtomic(output, formatCoco(kept));
  const of = (part: number, all: number, what: string) => `${part} of ${all} ${what}`;
  const { dataset } = read;
  console.log(
    `${output}: ${of(kept.images.length, dataset.images.length, 'images')}, ${of(kept.annotations.length, dataset.annotations.length, 'annotations')}, ${of(kept.categories.length, dataset.categories.length, 'categories')}`,
  );
}
