// Training from a config: data, model, steps, evaluations, checkpoints. Resuming continues bit for bit.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Category, type CocoEvaluation, InputError, type IouType } from '@goshawk/core';
import {
  clipGradNorm,
  getThreads,
  keepFreedMemory,
  manualSeed,
  removeTemporaryFiles,
  scope,
  setThreads,
} from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, type Loader } from '../data/index.js';
import { loadWeights, readWeights, type WeightsReport } from '../infer/detector-file.js';
import { evaluateDetector } from '../infer/evaluate-detector.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { buildModel, CONVENTIONS, type Detector, detectorKind } from '../models/index.js';
import {
  checkpointPath,
  listCheckpoints,
  pruneCheckpoints,
  restoreCheckpoint,
  writeCheckpoint,
  writeWeights,
} from './checkpoint.js';
import { type EffectiveSchedule, effectiveSchedule } from './effective-schedule.js';
import { learningRateFactor } from './lr-schedule.js';
import { buildOptimizer, correctMomentum, type DetectorOptimizer } from './optimizer.js';
import { releaseHeap, steadyHeap } from './steady-heap.js';
import { classCount, openSplit, requireCategoriesOf, requireSameCategories } from './training-data.js';
import { trainingStep } from './training-step.js';

export interface TrainOptions {
  readonly config: RunConfig;
  /** Folder of this run: checkpoints/, best.safetensors, final.safetensors. */
  readonly output: string;
  /** Weights to start from. */
  readonly init?: string;
  /** Continue from the newest checkpoint in `output`; from the beginning where there is none. Default false. */
  readonly resume?: boolean;
  /** Steps of the whole training, instead of what the config comes to; the learning rate keeps the config's schedule. */
  readonly iterations?: number;
  /** false: nothing is written, neither checkpoints nor weights: to try something out. Default true. */
  readonly save?: boolean;
  /** Ends the training after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly observer?: TrainObserver;
}

/** Is told what happens, in order. */
export interface TrainObserver {
  onStart?(start: TrainStart): void;
  onStep?(step: StepRecord): void;
  onEvaluationProgress?(done: number, total: number): void;
  onEvaluation?(iteration: number, evaluations: ReadonlyMap<IouType, CocoEvaluation>, seconds: number): void;
  onCheckpoint?(path: string, iteration: number): void;
}

export interface TrainStart {
  readonly config: RunConfig;
  readonly categories: readonly Category[];
  readonly trainImages: number;
  readonly valImages: number;
  readonly parameters: number;
  readonly learningParameters: number;
  readonly threads: number;
  readonly schedule: EffectiveSchedule;
  /** One line each: what was left out of the annotations, and what looks wrong in them. */
  readonly warnings: readonly string[];
  /** Steps done before, when resuming. */
  readonly iteration: number;
  /** Of each file that the weights come from, in the order in which they were loaded. */
  readonly initialised: readonly WeightsReport[];
}

export interface StepRecord {
  /** Optimizer steps done, this one included. */
  readonly iteration: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly totalLoss: number;
  readonly learningRate: number;
  readonly images: number;
  readonly seconds: number;
  /** The part of `seconds` spent waiting for the next batch. */
  readonly dataSeconds: number;
  readonly gradientNorm?: number;
}

export interface TrainResult {
  readonly model: Detector;
  readonly categories: readonly Category[];
  readonly iteration: number;
  /** The weights alone; absent when the training was ended early, and without `save`. */
  readonly weights?: string;
  readonly evaluations?: ReadonlyMap<IouType, CocoEvaluation>;
}

// Freed memory kept for the next step; more than any step here frees at once.
const KEPT_MEMORY_BYTES = 2 ** 31 - 1;

/**
 * Trains a model, or goes on training it.
 * @throws InputError for wrong data, a checkpoint that does not fit, and, without `resume`, an `output` that holds the
 *   checkpoints of another run; NonFiniteLossError
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, output, observer, signal, save = true } = options;
  if (config.runtime.threads > 0) setThreads(config.runtime.threads);
  keepFreedMemory(KEPT_MEMORY_BYTES);
  const trainSet = openSplit(config, 'train', { purpose: 'training' });
  const valSet = config.data.val ? openSplit(config, 'val', { purpose: 'evaluation' }) : undefined;
  if (valSet) requireSameCategories(trainSet, valSet);
  const categories = trainSet.categories;
  const checkpoints = join(output, 'checkpoints');
  const resumed = newestCheckpoint(checkpoints, options);

  manualSeed(config.train.seed);
  const model = buildModel(config.model, {
    classes: classCount(config, categories),
    keypoints: trainSet.keypointCount || undefined,
  }).to({
    device: config.runtime.device,
    memoryFormat: 'channels_last',
  });
  const initialised = resumed === undefined ? startingWeights(options, model) : [];
  const optimizer = buildOptimizer(model, config.train.optimizer);
  if (save) {
    mkdirSync(checkpoints, { recursive: true });
    // A training that is killed while it writes leaves a file as large as a checkpoint.
    for (const folder of [output, checkpoints]) removeTemporaryFiles(folder);
  }
  if (resumed !== undefined) requireCategoriesOf(resumed, trainSet);
  const progress = resumed === undefined ? undefined : restoreCheckpoint(resumed, model, optimizer);

  const planned = effectiveSchedule(config.train, trainSet.samples.length);
  const schedule = { ...planned, iterations: options.iterations ?? planned.iterations };
  const run = new Run(options, { model, optimizer, categories, valSet, checkpoints, schedule });
  run.iteration = progress?.iteration ?? 0;
  run.best = progress?.best;
  const parameters = model.parameters();
  const sizeOf = (of: typeof parameters): number => of.reduce((sum, parameter) => sum + parameter.length, 0);
  observer?.onStart?.({
    config,
    categories,
    trainImages: trainSet.samples.length,
    valImages: valSet?.samples.length ?? 0,
    parameters: sizeOf(parameters),
    learningParameters: sizeOf(parameters.filter((parameter) => parameter.requiresGrad)),
    threads: getThreads(),
    schedule,
    warnings: [...trainSet.warnings, ...(valSet?.warnings ?? [])],
    iteration: run.iteration,
    initialised,
  });
  const loader = createLoader({
    dataset: trainSet,
    batchSize: config.train.batchSize,
    shuffle: true,
    seed: config.train.seed,
    workers: config.data.workers,
    preprocess: config.preprocess,
    augment: {
      flip: config.data.flip,
      minSizes: config.preprocess.resize.trainMinSizes,
      maxSize: config.preprocess.resize.trainMaxSize,
      aspectCropping: config.data.aspectCropping,
      jitter: config.data.jitter,
    },
    aspectGrouping: config.data.aspectGrouping,
    legacyPlusOne: CONVENTIONS[config.model.conventions].boxes === 'inclusive',
    startAt: progress?.loader,
  });
  try {
    return await run.untilDone(loader, signal);
  } finally {
    releaseHeap();
    await loader.close();
  }
}

/** The checkpoint to continue from. @throws InputError where there are some and `resume` is not set */
function newestCheckpoint(folder: string, { output, resume, save = true }: TrainOptions): string | undefined {
  const newest = listCheckpoints(folder).at(-1);
  if (newest === undefined) return undefined;
  if (resume) return checkpointPath(folder, newest);
  if (!save) return undefined;
  throw new InputError(
    'usage',
    `${output}: has checkpoints of an earlier training: continue it with --resume, or choose another --output`,
  );
}

/** Weights that a new training starts from: the backbone's of the config, then those of `init` over them. */
function startingWeights({ config, init }: TrainOptions, model: Detector): readonly WeightsReport[] {
  const { weights } = config.model.backbone;
  // A whole model brings its backbone: a config's pretrained file, which need not be at hand then, adds nothing.
  const ofBackbone = weights !== undefined && (init === undefined || existsSync(weights)) ? [weights] : [];
  if (ofBackbone[0] !== undefined && !existsSync(ofBackbone[0])) {
    throw new InputError(
      'file-not-found',
      `model.backbone.weights: ${weights}: no such file: put pretrained weights there, start from others with --init, or from random ones with --set model.backbone.weights=null`,
    );
  }
  const files = init === undefined ? ofBackbone : [...ofBackbone, init];
  return files.map((path) => loadWeights(model, readWeights(path), path, { partial: true }));
}

interface RunParts {
  readonly model: Detector;
  readonly optimizer: DetectorOptimizer;
  readonly categories: readonly Category[];
  readonly valSet: DetectionDataset | undefined;
  /** Their folder. */
  readonly checkpoints: string;
  readonly schedule: EffectiveSchedule;
}

/** One training in progress. */
class Run {
  iteration = 0;
  best: number | undefined;
  readonly #options: TrainOptions;
  readonly #model: Detector;
  readonly #optimizer: DetectorOptimizer;
  readonly #categories: readonly Category[];
  readonly #valSet: DetectionDataset | undefined;
  readonly #checkpoints: string;
  readonly #schedule: EffectiveSchedule;

