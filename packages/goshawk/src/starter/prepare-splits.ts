// The sets of a first config: those that are there, or two parts of the one; and small copies of photos that are large.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Dataset, formatCoco, InputError, splitDataset } from '@goshawk/core';
import {
  type AnnotationSource,
  annotationFormat,
  type ReadAnnotations,
  readAnnotations,
  type Twins,
} from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { counted } from '../terminal/counted.js';
import { countPictures, createProgressLine } from '../terminal/progress-line.js';
import type { FoundAnnotations } from './find-annotations.js';
import { type Chosen, validationShare } from './rules.js';
import { canShrink, shrinkPictures } from './shrink-pictures.js';
import { onlyImages, type PicturesOfSet, type PictureWays, usablePictures } from './usable-pictures.js';
import type { SetOfConfig, SplitsOfConfig } from './write-starter.js';

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
  /** Whether every picture is looked at. */
  readonly looks: boolean;
  readonly ways: PictureWays;
  readonly say: (line: string) => void;
}

export interface PreparedSplits {
  readonly splits: Chosen<SplitsOfConfig>;
  /** Pictures to train on and to measure on. */
  readonly pictures: { readonly train: number; readonly val: number };
}

/**
 * Writes what has to be written, and says what it does.
 * @throws InputError where too few pictures can be used
 */
export async function prepareSplits(options: PrepareSplitsOptions): Promise<PreparedSplits> {
  return options.found.val === undefined ? drawnSplits(options) : ownSplits(options, options.found.val);
}

/** The data's own sets, as they lie there unless pictures of them cannot be used. */
async function ownSplits(options: PrepareSplitsOptions, val: AnnotationSource): Promise<PreparedSplits> {
  const { found, training, say } = options;
  const ofVal = readAnnotations(val, { purpose: 'evaluation', requireFiles: true });
  const valImages = ofVal.images;
  if (valImages === undefined || !existsSync(valImages))
    throw new InputError(
      'file-not-found',
      `${val.annotations}: its pictures are not beside it: name their folder with --images`,
    );
  const there = await usableOf(options, { ...training, annotations: found.train.annotations });
  const small = await copiesOf(options, there);
  const measured = await usableOf(options, { ...ofVal, annotations: val.annotations, images: valImages });
  const kept = small ?? there;
  const isWhole = small === undefined && kept.dataset.images.length === training.dataset.images.length;
  const isValWhole = measured.dataset.images.length === ofVal.dataset.images.length;
  // The file that is written holds nothing of what was left out; a set that stays as it is says it in the training.
  if (!isWhole) tellWarnings(found.train.annotations, training.warnings, say);
  // Files that are written are of COCO's format, and do not tell the sets of VOC their classes.
  const others = (source: AnnotationSource) =>
    !isWhole && annotationFormat(source) === 'voc'
      ? setOf({ ...source, classes: source.classes ?? training.dataset.categories.map(({ name }) => name) })
      : setOf(source);
  const pictures = { train: kept.dataset.images.length, val: measured.dataset.images.length };
  say(`sets: ${photos(pictures.train)} to learn from and ${pictures.val} to measure on - the data's own`);
  return {
    splits: {
      value: {
        train: isWhole ? setOf(found.train) : writeSet(options, 'train', kept),
        val: isValWhole ? others(val) : writeSet(options, 'val', { dataset: measured.dataset, images: valImages }),
        ...(found.test && { test: others(found.test) }),
      },
      why: "the data's own sets",
    },
    pictures,
  };
}

/** Two parts of the one set. */
async function drawnSplits(options: PrepareSplitsOptions): Promise<PreparedSplits> {
  const { found, training, looks, say } = options;
  const { annotations } = found.train;
  const there = await usableOf({ ...options, looks: false }, { ...training, annotations });
  const small = await copiesOf(options, there);
  // Which pictures look alike is seen on the copies.
  const seen = looks ? await usableOf(options, { ...(small ?? there), annotations }) : { ...there, together: [] };
  tellWarnings(annotations, training.warnings, say);
  const kept = new Set(seen.dataset.images.map(({ id }) => id));
  const whole = onlyImages(there.dataset, (id) => kept.has(id));
  if (whole.images.length < 2)
    throw new InputError(
      'annotation-invalid',
      `${annotations}: has one picture, and one more is needed to measure on: annotate more`,
    );
  const share = validationShare(whole.images.length);
  const parts = splitDataset(whole, {
    parts: [
      { name: 'train', share: 1 - share },
      { name: 'val', share },
    ],
    together: seen.together,
  });
  const [train, val] = parts.map(({ dataset }) => dataset) as [Dataset, Dataset];
  const twins = !looks
    ? '; there are too many to look for twins in the time: goshawk data split does'
    : seen.together.length === 0
      ? ''
      : `, ${seen.together.flat().length} that look alike in one part`;
  const why = `there was no second set; ${inBothWords(train, val)}${twins}`;
  say(`sets: ${photos(train.images.length)} to learn from and ${val.images.length} to measure on, drawn - ${why}`);
  const ofTrain = new Set(train.images.map(({ id }) => id));
  return {
    splits: {
      value: {
        train: writeSet(
          options,
          'train',
          small
            ? { dataset: onlyImages(small.dataset, (id) => ofTrain.has(id)), images: small.images }
            : { dataset: train, images: training.images },
        ),
        val: writeSet(options, 'val', { dataset: val, images: training.images }),
        ...(found.test && { test: setOf(found.test) }),
      },
      why: `drawn from ${annotations}: ${why}`,
    },
    pictures: { train: train.images.length, val: val.images.length },
  };
}

