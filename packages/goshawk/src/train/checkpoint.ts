// Training checkpoints: weights, optimizer, random numbers, place in the data and in the schedule, in one safetensors file.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@goshawk/core';
import {
  type GradScalerState,
  type LazyTensor,
  openSafetensors,
  type SafetensorsEntry,
  type SafetensorsFile,
  scope,
  type Tensor,
  tensor,
  writeSafetensors,
} from '@goshawk/torch';
import type { TrainConfig } from '../config/index.js';
import type { SamplerState } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import {
  AVERAGE_PREFIX,
  type DetectorDescription,
  describeDetector,
  loadWeights,
  STATE_SEPARATOR,
} from '../infer/detector-file.js';
import type { Detector } from '../models/index.js';
import type { DetectorOptimizer } from './optimizer.js';
import { type RandomSource, randomSourcesOf } from './random-sources.js';
import type { BudgetState } from './time-budget.js';

/** Where a training stands, beside the tensors. */
export interface Progress {
  /** Optimizer steps done. */
  readonly iteration: number;
  /** The batch that comes next. */
  readonly loader: SamplerState;
  /** Best value so far of the figure that chooses best.safetensors; that of {@link Evaluated} where the checkpoint has one. */
  readonly best?: number;
  /** Steps done at that evaluation, and evaluations since; absent in checkpoints from before they were counted. */
  readonly bestIteration?: number;
  readonly sinceBest?: number;
  /** How far the loss is scaled, where train.precision is fp16. */
  readonly scaler?: GradScalerState;
  /** Where train.minutes is set. */
  readonly budget?: BudgetState;
}

/** What came of the evaluation that a checkpoint was written before: it is not made again on resuming. */
export interface Evaluated extends Pick<Progress, 'bestIteration' | 'sinceBest'> {
  /** As in {@link Progress}, the evaluation included. */
  readonly best: number;
}

const OPTIMIZER = `optimizer${STATE_SEPARATOR}`;
const RANDOM = `random${STATE_SEPARATOR}`;
const FILE_NAME = /^iteration-(\d{8})\.safetensors$/;

export function checkpointPath(folder: string, iteration: number): string {
  return join(folder, `iteration-${String(iteration).padStart(8, '0')}.safetensors`);
}

function evaluatedPath(folder: string, iteration: number): string {
  return checkpointPath(folder, iteration).replace(/safetensors$/, 'evaluated.json');
}

/** Notes beside a checkpoint that its evaluation is done. */
export function writeEvaluated(folder: string, iteration: number, evaluated: Evaluated): void {
  writeFileAtomic(evaluatedPath(folder, iteration), `${JSON.stringify(evaluated)}\n`);
}

/** undefined where the evaluation after a checkpoint was never finished. */
export function readEvaluated(folder: string, iteration: number): Evaluated | undefined {
  try {
    const evaluated = JSON.parse(readFileSync(evaluatedPath(folder, iteration), 'utf8')) as Partial<Evaluated>;
    return typeof evaluated.best === 'number' ? { ...evaluated, best: evaluated.best } : undefined;
  } catch {
    return undefined;
  }
}

/** Iterations with a checkpoint in `folder`, oldest first. Files appear whole or not at all, so each of them can be read. */
export function listCheckpoints(folder: string): number[] {
  if (!existsSync(folder)) return [];
  const iterations = readdirSync(folder).flatMap((name) => {
    const match = FILE_NAME.exec(name);
    return match ? [Number(match[1])] : [];
  });
  return iterations.sort((a, b) => a - b);
}

/**
 * About how large a checkpoint is: the weights, once more where their average is kept, and one copy of those that learn for SGD's
 * velocity, two for Adam's moments.
 */
export function checkpointBytes(
  model: Detector,
  { optimizer: { type }, ema, precision }: Pick<TrainConfig, 'optimizer' | 'ema' | 'precision'>,
): number {
  const float = precision === 'fp64' ? 8 : 4;
  const sizes = (tensors: readonly { readonly length: number }[]) =>
    tensors.reduce((sum, { length }) => sum + length, 0);
  const learning = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  const copies = ema === undefined ? 1 : 2;
  return float * (copies * sizes([...model.stateDict().values()]) + sizes(learning) * (type === 'sgd' ? 1 : 2));
}

/** What is trained, and the average of its weights where one is kept. */
export interface TrainedModel {
  readonly model: Detector;
  readonly average?: Detector | undefined;
}

