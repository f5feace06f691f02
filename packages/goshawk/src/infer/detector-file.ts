// Model files: weights of any supported system into a model, and our own checkpoints, which describe themselves.
import { type Category, InputError } from '@goshawk/core';
import {
  AffineChannel2d,
  GroupNorm,
  type LazyTensor,
  type LoadReport,
  openSafetensors,
  readStateDict,
  type StateDictFile,
  type TensorData,
} from '@goshawk/torch';
import { z } from 'zod';
import { type ModelConfig, type RunConfig, validateConfig } from '../config/index.js';
import { fitState } from '../foreign/fit-state.js';
import { absentFromTorchvision } from '../foreign/torchvision/state-names.js';
import { preferredKeys, recogniseState } from '../foreign/weights.js';
import { type Detector, detectorKind } from '../models/index.js';
import { type BestThresholds, thresholdsSchema } from './best-thresholds.js';

/** What a checkpoint of ours says about itself in its metadata. */
export interface DetectorDescription {
  readonly config: RunConfig;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  /** Where F1 was highest when it was evaluated; absent where it was not. */
  readonly thresholds?: BestThresholds | undefined;
}

/** Names of tensors that are not weights carry a prefix up to this sign. */
export const STATE_SEPARATOR = '/';

/** Before the names of averaged weights, which count more than the newest for all but going on with a training. */
export const AVERAGE_PREFIX = `ema${STATE_SEPARATOR}`;

const FORMAT = 'goshawk-1';

export function describeDetector({ config, categories, thresholds }: DetectorDescription): Record<string, string> {
  return {
    format: FORMAT,
    config: JSON.stringify(config),
    categories: JSON.stringify(categories),
    ...(thresholds && { thresholds: JSON.stringify(thresholds) }),
  };
}

/**
 * The description inside a checkpoint of ours, or undefined for any other file.
 * @throws InputError where it is damaged or of a version whose config differs
 */
export function readDescription(path: string): DetectorDescription | undefined {
  if (!path.endsWith('.safetensors')) return undefined;
  const file = openSafetensors(path);
  try {
    if (file.metadata.get('format') !== FORMAT) return undefined;
    const config = validateConfig(parseMetadata(path, file.metadata, 'config'), `${path}: the config inside`);
    const categories = categoriesSchema.safeParse(parseMetadata(path, file.metadata, 'categories'));
    if (!categories.success) throw damaged(path, 'categories');
    if (!file.metadata.has('thresholds')) return { config, categories: categories.data };
    const thresholds = thresholdsSchema.safeParse(parseMetadata(path, file.metadata, 'thresholds'));
    if (!thresholds.success) throw damaged(path, 'thresholds');
    return { config, categories: categories.data, thresholds: thresholds.data };
  } finally {
    file.close();
  }
}

const categoriesSchema = z.array(
  z.looseObject({
    id: z.int(),
    name: z.string(),
    supercategory: z.string().optional(),
    keypoints: z.array(z.string()).optional(),
    skeleton: z.array(z.tuple([z.number(), z.number()])).optional(),
    flipPairs: z.array(z.tuple([z.int().min(0), z.int().min(0)])).optional(),
  }),
);

function parseMetadata(path: string, metadata: ReadonlyMap<string, string>, key: string): unknown {
  try {
    return JSON.parse(metadata.get(key) ?? '');
  } catch {
    throw damaged(path, key);
  }
}

function damaged(path: string, key: string): InputError {
  return new InputError(
    'checkpoint-invalid',
    `${path}: its metadata '${key}' cannot be read: write the checkpoint anew, or take another`,
  );
}

/** The weights in any supported file, under the file's names; where it has averaged ones too, these. */
export function readWeights(path: string): Map<string, TensorData> {
  return withWeightsOf(path, (weights) => new Map([...weights].map(([name, lazy]) => [name, lazy.materialize()])));
}

/** Gives `use` the weights that readWeights() would read, which lie in the file while it runs. */
export function withWeightsOf<T>(path: string, use: (weights: ReadonlyMap<string, LazyTensor>) => T): T {
  const file = openBestState(path);
  try {
    const names = [...file.tensors.keys()];
    const prefix = names.some((name) => name.startsWith(AVERAGE_PREFIX)) ? AVERAGE_PREFIX : '';
    const weights = new Map<string, LazyTensor>();
    for (const [name, lazy] of file.tensors) {
      const own = name.slice(prefix.length);
      if (name.startsWith(prefix) && !own.includes(STATE_SEPARATOR)) weights.set(own, lazy);
    }
    return use(weights);
  } finally {
    file.close();
  }
}

