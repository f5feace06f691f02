// Training from a config: data, model, steps, evaluations, checkpoints. Resuming continues bit for bit.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@goshawk/core';
import {
  GradScaler,
  getThreads,
  manualSeed,
  type ProcessGroup,
  removeTemporaryFiles,
  setProcessGroup,
  shareState,
} from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, requireEvaluable } from '../data/index.js';
import { claimOutput, requireRoom } from '../files/output-folder.js';
import { applyRuntime } from '../infer/apply-runtime.js';
import { BatchFeed } from '../infer/batch-feed.js';
import { loadWeights, readWeights, type WeightsReport } from '../infer/detector-file.js';
import { explainEngineError } from '../infer/engine-errors.js';
import { parameterDtype, requirePrecision } from '../infer/precision.js';
import { describeContents, requireSameRun } from '../infer/same-run.js';
import { trainingBatches } from '../infer/split-options.js';
import { hasTraining, leftOfTraining } from '../infer/training-file.js';
import { findWeights, isWeightsName } from '../infer/weights-cache.js';
import { buildModel, type Detector, detectorKind, turnDraws } from '../models/index.js';
import type { ProgressLine } from '../terminal/progress-line.js';
import { AcrossRanks } from './across-ranks.js';
import {
  checkpointBytes,
  checkpointPath,
  listCheckpoints,
  type Progress,
  readEvaluated,
  restoreCheckpoint,
} from './checkpoint.js';
import { batchOfRun, effectiveSchedule, isEvaluationDue } from './effective-schedule.js';
import { lastCheckpointOf, restoreForeignCheckpoint } from './foreign-checkpoint.js';
import { trainingNotices } from './notices.js';
import { buildOptimizer, type DetectorOptimizer } from './optimizer.js';
import { randomSourcesOf } from './random-sources.js';
import { RunLog } from './run-log.js';
import { RunReport } from './run-report.js';
import { settleBatchSize } from './settle-batch-size.js';
import { ofRankZero, shareOptimizer } from './share-progress.js';
import { releaseHeap } from './steady-heap.js';
import { TimeBudget } from './time-budget.js';
import type { TrainObserver, TrainOptions, TrainResult } from './train-options.js';
import {
  classCount,
  inCategoriesOf,
  openEvaluationSets,
  openSamples,
  openSplit,
  requireCategoriesOf,
} from './training-data.js';
import { TrainingRun } from './training-run.js';
import { Validation } from './validation.js';
import { WeightAverage } from './weight-average.js';

export type {
  BestFigure,
  StepRecord,
  TrainDatasets,
  TrainEnd,
  TrainObserver,
  TrainOptions,
  TrainResult,
  TrainStart,
} from './train-options.js';

// What is written under these names is written late.
const FILES = ['config.yaml', 'metrics.jsonl', 'metrics.json', 'report.html', 'best.safetensors', 'final.safetensors'];

