// What one evaluation works on: the pictures and the detector, opened the same way in the command and in its processes.
import { type Category, type Detection, InputError, matchCategories } from '@goshawk/core';
import type { RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { type OpenDetector, openDetector } from '../infer/index.js';
import { openSplit } from '../train/training-data.js';

export interface EvalJob {
  readonly config: RunConfig;
  readonly weights: string;
  readonly split: 'train' | 'val' | 'test';
  /** The first picture and the one behind the last, counted from 0. Absent: all. */
  readonly range?: readonly [number, number];
}

/** Takes what is found, in whatever order it comes. Places count the pictures of the job, from 0. */
export interface DetectionReceiver {
  /** The detector is open, and pictures will come. */
  onReady(): void;
  onFound(place: number, detections: readonly Detection[]): void;
  onUnusable(place: number, error: InputError): void;
}

/** @throws InputError where the split is not there, or has no picture in the range */
export function openEvalDataset({ config, split, range }: EvalJob): DetectionDataset {
  const dataset = openSplit(config, split, { purpose: 'evaluation' });
  return range ? inRange(dataset, range) : dataset;
}

/**
 * The detector, whose results carry the dataset's ids: classes are matched by name.
 * @param onWarning is told where ids or their order differ
 * @throws InputError where the detector does not know a category of the dataset
 */
export function openEvalDetector(
  { config, weights }: EvalJob,
  dataset: DetectionDataset,
  onWarning?: (warning: string) => void,
): OpenDetector {
  return openDetector({
    config,
    weights,
    categories: dataset.categories,
    relabel: (own) => inIdsOf(dataset, own, weights, onWarning),
  });
}

/** A detector's categories with the ids that the dataset has for their names; those that it lacks get ids of their own. */
function inIdsOf(
  { fileName, categories }: DetectionDataset,
  own: readonly Category[],
  weights: string,
  onWarning: ((warning: string) => void) | undefined,
): readonly Category[] {
  const match = matchCategories(categories, own, { allowMore: true });
  if (match.kind === 'different')
    throw new InputError(
      'checkpoint-invalid',
      `${weights}: its categories are not those of ${fileName} (there: the data, here: the checkpoint; ${match.words}): evaluate on the data it was trained for`,
    );
  if (match.differs !== 'ids') return own;
  onWarning?.(
    `${fileName}: its categories have other ids than in ${weights} (${match.words}): they are matched by name, and results have the ids of ${fileName}`,
  );
  const idOf = new Map([...match.idOf].map(([here, there]) => [there, here]));
  const taken = new Set(categories.map(({ id }) => id));
  let free = Math.max(0, ...taken, ...own.map(({ id }) => id)) + 1;
  return own.map((category) => {
    const id = idOf.get(category.id) ?? (taken.has(category.id) ? free++ : category.id);
    return { ...category, id };
  });
}

function inRange(dataset: DetectionDataset, [from, to]: readonly [number, number]): DetectionDataset {
  const samples = dataset.samples.slice(from, to);
  if (samples.length === 0)
    throw new InputError(
      'usage',
      `--range ${from} ${to}: has none of the ${dataset.samples.length} pictures of ${dataset.fileName}: start below ${dataset.samples.length}`,
    );
  const ids = new Set(samples.map(({ image }) => image.id));
  return {
    ...dataset,
    samples,
    annotations: {
      ...dataset.annotations,
      images: dataset.annotations.images.filter(({ id }) => ids.has(id)),
      annotations: dataset.annotations.annotations.filter(({ imageId }) => ids.has(imageId)),
    },
  };
}
