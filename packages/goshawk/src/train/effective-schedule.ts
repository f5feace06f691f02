// What a config's training comes to for its batch and its data: the learning rate, how many iterations, when it steps.
import type { TrainConfig } from '../config/index.js';
import type { IterationSchedule } from './lr-schedule.js';

export interface EffectiveSchedule {
  /** After the warm-up and before the steps. */
  readonly learningRate: number;
  /** Optimizer steps of the whole training; with `minutes` those that the schedule is written for. */
  readonly iterations: number;
  /** What the training has instead of iterations: the schedule is stretched or shrunk to it. */
  readonly minutes?: number;
  /** Even so no more steps than this; may be infinite. */
  readonly mostIterations: number;
  /** Iterations from one evaluation to the next; 0: at the end only. */
  readonly evaluateEvery: number;
  /** From one checkpoint to the next. */
  readonly checkpointEvery: number;
  readonly schedule: IterationSchedule;
  /** What differs from the config's numbers, or looks unwanted in them, in a sentence; absent where nothing does. */
  readonly explanation?: string;
}

/**
 * Scales by the batch as Detectron.pytorch does (tools/train_net_step.py): the rate in proportion to the images that one
 * gradient is averaged over, iterations and steps inversely to the images of one optimizer step, `int(x * scale + 0.5)`.
 * An epoch has ceil(images / images a step) iterations; what is given in epochs is not scaled.
 * @param imageCount pictures of the training set
 * @param processes that share the batches, or have their own: train.batchSizeOf
 */
export function effectiveSchedule(train: TrainConfig, imageCount: number, processes = 1): EffectiveSchedule {
  const imagesPerPass = batchOfRun(train, processes);
  const imagesPerStep = imagesPerPass * train.accumulate;
  const reference = train.referenceBatchSize;
  // Where gradients are summed, accumulating enlarges the step by itself.
  const averaged = train.gradients === 'mean' ? imagesPerStep : imagesPerPass;
  const lrScale = reference === undefined ? 1 : averaged / reference;
  const countScale = reference === undefined ? 1 : reference / imagesPerStep;
  const scaled = (count: number, isScaled: boolean) => (isScaled ? Math.floor(count * countScale + 0.5) : count);
  const perEpoch = Math.ceil(imageCount / imagesPerStep);

  const { stepUnit, ...schedule } = train.schedule;
  const learningRate = train.optimizer.lr * lrScale;
  const iterations =
    train.epochs === undefined ? Math.max(1, scaled(train.iterations, train.scaleSchedule)) : train.epochs * perEpoch;
  const steps = schedule.steps.map((step) =>
    stepUnit === 'epoch' ? step * perEpoch : scaled(step, train.scaleSchedule),
  );
  const interval = train.intervalUnit === 'epoch' ? perEpoch : 1;
  const warmupIterations = scaled(schedule.warmupIterations, train.scaleWarmup);

  const changes = [
    ...changed('learning rate', [train.optimizer.lr], [learningRate]),
    ...(train.epochs === undefined ? changed('iterations', [train.iterations], [iterations]) : []),
    ...(stepUnit === 'iteration' ? changed('steps', schedule.steps, steps) : []),
    ...changed('warm-up', [schedule.warmupIterations], [warmupIterations]),
  ];
  const inEpochs = [
    ...(train.epochs === undefined
      ? []
      : [`the training is ${train.minutes === undefined ? '' : 'at most '}${iterations}`]),
    ...(stepUnit === 'epoch' && steps.length > 0 ? [`steps come at ${steps.join(', ')}`] : []),
  ];
  const sentences = [
    ...(changes.length > 0
      ? [`for ${imagesPerStep} images a step${madeOf(train, processes)} instead of ${reference}: ${changes.join('; ')}`]
      : []),
    ...(inEpochs.length > 0 ? [`an epoch is ${perEpoch} iterations: ${inEpochs.join(', ')}`] : []),
    ...(train.minutes === undefined && warmupIterations > iterations
      ? [
          `the warm-up of ${warmupIterations} iterations outlasts the training of ${iterations}, so the learning rate stays low: set train.schedule.warmupIterations lower`,
        ]
      : []),
  ];
  return {
    learningRate,
    iterations,
    ...(train.minutes !== undefined && { minutes: train.minutes }),
    mostIterations: train.minutes === undefined || train.epochs !== undefined ? iterations : Number.POSITIVE_INFINITY,
    evaluateEvery: train.evaluateEvery * interval,
    checkpointEvery: train.checkpointEvery * interval,
    schedule: { ...schedule, steps, warmupIterations, length: iterations },
    ...(sentences.length > 0 && { explanation: sentences.join('; ') }),
  };
}

/** Images of one pass, all processes together. */
export function batchOfRun({ batchSize, batchSizeOf }: TrainConfig, processes: number): number {
  return batchSizeOf === 'process' ? batchSize * processes : batchSize;
}

/** How processes come to the images of a step, in words; nothing where there is one. */
function madeOf({ batchSize, batchSizeOf, accumulate }: TrainConfig, processes: number): string {
  if (processes === 1) return '';
  const passes = accumulate === 1 ? '' : `, ${accumulate} passes`;
  return batchSizeOf === 'process'
    ? ` (${processes} processes of ${batchSize}${passes})`
    : ` (shared by ${processes} processes${passes})`;
}

function changed(what: string, from: readonly number[], to: readonly number[]): string[] {
  const isSame = from.every((value, i) => value === to[i]);
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(', ');
  return isSame
    ? []
    : [`${what} ${list(to)} instead of ${list(from)} (x ${Number((to[0]! / from[0]!).toPrecision(4))})`];
}
