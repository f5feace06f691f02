// The data sets of a training, and whether they fit one another, the model and a checkpoint.
import { type Category, InputError, matchCategories } from '@goshawk/core';
import { movesObjects, type NamedSet, type RunConfig } from '../config/index.js';
import {
  concatenateSets,
  type DetectionDataset,
  openSampleDataset,
  openSplitDataset,
  readProposalFiles,
  type SetPart,
  selectProposals,
} from '../data/index.js';
import { readDescription } from '../infer/detector-file.js';
import { requireSplit, type SplitName, splitOptions } from '../infer/split-options.js';
import { detectorKind } from '../models/index.js';
import type { TrainDatasets } from './train-options.js';

/**
 * One of the splits that a config names: for training all of its data sets together, for evaluation the first alone.
 * @throws InputError where it names none
 */
export function openSplit(
  config: RunConfig,
  name: SplitName,
  { purpose }: { purpose: 'training' | 'evaluation' },
): DetectionDataset {
  return purpose === 'training' ? openTogether(config, name) : openEvaluationSets(config, name)[0].dataset;
}

/** Each set as often as it is repeated. @throws InputError where the config names none, or their categories differ */
function openTogether(config: RunConfig, name: SplitName): DetectionDataset {
  const [first, ...others] = requireSplit(config, name);
  const dataset = openSet(config, name, first, 'training');
  const further = others.map((set): SetPart => {
    const opened = inCategoriesOf(dataset, openSet(config, name, set, 'training'));
    return { dataset: opened, repeat: set.split.repeat ?? 1 };
  });
  return concatenateSets([{ dataset, repeat: first.split.repeat ?? 1 }, ...further]);
}

/** The data sets of a split as evaluation takes them, each by itself. @throws InputError where the config names none */
export function openEvaluationSets(config: RunConfig, name: SplitName): readonly [EvaluationSet, ...EvaluationSet[]] {
  const open = (set: NamedSet) => ({ name: set.name, dataset: openSet(config, name, set, 'evaluation') });
  const [first, ...others] = requireSplit(config, name);
  return [open(first), ...others.map(open)];
}

export interface EvaluationSet {
  /** What results call it. */
  readonly name: string;
  readonly dataset: DetectionDataset;
}

/**
 * Data sets of a program.
 * @throws InputError naming the sample and what is wrong with it, or where the model takes stored proposals
 */
export async function openSamples(
  config: RunConfig,
  { train, val }: TrainDatasets,
): Promise<{ readonly trainSet: DetectionDataset; readonly valSets: readonly EvaluationSet[] }> {
  if (detectorKind(config.model).readsProposals)
    throw new InputError(
      'config-invalid',
      "model.proposals: is stored, which a program's own data sets have no place for: name annotation files in data.train and data.val",
    );
  const options = (name: SplitName, purpose: 'training' | 'evaluation') => splitOptions(config, name, purpose);
  const trainSet = await openSampleDataset(train, 'datasets.train', options('train', 'training'));
  if (val === undefined) return { trainSet, valSets: [] };
  const dataset = await openSampleDataset(val, 'datasets.val', options('val', 'evaluation'));
  return { trainSet, valSets: [{ name: 'val', dataset }] };
}

function openSet(
  config: RunConfig,
  name: SplitName,
  { place, split }: NamedSet,
  purpose: 'training' | 'evaluation',
): DetectionDataset {
  const dataset = openSplitDataset(split, splitOptions(config, name, purpose, { place, limit: split.limit }));
  return {
    ...dataset,
    ...(detectorKind(config.model).readsProposals && {
      proposals: proposalsOf(config, { name, place, split }, dataset),
    }),
  };
}

/** By image id, for every picture of the set. */
function proposalsOf(
  config: RunConfig,
  { name, place, split }: { readonly name: SplitName } & Pick<NamedSet, 'place' | 'split'>,
  dataset: DetectionDataset,
) {
  if (split.proposals === undefined)
    throw new InputError(
      'config-invalid',
      `data.${name}${place}.proposals: is not set, but model.proposals is stored: name the file of the proposals`,
    );
  if (name === 'train' && config.data.augment.some(movesObjects))
    throw new InputError(
      'config-invalid',
      'data.augment: moves pictures, which stored proposals do not follow (model.proposals is stored): keep to hsv, color, blur and noise, and to data.flip and preprocess.resize',
    );
  const convention = detectorKind(config.model).boxes;
  const files = typeof split.proposals === 'string' ? [split.proposals] : split.proposals;
  const proposals = readProposalFiles(files, { convention });
  const missing = dataset.samples.filter(({ image }) => !proposals.has(image.id));
  if (missing.length > 0)
    throw new InputError(
      'annotation-invalid',
      `${files.join(', ')}: ${files.length === 1 ? 'has' : 'have'} no proposals for ${missing.length} of the ${dataset.samples.length} images of ${dataset.fileName} ` +
        `(the first is id ${missing[0]!.image.id}): make them for this set`,
    );
  return selectProposals(proposals, dataset.annotations, {
    convention,
    distinct: split.proposalsDistinct,
    minSize: split.proposalMinSize,
    limit: split.proposalLimit,
    crowdShare: split.proposalCrowdShare,
  });
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

/**
 * The validation set with the ids that the training set has for its categories, matched by name: classes are numbered by
 * the training set's. Where that changes ids or their order it is a warning of the result.
 * @throws InputError where their names differ
 */
export function inCategoriesOf(
  train: Pick<DetectionDataset, 'fileName' | 'categories' | 'classOf'>,
  val: DetectionDataset,
): DetectionDataset {
  const match = matchCategories(val.categories, train.categories);
  if (match.kind === 'different')
    throw new InputError(
      'annotation-invalid',
      `${val.fileName}: its categories differ from ${train.fileName}'s (there: ${val.fileName}, here: ${train.fileName}; ${match.words}): use the same list in both`,
    );
  if (match.differs !== 'ids') return val;
  const { idOf } = match;
  const moved = <Entry extends { readonly categoryId: number }>(entry: Entry): Entry => ({
    ...entry,
    categoryId: idOf.get(entry.categoryId)!,
  });
  const warning = `${val.fileName}: its categories have other ids than in ${train.fileName} (${match.words}): they are matched by name`;
  return {
    ...val,
    categories: train.categories,
    classOf: train.classOf,
    samples: val.samples.map((sample) => ({ ...sample, annotations: sample.annotations.map(moved) })),
    annotations: {
      ...val.annotations,
      categories: train.categories,
      annotations: val.annotations.annotations.map(moved),
    },
    warnings: [...val.warnings, warning],
  };
}

/**
 * A checkpoint goes on only with its own classes in their order; ids may be others.
 * @throws InputError where a checkpoint was trained on other categories than those of `train`
 */
export function requireCategoriesOf(checkpoint: string, train: DetectionDataset): void {
  const own = readDescription(checkpoint)?.categories ?? [];
  const match = matchCategories(train.categories, own);
  const difference =
    match.kind === 'different'
      ? match.words
      : own.some(({ name }, index) => train.categories[index]!.name !== name)
        ? match.words
        : undefined;
  if (difference !== undefined)
    throw new InputError(
      'annotation-invalid',
      `${train.fileName}: its categories differ from those in ${checkpoint} (there: the data, here: the checkpoint; ${difference}): resume with the data of that training, or start from its weights with --init`,
    );
}
