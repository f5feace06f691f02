// Model files: weights of any supported system into a model, and our own checkpoints, which describe themselves.
import { type Category, InputError } from '@goshawk/core';
import { type LoadReport, openSafetensors, readStateDict, type TensorData } from '@goshawk/torch';
import { type RunConfig, runConfigSchema } from '../config/index.js';
import { torchvisionState } from '../foreign/torchvision-names.js';
import type { Detector } from '../models/index.js';

/** What a checkpoint of ours says about itself in its metadata. */
export interface DetectorDescription {
  readonly config: RunConfig;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
}

/** Names of tensors that are not weights carry a prefix up to this sign. */
export const STATE_SEPARATOR = '/';

const FORMAT = 'goshawk-1';

export function describeDetector({ config, categories }: DetectorDescription): Record<string, string> {
  return { format: FORMAT, config: JSON.stringify(config), categories: JSON.stringify(categories) };
}

/** The description inside a checkpoint of ours, or undefined for any other file. */
export function readDescription(path: string): DetectorDescription | undefined {
  if (!path.endsWith('.safetensors')) return undefined;
  const file = openSafetensors(path);
  try {
    if (file.metadata.get('format') !== FORMAT) return undefined;
    const parsed = runConfigSchema.safeParse(JSON.parse(file.metadata.get('config') ?? 'null'));
    if (!parsed.success)
      throw new InputError(
        'checkpoint-invalid',
        `${path}: the config inside does not fit this version: ${parsed.error.issues[0]?.message ?? ''}`,
      );
    return {
      config: parsed.data as RunConfig,
      categories: JSON.parse(file.metadata.get('categories') ?? '[]') as Category[],
    };
  } finally {
    file.close();
  }
}

/** The weights in any supported file, under this project's (torchvision's) names. */
export function readWeights(path: string): Map<string, TensorData> {
  const { tensors } = readStateDict(path);
  const weights = new Map<string, TensorData>();
  for (const [name, lazy] of tensors) if (!name.includes(STATE_SEPARATOR)) weights.set(name, lazy.materialize());
  return torchvisionState(weights);
}

/** How many classes, the background included, the box predictor of these weights tells apart. */
export function classesOf(weights: ReadonlyMap<string, TensorData>): number | undefined {
  return weights.get('roi_heads.box_predictor.cls_score.weight')?.shape[0];
}

/**
 * Puts weights into a model.
 * @param partial accept a file that fills a part of the model (other classes, a backbone alone)
 * @throws InputError naming the file and the first tensors that do not fit
 */
export function loadWeights(
  model: Detector,
  weights: ReadonlyMap<string, TensorData>,
  path: string,
  { partial = false } = {},
): LoadReport {
  const state = partial ? ofBackboneToo(model, weights) : weights;
  const report = model.loadStateDict(state, { strict: false });
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
      `${path}: ${problems.length} tensors do not fit: ${problems.slice(0, 3).join('; ')}: choose the config it was trained with, or start training from it with --init`,
    );
  }
  return report;
}

/** A file of a bare ResNet (ImageNet weights) names its tensors from the stem on: they belong to backbone.body. */
function ofBackboneToo(model: Detector, weights: ReadonlyMap<string, TensorData>): ReadonlyMap<string, TensorData> {
  if (!weights.has('conv1.weight')) return weights;
  const own = new Set(model.stateDict().keys());
  return new Map(
    [...weights].map(([name, value]) => [own.has(`backbone.body.${name}`) ? `backbone.body.${name}` : name, value]),
  );
}