/**
 * Trains a model, or goes on training it, and writes what `goshawk train` writes into `output`.
 * @throws InputError for wrong data, a checkpoint that does not fit, and, without `resume`, an `output` that holds the
 *   checkpoints of another run; for an `output` that cannot be written, or in which another process is training; RunFailure
 *   for what ends a training that has begun, which is saved then; NonFiniteLossError
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { config, output, group } = options;
  requirePrecision(config.train.precision, config.runtime.device);
  // An output that cannot be written, and another training there, are told before the data is read.
  const claim = isWriting(options) ? claimOutput(output, { work: 'goshawk train', files: FILES }) : undefined;
  const isFirst = group === undefined || group.rank === 0;
  const log = isFirst ? new RunLog(isWriting(options) ? output : undefined, options.line ?? SILENT) : undefined;
  setProcessGroup(group);
  try {
    return await trainInto(log ? { ...options, observer: bothOf(log, options.observer) } : options);
  } catch (error) {
    // A model that does not fit, before its first step.
    throw explainEngineError(error, { kind: 'training', ...options.config.train });
  } finally {
    setProcessGroup(undefined);
    log?.close();
    claim?.release();
  }
}

const SILENT: ProgressLine = { update: () => {}, note: () => {}, done: () => {} };

/** What is written down is written first. */
function bothOf(log: RunLog, own: TrainObserver = {}): TrainObserver {
  return {
    onStart(start) {
      log.onStart(start);
      own.onStart?.(start);
    },
    onStep(step, model) {
      log.onStep(step);
      own.onStep?.(step, model);
    },
    onEvaluationProgress(...progress) {
      log.onEvaluationProgress(...progress);
      own.onEvaluationProgress?.(...progress);
    },
    onEvaluation(...evaluation) {
      log.onEvaluation(...evaluation);
      own.onEvaluation?.(...evaluation);
    },
    onWarning(message) {
      log.onWarning(message);
      own.onWarning?.(message);
    },
    onCheckpoint(...checkpoint) {
      log.onCheckpoint(...checkpoint);
      own.onCheckpoint?.(...checkpoint);
    },
    onEnd(end) {
      log.onEnd(end);
      own.onEnd?.(end);
    },
  };
}

/** Whether this process writes what is written. */
function isWriting({ save = true, group }: TrainOptions): boolean {
  return save && (group === undefined || group.rank === 0);
}

