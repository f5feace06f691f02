// The data sets of a training, and whether they fit one another, the model and a checkpoint.
import { existsSync } from 'node:fs';
import { type Category, InputError } from '@goshawk/core';
import type { DataSplitConfig, RunConfig } from '../config/index.js';
import {
  type DatasetOptions,
  type DetectionDataset,
  openSplitDataset,
  readProposals,
  selectProposals,
} from '../data/index.js';
import { readDescription } from '../infer/detector-file.js';
import { CONVENTIONS, detectorKind } from '../models/index.js';

/** One of the data sets that a config names. @throws InputError where it names none */
export function openSplit(
  config: RunConfig,
  name: 'train' | 'val' | 'test',
  { purpose }: { purpose: 'training' | 'evaluation' },
): DetectionDataset {
  const split: DataSplitConfig | undefined = config.data[name];
  if (!split)
    throw new InputError(
      'config-invalid',
      `data.${name}: is not set: pass --set data.${name}.annotations=FILE --set data.${name}.images=FOLDER`,
    );
  // A config of another system names its own sets, so the key says which of them is meant.
  if (!existsSync(split.annotations))
    throw new InputError(
      'file-not-found',
      `data.${name}.annotations: ${split.annotations}: not found: check the path, or give another with --set data.${name}.annotations=FILE`,
    );
  const dataset = openSplitDataset(split, {
    name: `data.${name}`,
    train: config.data.train,
    purpose,
    limit: split.limit,
    exifOrientation: config.data.exifOrientation,
    ...(purpose === 'training' && whatToLearn(config)),
  });
  return {
    ...dataset,
    ...(detectorKind(config.model).readsProposals && { proposals: proposalsOf(config, name, dataset) }),
  };
}

/** By image id, for every picture of the set. */
function proposalsOf(config: RunConfig, name: 'train' | 'val' | 'test', dataset: DetectionDataset) {
  const { proposals: file, proposalLimit, proposalCrowdShare } = config.data[name] ?? {};
  if (file === undefined)
    throw new InputError(
      'config-invalid',
      `data.${name}.proposals: is not set, but model.proposals is stored: name the file of the proposals`,
    );
  const convention = CONVENTIONS[config.model.conventions].boxes;
  const proposals = readProposals(file, { convention });
  const missing = dataset.samples.filter(({ image }) => !proposals.has(image.id));
  if (missing.length > 0)
    throw new InputError(
      'annotation-invalid',
      `${file}: has no proposals for ${missing.length} of the ${dataset.samples.length} images of ${dataset.fileName} ` +
        `(the first is id ${missing[0]!.image.id}): make them for this set`,
    );
  const crowds = proposalCrowdShare === undefined ? undefined : { share: proposalCrowdShare, in: dataset.annotations };
  return selectProposals(proposals, { limit: proposalLimit, crowds, convention });
}

/** What of the annotations the model learns from, and which pictures it needs none of. */
function whatToLearn({ model, data }: RunConfig): DatasetOptions {
  const { masks, keypoints } = detectorKind(model).learnsFrom;
  return {
    masks: masks === 'whole',
    polygons: masks === 'polygons',
    keypoints,
    requireKeypoints: keypoints && data.requireKeypoints,
    skipEmpty: data.skipEmpty,
  };
}

/** @throws InputError where the config asks for another number of classes than the data has */
export function classCount(config: RunConfig, categories: readonly Category[]): number {
  const wanted = config.model.classes;
  if (wanted !== 'from-data' && wanted !== categories.length) {
    throw new InputError(
      'config-invalid',
      `model.classes: is ${wanted}, but ${config.data.train?.annotations} has ${categories.length} categories: set it to from-data`,
    );
  }
  return categories.length;
}

/** @throws InputError where they differ: classes are numbered by the training set's categories */
export function requireSameCategories(train: DetectionDataset, val: DetectionDataset): void {
  const difference = differingCategory(val.categories, train.categories);
  if (difference !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${val.fileName}: its categories differ from ${train.fileName}'s (${difference}): use the same list in both`,
    );
}

/** @throws InputError where a checkpoint was trained on other categories than those of `train` */
export function requireCategoriesOf(checkpoint: string, train: DetectionDataset): void {
  const difference = differingCategory(train.categories, readDescription(checkpoint)?.categories ?? []);
  if (difference !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${train.fileName}: its categories differ from those in ${checkpoint} (${difference}): resume with the data of that training, or start from its weights with --init`,
    );
}

/** In words, the first place where two lists part; undefined where they are the same. */
function differingCategory(got: readonly Category[], expected: readonly Category[]): string | undefined {
  const name = (category: Category | undefined): string => (category ? `${category.id} ${category.name}` : 'none');
  const count = Math.max(got.length, expected.length);
  const at = Array.from({ length: count }, (_, index) => index).find((i) => name(got[i]) !== name(expected[i]));
  return at === undefined ? undefined : `number ${at + 1}: got '${name(got[at])}', expected '${name(expected[at])}'`;
}