/** A class with one picture is in one part alone. */
function inBothWords(train: Dataset, val: Dataset): string {
  const classesOf = ({ annotations }: Dataset) => new Set(annotations.map(({ categoryId }) => categoryId));
  const [learned, measured] = [classesOf(train), classesOf(val)];
  const all = new Set([...learned, ...measured]);
  const both = [...all].filter((id) => learned.has(id) && measured.has(id)).length;
  if (both === all.size) return 'every class is in both';
  return `${both} of ${counted(all.size, 'class', 'classes')} are in both, the others have too few pictures`;
}

function photos(count: number): string {
  return counted(count, 'photo');
}

function writeSet({ folder }: PrepareSplitsOptions, name: string, { dataset, images }: OpenSet): SetOfConfig {
  const annotations = join(folder, `${name}.json`);
  writeFileAtomic(annotations, formatCoco(dataset));
  return { annotations, images };
}

interface OpenSet {
  readonly dataset: Dataset;
  readonly images: string;
}

/** What of a set can be used; what cannot is said. */
async function usableOf(
  { ways, looks, say }: PrepareSplitsOptions,
  set: PicturesOfSet,
): Promise<OpenSet & { readonly together: Twins['together'] }> {
  const line = createProgressLine();
  const onProgress = countPictures(line, 'looking at');
  const { dataset, problems, together } = await usablePictures(set, ways, { looks, onProgress });
  line.done();
  tellLeftOut(set.annotations, problems, say);
  return { dataset, images: set.images, together };
}

const SHOWN_WARNINGS = 5;

function tellLeftOut(annotations: string, problems: readonly string[], say: (line: string) => void): void {
  const leftOut = problems.map((problem) => `${problem} (left out)`);
  tellWarnings(annotations, leftOut, say);
}

function tellWarnings(annotations: string, warnings: readonly string[], say: (line: string) => void): void {
  for (const warning of warnings.slice(0, SHOWN_WARNINGS)) say(`warning: ${warning}`);
  const hidden = warnings.length - SHOWN_WARNINGS;
  if (hidden > 0)
    say(`and ${hidden} more ${hidden === 1 ? 'warning' : 'warnings'}: goshawk data check ${annotations} lists them`);
}

/** Copies of all: which of them are trained on is seen on the copies. */
async function copiesOf(
  { folder, copies, ways, found, say }: PrepareSplitsOptions,
  { dataset, images }: OpenSet,
): Promise<OpenSet | undefined> {
  if (copies === undefined || !canShrink(dataset)) return undefined;
  const output = join(folder, 'pictures');
  const line = createProgressLine();
  const started = performance.now();
  const shrunk = await shrinkPictures(dataset, {
    images,
    output,
    ways,
    longSide: copies.value,
    onProgress: countPictures(line, `shrinking to ${copies.value} pixels`),
  });
  line.done();
  tellLeftOut(found.train.annotations, shrunk.problems, say);
  const [first] = shrunk.problems;
  if (first !== undefined && shrunk.dataset.images.length * 2 < dataset.images.length)
    throw new InputError('annotation-invalid', `${first} (and ${shrunk.problems.length - 1} more problems)`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  say(`copies: ${copies.value} pixels, in ${output}, made in ${seconds} s - ${copies.why}`);
  return { dataset: shrunk.dataset, images: output };
}

function setOf({ annotations, images, set, format, classes }: AnnotationSource): SetOfConfig {
  return {
    annotations,
    ...(images !== undefined && { images }),
    ...(set !== undefined && { set }),
    ...(format !== undefined && { format }),
    ...(classes !== undefined && { classes }),
  };
}