async function trainInto(given: TrainOptions): Promise<TrainResult> {
  const started = performance.now();
  const { output, observer, signal, group } = given;
  const save = isWriting(given);
  const processes = group?.size ?? 1;
  requireBatchForEach(given.config, processes);
  const checkpoints = join(output, 'checkpoints');
  const isFirst = group === undefined || group.rank === 0;
  const resumed = isFirst ? newestCheckpoint(checkpoints, given) : undefined;
  const opened = given.datasets ? await openSamples(given.config, given.datasets) : openNamed(given.config);
  const { trainSet } = opened;
  const categories = trainSet.categories;
  if (resumed !== undefined) requireCategoriesOf(resumed, trainSet);
  const valSets = opened.valSets.map(({ name, dataset }) => ({ name, dataset: inCategoriesOf(trainSet, dataset) }));
  const warnings = [...trainSet.warnings, ...valSets.flatMap(({ dataset }) => dataset.warnings)];
  for (const { dataset } of valSets) warnings.push(...(await requireValidatable(given.config, trainSet, dataset)));

  const build = (): Detector =>
    buildModel(given.config.model, {
      classes: classCount(given.config, categories),
      keypoints: trainSet.keypointCount || undefined,
      draws: turnDraws(given.config.train.seed),
    }).to({
      device: given.config.runtime.device,
      memoryFormat: 'channels_last',
      dtype: parameterDtype(given.config.train.precision),
    });
  const settled = await settleBatchSize(given.config, { trainSet, build, resumed, group });
  const { config } = settled;
  const options = { ...given, config };
  const planned = effectiveSchedule(config.train, trainSet.samples.length, processes);
  const schedule =
    options.iterations === undefined
      ? planned
      : { ...planned, iterations: options.iterations, mostIterations: options.iterations };
  if (group) {
    const sets = [
      { name: 'train', dataset: trainSet },
      ...valSets.map((set) => ({ ...set, name: `val, ${set.name}` })),
    ];
    requireSameRun(group, config, {
      iterations: schedule.iterations,
      ...Object.fromEntries(sets.map(({ name, dataset }) => [`data.${name}`, describeContents(dataset)])),
    });
  }
  applyRuntime(config.runtime, { kind: 'training', iterations: schedule.iterations });
  manualSeed(config.train.seed);
  const model = build();
  const optimizer = buildOptimizer(model, config.train.optimizer);
  // The other processes get all of it from rank 0.
  const foreign = isFirst && resumed === undefined ? foreignCheckpoint(options) : undefined;
  const begun = foreign === undefined ? undefined : restoreForeignCheckpoint(foreign, { model, optimizer, schedule });
  const initialised = begun ? [begun.report] : isFirst && resumed === undefined ? startingWeights(options, model) : [];
  const average = config.train.ema && new WeightAverage(model, build(), config.train.ema);
  const random = randomSourcesOf(config.runtime.device);
  const restored =
    resumed === undefined
      ? undefined
      : restoreCheckpoint(resumed, { model, average: average?.model }, optimizer, random);
  // From here on the model is the same in all processes.
  const ranks = group && new AcrossRanks(group, model);
  const own: Beginning = {
    ...(restored && { progress: restored }),
    iteration: restored?.iteration ?? begun?.iteration ?? 0,
  };
  const { progress, iteration } = group ? shareStart(group, { average, optimizer, start: own }) : own;
  const scaler = config.train.precision === 'fp16' ? new GradScaler() : undefined;
  if (progress?.scaler !== undefined) scaler?.loadStateDict(progress.scaler);
  if (save) {
    requireRoom(output, checkpointBytes(model, config.train));
    mkdirSync(checkpoints, { recursive: true });
    // A training that is killed while it writes leaves a file as large as a checkpoint.
    for (const folder of [output, checkpoints]) removeTemporaryFiles(folder);
  }

  const valImages = valSets.reduce((sum, { dataset }) => sum + dataset.samples.length, 0);
  const budget =
    schedule.minutes === undefined
      ? undefined
      : new TimeBudget({
          minutes: schedule.minutes,
          started,
          state: progress?.budget,
          evaluated: valImages,
          evaluateEvery: schedule.evaluateEvery,
          // The last checkpoint, the final weights and the best ones.
          bytes: save ? 2 * checkpointBytes(model, config.train) : 0,
        });
  const isLast = budget
    ? budget.share >= 1 || iteration === schedule.mostIterations
    : iteration === schedule.iterations;
  const ownEvaluated = readEvaluated(checkpoints, iteration);
  const evaluated = group ? (ofRankZero(group, ownEvaluated ?? null) ?? undefined) : ownEvaluated;
  const evaluationDue =
    valSets.length > 0 &&
    evaluated === undefined &&
    iteration > 0 &&
    (isLast || isEvaluationDue(iteration, schedule.evaluateEvery));
  const validation = isFilled(valSets)
    ? new Validation({
        config,
        model: average?.model ?? model,
        categories,
        sets: valSets,
        ...(save && { output, report: new RunReport({ config, trainSet, output }) }),
        observer,
        signal,
        group,
      })
    : undefined;
  const noted = evaluated ?? progress;
  const best =
    noted?.best === undefined
      ? undefined
      : { value: noted.best, iteration: noted.bestIteration, since: noted.sinceBest ?? 0 };
  if (validation) validation.best = best;
  const parameters = model.parameters();
  const sizeOf = (of: typeof parameters): number => of.reduce((sum, parameter) => sum + parameter.length, 0);
  observer?.onStart?.({
    config,
    categories,
    trainImages: trainSet.samples.length,
    valImages,
    parameters: sizeOf(parameters),
    learningParameters: sizeOf(parameters.filter((parameter) => parameter.requiresGrad)),
    threads: getThreads(),
    schedule,
    processes,
    ...(settled.choice && { batchSizeChoice: settled.choice }),
    warnings,
    notices: trainingNotices({
      ...{ config, model, schedule, processes, trainSet, valSets },
      initialised: iteration === 0 ? initialised : undefined,
    }),
    iteration,
    evaluationDue,
    ...(best && { best }),
    initialised,
  });
  const loader = createLoader({
    ...trainingBatches(config),
    dataset: trainSet,
    batchSize: batchOfRun(config.train, processes),
    ...(group && { share: { index: group.rank, count: group.size } }),
    startAt: progress?.loader,
  });
  const feed = new BatchFeed(loader, { ...options.feed, device: config.runtime.device, targets: true });
  try {
    const run = new TrainingRun({
      options,
      model,
      ranks,
      optimizer,
      average,
      scaler,
      categories,
      validation,
      feed,
      random,
      pictures: trainSet.samples.length,
      checkpoints,
      schedule,
      budget,
      iteration,
      evaluationDue,
    });
    return await run.untilDone();
  } finally {
    releaseHeap();
    await loader.close();
    await feed.close();
  }
}