  constructor(options: TrainOptions, parts: RunParts) {
    this.#options = options;
    this.#model = parts.model;
    this.#optimizer = parts.optimizer;
    this.#categories = parts.categories;
    this.#valSet = parts.valSet;
    this.#checkpoints = parts.checkpoints;
    this.#schedule = parts.schedule;
  }

  async untilDone(loader: Loader, signal: AbortSignal | undefined): Promise<TrainResult> {
    const { config, observer, output, save = true } = this.#options;
    const { iterations } = this.#schedule;
    const { checkpointEvery, evaluateEvery, keepCheckpoints } = config.train;
    this.#model.train();
    let evaluations: ReadonlyMap<IouType, CocoEvaluation> | undefined;
    while (this.iteration < iterations && !signal?.aborted) {
      observer?.onStep?.(await this.#step(loader));
      // While workers keep ahead, their messages can follow one another without end: signals and timers need a turn.
      await setImmediate();
      const last = this.iteration === iterations;
      evaluations = undefined;
      if (this.#valSet && (last || (evaluateEvery > 0 && this.iteration % evaluateEvery === 0)))
        evaluations = await this.#evaluate();
      if (save && (last || signal?.aborted || this.iteration % checkpointEvery === 0)) {
        const progress = { iteration: this.iteration, loader: loader.state(), best: this.best };
        const path = writeCheckpoint(this.#checkpoints, this.#model, this.#optimizer, progress, this.#description());
        pruneCheckpoints(this.#checkpoints, keepCheckpoints);
        observer?.onCheckpoint?.(path, this.iteration);
      }
    }
    const done = { model: this.#model, categories: this.#categories, iteration: this.iteration };
    if (this.iteration < iterations) return done;
    if (!save) return { ...done, evaluations };
    const weights = join(output, 'final.safetensors');
    writeWeights(weights, this.#model, this.#description());
    return { ...done, weights, evaluations };
  }

  async #step(loader: Loader): Promise<StepRecord> {
    const { train, runtime } = this.#options.config;
    const started = performance.now();
    steadyHeap(this.iteration);
    const learningRate = this.#learningRateAt(this.iteration);
    this.#optimizer.setLearningRate(learningRate);
    if (train.momentumCorrection && this.iteration > 0)
      correctMomentum(this.#optimizer, { from: this.#learningRateAt(this.iteration - 1), to: learningRate });
    const sums: Record<string, number> = {};
    let images = 0;
    let dataSeconds = 0;
    for (let pass = 0; pass < train.accumulate; pass++) {
      const asked = performance.now();
      const next = await loader.next();
      dataSeconds += (performance.now() - asked) / 1000;
      if (next.done) throw new Error('internal: the training loader came to an end');
      const losses = trainingStep(this.#model, next.value, {
        precision: train.precision,
        device: runtime.device,
        divisor: train.gradients === 'mean' ? train.accumulate : 1,
      });
      for (const [name, value] of Object.entries(losses)) sums[name] = (sums[name] ?? 0) + value / train.accumulate;
      images += next.value.images.length;
      next.value.release();
    }
    const gradientNorm =
      train.clipGradNorm === undefined
        ? undefined
        : scope(() => clipGradNorm(this.#model.parameters(), train.clipGradNorm!));
    this.#optimizer.step();
    this.#optimizer.zeroGrad();
    this.iteration++;
    return {
      iteration: this.iteration,
      losses: sums,
      totalLoss: Object.values(sums).reduce((sum, value) => sum + value, 0),
      learningRate,
      images,
      seconds: (performance.now() - started) / 1000,
      dataSeconds,
      gradientNorm,
    };
  }

  #learningRateAt(iteration: number): number {
    return this.#schedule.learningRate * learningRateFactor(iteration, this.#schedule.schedule);
  }

  async #evaluate(): Promise<ReadonlyMap<IouType, CocoEvaluation>> {
    const { config, observer, output, save = true } = this.#options;
    const kind = detectorKind(config.model);
    const predictor = new Predictor({
      model: this.#model,
      categories: this.#categories,
      ...predictorOptions(config),
    });
    const { evaluations, seconds } = await evaluateDetector(predictor, {
      dataset: this.#valSet!,
      preprocess: config.preprocess,
      batchSize: 1,
      workers: config.data.workers,
      types: kind.measuredBy,
      classAgnostic: kind.gives === 'proposals',
      onProgress: (done, total) => observer?.onEvaluationProgress?.(done, total),
    });
    this.#model.train();
    observer?.onEvaluation?.(this.iteration, evaluations, seconds);
    const figure = evaluations.get('bbox')?.stats.AP ?? -1;
    if (this.best === undefined || figure > this.best) {
      this.best = figure;
      if (save) writeWeights(join(output, 'best.safetensors'), this.#model, this.#description());
    }
    return evaluations;
  }

  #description() {
    return { config: this.#options.config, categories: this.#categories };
  }
}
