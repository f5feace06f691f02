// The sets of a first config: those that are there, or two parts of the one; and small copies of photos that are large.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Dataset, formatCoco, InputError, splitDataset } from '@goshawk/core';
import {
  type AnnotationSource,
  annotationFormat,
  findTwins,
  type ReadAnnotations,
  readAnnotations,
  type Twins,
} from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { countPictures, createProgressLine } from '../terminal/progress-line.js';
import type { FoundAnnotations } from './find-annotations.js';
import { type Chosen, validationShare } from './rules.js';
import { canShrink, shrinkPictures } from './shrink-pictures.js';
import type { SplitsOfConfig } from './write-starter.js';

export interface ReadTraining {
  readonly dataset: Dataset;
  /** Folder that file names start from. */
  readonly images: string;
  readonly warnings: readonly string[];
}

/** @throws InputError naming the file and what is wrong, or where nothing can be learned from it */
export function readTraining(source: AnnotationSource): ReadTraining {
  const { dataset, images, warnings }: ReadAnnotations = readAnnotations(source, {
    purpose: 'evaluation',
    requireFiles: true,
  });
  const { annotations } = source;
  if (images === undefined || !existsSync(images))
    throw new InputError(
      'file-not-found',
      `${annotations}: its pictures are not beside it: name their folder with --images`,
    );
  if (dataset.annotations.length === 0)
    throw new InputError('annotation-invalid', `${annotations}: has no objects to learn: name annotations that have`);
  return { dataset, images, warnings: warnings.map(({ message }) => message) };
}

export interface PrepareSplitsOptions {
  readonly found: FoundAnnotations;
  readonly training: ReadTraining;
  /** Where annotation files of parts and copies of pictures go; made where they are needed. */
  readonly folder: string;
  /** Long side of copies to train on; absent: the photos themselves. */
  readonly copies?: Chosen<number> | undefined;
  /** Whether pictures that look alike are looked for. */
  readonly looks: boolean;
  readonly say: (line: string) => void;
}

export interface PreparedSplits {
  readonly splits: Chosen<SplitsOfConfig>;
  /** Pictures to train on and to measure on. */
  readonly pictures: { readonly train: number; readonly val: number };
}

/** Writes what has to be written, and says what it does. */
export async function prepareSplits(options: PrepareSplitsOptions): Promise<PreparedSplits> {
  const { found, training, folder, say } = options;
  const small = await copiesOf(options);
  // The files that are written hold nothing of what was left out; a set that stays as it is says it in the training.
  if (small !== undefined || found.val === undefined) tellWarnings(found.train.annotations, training.warnings, say);
  const { dataset: whole } = training;
  const sourceOf = (name: string, dataset: Dataset, images: string) => {
    const annotations = join(folder, `${name}.json`);
    writeFileAtomic(annotations, formatCoco(dataset));
    return { annotations, images };
  };
  // Copies are of COCO's format, and do not tell the sets of VOC their classes.
  const others = (source: AnnotationSource) =>
    small && annotationFormat(source) === 'voc'
      ? setOf({ ...source, classes: source.classes ?? whole.categories.map(({ name }) => name) })
      : setOf(source);
  const test = found.test && { test: others(found.test) };
  if (found.val !== undefined) {
    const val = others(found.val);
    const train = small ? sourceOf('train', small.dataset, small.images) : setOf(found.train);
    const count = readAnnotations(found.val, { purpose: 'evaluation', requireFiles: true }).dataset.images.length;
    say(`sets: ${whole.images.length} photos to learn from and ${count} to measure on - the data's own`);
    return {
      splits: { value: { train, val, ...test }, why: "the data's own sets" },
      pictures: { train: whole.images.length, val: count },
    };
  }
  if (whole.images.length < 2)
    throw new InputError(
      'annotation-invalid',
      `${found.train.annotations}: has one picture, and one more is needed to measure on: annotate more`,
    );
  const together = options.looks
    ? await twinsOf(found.train.annotations, small ?? { dataset: whole, images: training.images })
    : [];
  const share = validationShare(whole.images.length);
  const parts = splitDataset(whole, {
    parts: [
      { name: 'train', share: 1 - share },
      { name: 'val', share },
    ],
    together,
  });
  const [train, val] = parts.map(({ dataset }) => dataset) as [Dataset, Dataset];
  const twins = !options.looks
    ? '; there are too many to look for twins in the time: goshawk data split does'
    : together.length === 0
      ? ''
      : `, ${together.flat().length} that look alike in one part`;
  const why = `there was no second set; every class is in both${twins}`;
  say(`sets: ${train.images.length} photos to learn from and ${val.images.length} to measure on, drawn - ${why}`);
  return {
    splits: {
      value: {
        train: small
          ? sourceOf('train', sameImages(small.dataset, train), small.images)
          : sourceOf('train', train, training.images),
        val: sourceOf('val', val, training.images),
        ...test,
      },
      why: `drawn from ${found.train.annotations}: ${why}`,
    },
    pictures: { train: train.images.length, val: val.images.length },
  };
}

const SHOWN_WARNINGS = 5;

function tellWarnings(annotations: string, warnings: readonly string[], say: (line: string) => void): void {
  for (const warning of warnings.slice(0, SHOWN_WARNINGS)) say(`warning: ${warning}`);
  const hidden = warnings.length - SHOWN_WARNINGS;
  if (hidden > 0)
    say(`and ${hidden} more ${hidden === 1 ? 'warning' : 'warnings'}: goshawk data check ${annotations} lists them`);
}

async function twinsOf(
  annotations: string,
  { dataset, images }: Pick<ReadTraining, 'dataset' | 'images'>,
): Promise<Twins['together']> {
  const line = createProgressLine();
  const { together } = await findTwins(dataset, { annotations, images }, countPictures(line, 'looking for twins'));
  line.done();
  return together;
}

/** Copies of all: which of them are trained on is seen on the copies. */
async function copiesOf({
  training: { dataset, images },
  folder,
  copies,
  say,
}: PrepareSplitsOptions): Promise<{ readonly dataset: Dataset; readonly images: string } | undefined> {
  if (copies === undefined || !canShrink(dataset)) return undefined;
  const output = join(folder, 'pictures');
  const line = createProgressLine();
  const started = performance.now();
  const shrunk = await shrinkPictures(dataset, {
    images,
    output,
    longSide: copies.value,
    onProgress: countPictures(line, `shrinking to ${copies.value} pixels`),
  });
  line.done();
  for (const problem of shrunk.problems) say(`warning: ${problem} (left out)`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  say(`copies: ${copies.value} pixels, in ${output}, made in ${seconds} s - ${copies.why}`);
  return { dataset: shrunk.dataset, images: output };
}

/** Of one data set the pictures that are in another too. */
function sameImages(dataset: Dataset, { images }: Dataset): Dataset {
  const kept = new Set(images.map(({ id }) => id));
  return {
    ...dataset,
    images: dataset.images.filter(({ id }) => kept.has(id)),
    annotations: dataset.annotations.filter(({ imageId }) => kept.has(imageId)),
  };
}

function setOf({ annotations, images, set, format, classes }: AnnotationSource): SplitsOfConfig['train'] {
  return {
    annotations,
    ...(images !== undefined && { images }),
    ...(set !== undefined && { set }),
    ...(format !== undefined && { format }),
    ...(classes !== undefined && { classes }),
  };
}