/** @throws InputError where a process would have no picture of a batch */
function requireBatchForEach({ train }: RunConfig, processes: number): void {
  const batchSize = train.batchSize === 'auto' ? processes : batchOfRun(train, processes);
  if (batchSize < processes)
    throw new InputError(
      'config-invalid',
      `train.batchSize: ${batchSize} pictures are too few for ${processes} processes: set it to ${processes} at least, or name fewer --devices`,
    );
}

/** The data sets that the config names. */
function openNamed(config: RunConfig) {
  return {
    trainSet: openSplit(config, 'train', { purpose: 'training' }),
    valSets: config.data.val ? openEvaluationSets(config, 'val') : [],
  };
}

/** Where a training begins: a checkpoint of ours, or the iteration of another program's. */
interface Beginning {
  readonly progress?: Progress;
  readonly iteration: number;
}

/** Gives every process the average, the beginning and, where there is one, the optimizer of rank 0. */
function shareStart(
  group: ProcessGroup,
  own: {
    readonly average: WeightAverage | undefined;
    readonly optimizer: DetectorOptimizer;
    readonly start: Beginning;
  },
): Beginning {
  if (own.average) shareState(group, own.average.model);
  const start = ofRankZero(group, own.start);
  if (start.iteration > 0) shareOptimizer(group, own.optimizer);
  return start;
}

function isFilled<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}

/** What evaluations will need is asked before the first step. @returns warnings */
async function requireValidatable(
  config: RunConfig,
  trainSet: DetectionDataset,
  valSet: DetectionDataset,
): Promise<readonly string[]> {
  const { measuredBy } = detectorKind(config.model);
  const damaged = config.data.onDamaged === 'skip' ? 'return' : 'refuse';
  const issues = await requireEvaluable(
    valSet,
    { measuredBy, keypoints: trainSet.keypointCount || undefined },
    { damaged },
  );
  return issues.map(({ message }) => message);
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

/** What another program left in `output`, or `init` where it is such a file, to go on from where that is asked for. */
function foreignCheckpoint({ output, init, resume }: TrainOptions): string | undefined {
  if (!resume) return undefined;
  return lastCheckpointOf(output) ?? (init !== undefined && hasTraining(init) ? init : undefined);
}

/** @throws InputError where there is neither such a file nor, in the cache, such a published one */
function backboneWeights(weights: string): string {
  if (existsSync(weights) || isWeightsName(weights)) return findWeights(weights, 'model.backbone.weights');
  throw new InputError(
    'file-not-found',
    `model.backbone.weights: ${weights}: no such file: put pretrained weights there, start from others with --init, or from random ones with --set model.backbone.weights=null`,
  );
}

/** Weights that a new training starts from: the backbone's of the config, then those of `init` over them. */
function startingWeights({ config, init }: TrainOptions, model: Detector): readonly WeightsReport[] {
  const { weights } = config.model.backbone;
  // A whole model brings its backbone: a config's pretrained file, which need not be at hand then, adds nothing.
  const isUsed = weights !== undefined && (init === undefined || existsSync(weights));
  const ofBackbone = isUsed ? [backboneWeights(weights)] : [];
  const files = init === undefined ? ofBackbone : [...ofBackbone, init];
  return files.map((path) => ({
    ...loadWeights(model, readWeights(path), path, { partial: true }),
    notes: leftOfTraining(path),
  }));
}
