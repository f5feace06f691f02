// train.batchSize: auto, as a number: that of the run that goes on, else what fits into the memory there is.
import { GradScaler, manualSeed, type ProcessGroup, setProcessGroup } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader, type DatasetSample, type DetectionDataset } from '../data/index.js';
import { BatchFeed } from '../infer/batch-feed.js';
import { readDescription } from '../infer/detector-file.js';
import { explainEngineError, OutOfMemoryError } from '../infer/engine-errors.js';
import { type MemoryGauge, memoryGauge } from '../infer/free-memory.js';
import { trainingBatches } from '../infer/split-options.js';
import type { Detector } from '../models/index.js';
import { checkpointBytes } from './checkpoint.js';
import { effectiveSchedule } from './effective-schedule.js';
import { fitBatchSize } from './fit-batch-size.js';
import { buildOptimizer } from './optimizer.js';
import { randomSourcesOf } from './random-sources.js';
import { ofRankZero } from './share-progress.js';
import { collectHeap } from './steady-heap.js';
import { TrainingRun } from './training-run.js';
import { WeightAverage } from './weight-average.js';

export interface SettleBatchSizeOptions {
  readonly trainSet: DetectionDataset;
  readonly build: () => Detector;
  /** The checkpoint that the run goes on from. */
  readonly resumed: string | undefined;
  readonly group?: ProcessGroup | undefined;
  /** Default: of the device that the config names. */
  readonly gauge?: MemoryGauge;
}

export interface SettledBatchSize {
  readonly config: RunConfig;
  /** What was chosen and why, in a line; absent where the config has a number. */
  readonly choice?: string;
}

/** Larger batches gain no speed: on the CPU none at all beyond a few pictures. */
const MOST = { cpu: 16, card: 64 } as const;
/** What is taken where memory is not told. */
const UNMEASURED = 2;

/** The config with a number; every process of a group gets the same. The engine's random numbers are drawn from on the way. */
export async function settleBatchSize(config: RunConfig, options: SettleBatchSizeOptions): Promise<SettledBatchSize> {
  if (config.train.batchSize !== 'auto') return { config };
  const { group } = options;
  const isFirst = group === undefined || group.rank === 0;
  const own = isFirst ? await chosenBatchSize(config, options) : { batchSize: 0, why: '' };
  const { batchSize, why } = group ? ofRankZero(group, own) : own;
  return {
    config: { ...config, train: { ...config.train, batchSize } },
    choice: `train.batchSize: auto is ${batchSize}: ${why}`,
  };
}

async function chosenBatchSize(
  config: RunConfig,
  options: SettleBatchSizeOptions,
): Promise<{ readonly batchSize: number; readonly why: string }> {
  const { resumed, group, trainSet } = options;
  const recorded = resumed === undefined ? undefined : readDescription(resumed)?.config.train.batchSize;
  if (typeof recorded === 'number') return { batchSize: recorded, why: 'as the run began with' };
  const { device } = config.runtime;
  const processes = group?.size ?? 1;
  const ofRun = (own: number): number => (config.train.batchSizeOf === 'process' ? own : own * processes);
  const gauge = options.gauge ?? memoryGauge(device);
  if (gauge === undefined)
    return { batchSize: ofRun(UNMEASURED), why: 'the memory that a step takes cannot be told here' };
  const most = device === 'cpu' ? MOST.cpu : MOST.card;
  // The processes of a machine share its memory, and have a card each.
  const share = device === 'cpu' ? processes : 1;
  setProcessGroup(undefined);
  try {
    const fitted = await fitBatchSize({
      used: gauge.used,
      free: gauge.free / share,
      fixed: fixedBytes(config, options),
      most: Math.max(1, Math.min(most, Math.floor(trainSet.samples.length / processes))),
      measure: (batchSize) => mostBytes(gauge, config, options, batchSize),
    });
    const rate =
      config.train.referenceBatchSize === undefined
        ? '; the learning rate stays as given: train.referenceBatchSize scales it'
        : '';
    const each = processes === 1 ? '' : `, ${fitted.batchSize} for each of ${processes} processes`;
    return { batchSize: ofRun(fitted.batchSize), why: `${fitted.why}${each}${rate}` };
  } finally {
    setProcessGroup(group);
  }
}