/** Some systems' files hold averaged weights under a key of their own. */
function openBestState(path: string): StateDictFile {
  const file = readStateDict(path);
  const prefer = preferredKeys(file.tensors.keys());
  if (prefer.length === 0) return file;
  file.close();
  return readStateDict(path, { prefer });
}

/** @throws InputError where the weights are those of a torchvision model that has no counterpart here, naming the part */
export function requireKnownModel(weights: ReadonlyMap<string, unknown>, path: string): void {
  const absent = absentFromTorchvision(weights.keys());
  if (absent !== undefined)
    throw new InputError(
      'checkpoint-invalid',
      `${path}: needs torchvision's ${absent}, which is not supported yet: take a Faster, Mask or Keypoint R-CNN or a RetinaNet on a ResNet or MobileNet`,
    );
}

/** What the weights of a model say about what it tells apart: classes, the background included, and an object's keypoints. */
export function outputsIn(
  weights: ReadonlyMap<string, TensorData | LazyTensor>,
  model: ModelConfig,
): { readonly classes: number | undefined; readonly keypoints: number | undefined } {
  const kind = detectorKind(model);
  const { state } = recogniseState(weights);
  return { classes: kind.classesIn(state), keypoints: kind.keypointsIn(state) };
}

/** What became of the tensors of a file, and of those of the model. */
export interface WeightsReport extends LoadReport {
  readonly path: string;
  /** The system whose names the file has. */
  readonly dialect: string;
  /** Names in the file of what belongs to no model: momentum, an ImageNet classifier. */
  readonly orphans: readonly string[];
  /** What else is to be said about the file, a line each. */
  readonly notes?: readonly string[];
}

/**
 * Puts weights into a model.
 * @param weights under our names or those of any supported system
 * @param options.partial accept a file that fills a part of the model (other classes, a backbone alone)
 * @param options.adopt take the file's own memory, which must stay as it is while the model lives
 * @throws InputError naming the file and the first tensors that do not fit
 */
export function loadWeights(
  model: Detector,
  weights: ReadonlyMap<string, TensorData | LazyTensor>,
  path: string,
  { partial = false, adopt = false } = {},
): WeightsReport {
  requireKnownModel(weights, path);
  const { dialect, state, orphans, norm } = recogniseState(weights);
  const expected = new Set(model.stateDict().keys());
  const fitting = fitState(state, { expected, modelNorm: backboneNorm(model), stateNorm: norm, path });
  const report = model.loadStateDict(fitting, { strict: false, adopt });
  const problems = [
    ...report.mismatched.map(
      ({ name, expected, got }) => `${name} is [${got.join(', ')}], the model's [${expected.join(', ')}]`,
    ),
    ...report.missing.map((name) => `${name} is missing`),
    ...report.unexpected.map((name) => `${name} is not in the model`),
  ];
  if (report.loaded.length === 0) {
    throw new InputError(
      'checkpoint-invalid',
      `${path}: none of its ${weights.size} tensors fits the model (${problems[0] ?? 'it is empty'}): choose the config that it was trained with`,
    );
  }
  if (!partial && problems.length > 0) {
    throw new InputError(
      'checkpoint-invalid',
      `${path}: ${problems.length} of its and the model's tensors do not fit: ${problems.slice(0, 3).join('; ')}${problems.length > 3 ? '; ...' : ''}: choose the config it was trained with, or start training from it with --init`,
    );
  }
  return { ...report, path, dialect, orphans };
}

/** The norm of the stem: of a ResNet and of a MobileNet. */
const STEM_NORMS: readonly string[] = ['backbone.body.bn1', 'backbone.body.0.1'];

/** How the backbone of the model is normalised: as its stem. */
function backboneNorm(model: Detector): 'affine' | 'group' | 'batch' | undefined {
  for (const [name, module] of model.namedModules()) {
    if (!STEM_NORMS.includes(name)) continue;
    if (module instanceof AffineChannel2d) return 'affine';
    return module instanceof GroupNorm ? 'group' : 'batch';
  }
  return undefined;
}
