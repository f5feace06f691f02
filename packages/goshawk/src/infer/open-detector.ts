// A detector ready to predict, from a config and a file of weights.
import {
  type Category,
  cocoCategories,
  cocoPersonKeypoints,
  cocoPersonSkeleton,
  flipPairsOf,
  InputError,
} from '@goshawk/core';
import { keepFromSecondRun, type LazyTensor, requireDrawn, withoutDraws } from '@goshawk/torch';
import type { PreprocessConfig, RunConfig } from '../config/index.js';
import { buildModel, type Detector, detectorKind } from '../models/index.js';
import { applyRuntime } from './apply-runtime.js';
import { loadWeights, outputsIn, readDescription, requireKnownModel, withWeightsOf } from './detector-file.js';
import { explainEngineError } from './engine-errors.js';
import { parameterDtype } from './precision.js';
import { Predictor, predictorOptions } from './predictor.js';

export interface OpenDetector {
  /** Of the file of weights, or as it was given. */
  readonly config: RunConfig;
  readonly model: Detector;
  readonly predictor: Predictor;
  readonly preprocess: PreprocessConfig;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
}

export interface OpenDetectorOptions {
  /** Default: the one in the file of weights. */
  readonly config?: RunConfig;
  readonly weights: string;
  /** `cpu`, `cuda` or `cuda:N`. Default: the config's. */
  readonly device?: string;
  /** Of the data set at hand, for files of weights that do not name their own. */
  readonly categories?: readonly Category[];
  /**
   * How many pictures it will be shown, where that is known. For a single one, on the processor, nothing is prepared that later ones
   * would gain by, and weights stay in their file, which must not be overwritten meanwhile.
   */
  readonly pictures?: number | undefined;
  /** What the detector's own categories are called in its results; one each, in their order. Default: as they are. */
  readonly relabel?: (own: readonly Category[]) => readonly Category[];
}

/**
 * Opens a detector.
 * @param options a file of weights that `goshawk train` wrote, which holds its config; or more than that
 * @throws InputError where the file cannot be read, does not fit the config, or holds none and none is given
 */
export function openDetector(options: string | OpenDetectorOptions): OpenDetector {
  const all = withWeights(options);
  return withWeightsOf(all.weights, (weights) => openOver(weights, all));
}

function openOver(
  weights: ReadonlyMap<string, LazyTensor>,
  { weights: path, device, categories: known, relabel, config: given, pictures }: OpenDetectorOptions,
): OpenDetector {
  const read = given ?? configInside(path);
  const config = device === undefined ? read : { ...read, runtime: { ...read.runtime, device } };
  applyRuntime(config.runtime, { kind: 'prediction' });
  requireKnownModel(weights, path);
  const { classes, keypoints } = outputsIn(weights, config.model);
  if (classes === undefined)
    throw new InputError(
      'checkpoint-invalid',
      `${path}: has no class predictor: it is not the checkpoint of a ${config.model.type}`,
    );
  const gives = detectorKind(config.model).gives;
  const own =
    gives === 'proposals'
      ? [OBJECT]
      : (readDescription(path)?.categories ?? namesFor(classes - 1, keypoints, known, path));
  // Before the model is built: categories that do not fit are known by now.
  const named = relabel && gives === 'objects' ? relabel(own) : own;
  const categories = withFlipPairs(named, config);
  // All weights come from the file: none are drawn before, and each is copied once, to where it stays.
  const model = withoutDraws(() => buildModel(config.model, { classes: classes - 1, keypoints }));
  const isForOne = pictures === 1 && config.runtime.device === 'cpu';
  try {
    model.to({
      device: config.runtime.device,
      dtype: parameterDtype(config.train.precision),
      // As they lie in the file.
      ...(!isForOne && { memoryFormat: 'channels_last' }),
    });
  } catch (error) {
    throw explainEngineError(error, { kind: 'prediction', precision: config.train.precision });
  }
  loadWeights(model, weights, path, { adopt: isForOne });
  if (isForOne) keepFromSecondRun(model);
  requireDrawn(model.stateDict());
  const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
  return { config, model, predictor, preprocess: config.preprocess, categories };
}

function withWeights(options: string | OpenDetectorOptions): OpenDetectorOptions {
  return typeof options === 'string' ? { weights: options } : options;
}

/** @throws InputError for files of other systems, and where the file cannot be read */
function configInside(weights: string): RunConfig {
  const description = readDescription(weights);
  if (description !== undefined) return description.config;
  throw new InputError(
    'checkpoint-invalid',
    `${weights}: holds no config, as weights of goshawk train do: give the config of its model beside it`,
  );
}

/** Pairs that the config gives count more than those that a file remembers. */
function withFlipPairs(categories: readonly Category[], { data }: RunConfig): readonly Category[] {
  const { keypointFlipPairs: pairs } = data;
  if (pairs === undefined) return categories;
  try {
    return categories.map((category) =>
      category.keypoints?.length ? { ...category, flipPairs: flipPairsOf(category.keypoints, pairs) } : category,
    );
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError('config-invalid', `data.keypointFlipPairs: ${error.message}`);
  }
}

/** What proposals are taken for. */
const OBJECT: Category = { id: 1, name: 'object' };

// COCO's ids reach 90 with ten numbers unused; torchvision's published models have a class for each of them.
const COCO_LARGEST_ID = 90;

/** What models of COCO's keypoints find. */
const PERSON: Category = { id: 1, name: 'person', keypoints: cocoPersonKeypoints, skeleton: cocoPersonSkeleton };

function namesFor(
  classes: number,
  keypoints: number | undefined,
  known: readonly Category[] | undefined,
  path: string,
): readonly Category[] {
  if (known?.length === classes) return known;
  if (classes === 1 && keypoints === cocoPersonKeypoints.length) return [PERSON];
  if (classes === COCO_LARGEST_ID) {
    const names = new Map(cocoCategories.map((category) => [category.id, category]));
    return Array.from(
      { length: classes },
      (_, index) => names.get(index + 1) ?? { id: index + 1, name: `unused ${index + 1}` },
    );
  }
  if (classes === cocoCategories.length) return cocoCategories;
  if (known)
    throw new InputError(
      'checkpoint-invalid',
      `${path}: tells ${classes} classes apart, the data has ${known.length} categories: evaluate on the data it was trained for`,
    );
  return Array.from({ length: classes }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));
}