/** What steps of every size need: the weights and what is kept of each. */
function fixedBytes({ train }: RunConfig, { build }: SettleBatchSizeOptions): number {
  const model = build();
  const tensors = [...model.parameters(), ...model.buffers()];
  const gradients = model.parameters().filter(({ requiresGrad }) => requiresGrad);
  const float = train.precision === 'fp64' ? 8 : 4;
  const bytes = checkpointBytes(model, train) + float * gradients.reduce((sum, { length }) => sum + length, 0);
  for (const tensor of tensors) tensor.dispose();
  return bytes;
}

/** undefined where the device's memory was out. */
async function mostBytes(
  gauge: MemoryGauge,
  config: RunConfig,
  options: SettleBatchSizeOptions,
  batchSize: number,
): Promise<number | undefined> {
  try {
    return await gauge.mostDuring(() => takeSteps(withBatchSize(config, batchSize), options, batchSize));
  } catch (error) {
    const explained = explainEngineError(error, { kind: 'training', precision: config.train.precision, batchSize });
    if (explained instanceof OutOfMemoryError) return undefined;
    throw error;
  } finally {
    collectHeap();
  }
}

/** As the training would have it, with the largest of the sizes that it draws. */
function withBatchSize(config: RunConfig, batchSize: number): RunConfig {
  const { resize } = config.preprocess;
  const largest = resize.trainMinSizes.length === 0 ? [] : [Math.max(...resize.trainMinSizes)];
  return {
    ...config,
    preprocess: { ...config.preprocess, resize: { ...resize, trainMinSizes: largest } },
    train: { ...config.train, batchSize, batchSizeOf: 'run', accumulate: 1 },
  };
}

/** One step makes an optimizer's moments, the next has them. */
const STEPS = 2;

async function takeSteps(config: RunConfig, options: SettleBatchSizeOptions, batchSize: number): Promise<void> {
  const { device } = config.runtime;
  manualSeed(config.train.seed);
  const model = options.build();
  const optimizer = buildOptimizer(model, config.train.optimizer);
  const average = config.train.ema && new WeightAverage(model, options.build(), config.train.ema);
  const trainSet = { ...options.trainSet, samples: largestSamples(options.trainSet.samples, batchSize) };
  const loader = createLoader({ ...trainingBatches(config), dataset: trainSet, batchSize, startAt: undefined });
  const feed = new BatchFeed(loader, { device, targets: true });
  const planned = effectiveSchedule(config.train, trainSet.samples.length);
  try {
    await new TrainingRun({
      options: { config, output: '', save: false },
      model,
      optimizer,
      average,
      scaler: config.train.precision === 'fp16' ? new GradScaler() : undefined,
      categories: trainSet.categories,
      feed,
      random: randomSourcesOf(device),
      pictures: trainSet.samples.length,
      checkpoints: '',
      schedule: { ...planned, iterations: STEPS, mostIterations: STEPS },
      iteration: 0,
      evaluationDue: false,
    }).untilDone();
  } finally {
    await loader.close();
    await feed.close();
    const own = [model, ...(average ? [average.model] : [])].flatMap((one) => [...one.parameters(), ...one.buffers()]);
    for (const tensor of [...own, ...optimizer.stateDict().tensors.values()]) tensor.dispose();
  }
}

/** Wide and tall pictures, which together make the largest canvas, then those with the most objects. */
function largestSamples(samples: readonly DatasetSample[], count: number): DatasetSample[] {
  const aspect = ({ image }: DatasetSample): number => image.width / image.height;
  const by = (of: (sample: DatasetSample) => number): DatasetSample[] => [...samples].sort((a, b) => of(b) - of(a));
  const [wide] = by(aspect);
  const [tall] = by((sample) => 1 / aspect(sample));
  const full = by(({ annotations }) => annotations.length);
  return [...new Set([wide!, tall!, ...full])].slice(0, count);
}