/** Writes everything that resuming needs; the file appears whole or not at all. */
export function writeCheckpoint(
  folder: string,
  { model, average }: TrainedModel,
  optimizer: DetectorOptimizer,
  progress: Progress,
  description: DetectorDescription,
  random: readonly RandomSource[] = randomSourcesOf('cpu'),
): string {
  const path = checkpointPath(folder, progress.iteration);
  const { tensors, scalars } = optimizer.stateDict();
  scope(() => {
    const entries = [
      ...weightEntries(model),
      ...(average ? weightEntries(average, AVERAGE_PREFIX) : []),
      ...Array.from(tensors, ([name, value]) => entryOf(OPTIMIZER + name, value)),
      ...random.map((source) => entryOf(RANDOM + source.name, source.state())),
    ];
    writeSafetensors(path, entries, {
      ...describeDetector(description),
      progress: JSON.stringify(progress),
      optimizer: JSON.stringify(scalars),
    });
  });
  return path;
}

/** Writes the weights alone, for prediction. */
export function writeWeights(path: string, model: Detector, description: DetectorDescription): void {
  writeSafetensors(path, weightEntries(model), describeDetector(description));
}

/**
 * Puts a checkpoint back into the model, the optimizer and the engine's random numbers. A card's generator stays as it is where
 * the checkpoint has none: it is older than those that do, or was written without a card.
 * @throws InputError naming the file where it has no training state, or that of another model or optimizer
 */
export function restoreCheckpoint(
  path: string,
  { model, average }: TrainedModel,
  optimizer: DetectorOptimizer,
  random: readonly RandomSource[] = randomSourcesOf('cpu'),
): Progress {
  const file = openSafetensors(path);
  try {
    const progress = file.metadata.get('progress');
    if (!progress)
      throw new InputError(
        'checkpoint-invalid',
        `${path}: has weights but no training state: start from it with --init`,
      );
    const names = file.names.filter((name) => !name.includes(STATE_SEPARATOR));
    loadWeights(model, new Map(names.map((name) => [name, lazyTensor(file, name)])), path);
    if (average) restoreAverage(file, path, average);
    restoreOptimizer(file, path, optimizer);
    for (const source of random) restoreRandom(file, source);
    return JSON.parse(progress) as Progress;
  } finally {
    file.close();
  }
}

function restoreAverage(file: SafetensorsFile, path: string, average: Detector): void {
  const names = file.names.filter((name) => name.startsWith(AVERAGE_PREFIX));
  if (names.length === 0)
    throw new InputError(
      'checkpoint-invalid',
      `${path}: has no average of the weights: continue without train.ema, as it was trained, or start from it with --init`,
    );
  loadWeights(average, new Map(names.map((name) => [name.slice(AVERAGE_PREFIX.length), lazyTensor(file, name)])), path);
}

function restoreRandom(file: SafetensorsFile, source: RandomSource): void {
  const name = RANDOM + source.name;
  if (!source.isAlwaysSaved && !file.names.includes(name)) return;
  scope(() => {
    const { data, shape, dtype } = file.read(name);
    source.setState(tensor(data, { shape, dtype }));
  });
}

function restoreOptimizer(file: SafetensorsFile, path: string, optimizer: DetectorOptimizer): void {
  const names = file.names.filter((name) => name.startsWith(OPTIMIZER));
  const tensors = new Map(names.map((name) => [name.slice(OPTIMIZER.length), lazyTensor(file, name)]));
  const scalars = JSON.parse(file.metadata.get('optimizer') ?? '{}') as Record<string, number>;
  try {
    optimizer.loadStateDict({ tensors, scalars });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError('checkpoint-invalid', `${path}: ${reason}: resume with the config that it was written under`, {
      cause: error,
    });
  }
}

/** Deletes the oldest checkpoints beyond the newest `count`. */
export function pruneCheckpoints(folder: string, count: number): void {
  for (const iteration of listCheckpoints(folder).slice(0, -count)) {
    rmSync(evaluatedPath(folder, iteration), { force: true });
    rmSync(checkpointPath(folder, iteration), { force: true });
  }
}

function weightEntries(model: Detector, prefix = ''): SafetensorsEntry[] {
  return Array.from(model.stateDict(), ([name, value]) => entryOf(prefix + name, value));
}

function entryOf(name: string, value: Tensor): SafetensorsEntry {
  // The state is a moment's: an entry is read when its turn comes, before the next step changes it.
  return { name, dtype: value.dtype, shape: value.shape, data: () => value.toBytes() };
}

function lazyTensor(file: SafetensorsFile, name: string): LazyTensor {
  const { dtype, shape } = file.info(name);
  return { dtype, shape, materialize: () => file.read(name) };
}
