// What a config's training comes to for its batch and its data: the learning rate, how many iterations, when it steps.
import { InputError } from '@goshawk/core';
import { type Epochs, epochsIn } from '../config/bounds.js';
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
  /** From one line of metrics.jsonl to the next. */
  readonly logEvery: number;
  readonly schedule: IterationSchedule;
  /** What differs from the config's numbers, or looks unwanted in them, in a sentence; absent where nothing does. */
  readonly explanation?: string;
}

/**
 * Scales by the batch as Detectron.pytorch does (tools/train_net_step.py): the rate in proportion to the images that one
 * gradient is averaged over, iterations and steps inversely to the images of one optimizer step, `int(x * scale + 0.5)`.
 * An epoch has ceil(images / images a step) iterations; what is given in epochs is not scaled, and rounded to whole iterations.
 * @param imageCount pictures of the training set
 * @param processes that share the batches, or have their own: train.batchSizeOf
 * @throws InputError where steps in iterations and in epochs do not rise together
 */
export function effectiveSchedule(train: TrainConfig, imageCount: number, processes = 1): EffectiveSchedule {
  const imagesPerPass = batchOfRun(train, processes);
  const imagesPerStep = imagesPerPass * train.accumulate;
  const reference = train.referenceBatchSize;
  // Where gradients are summed, accumulating enlarges the step by itself.
  const averaged = train.gradients === 'mean' ? imagesPerStep : imagesPerPass;
  const lrScale = reference === undefined ? 1 : averaged / reference;
  const countScale = reference === undefined ? 1 : reference / imagesPerStep;
  const perEpoch = Math.ceil(imageCount / imagesPerStep);
  const inIterations = (epochs: number): number => Math.round(epochs * perEpoch);
  /** What is given in epochs is not scaled. */
  const scaled = (length: number | Epochs, isScaled: boolean): number => {
    const epochs = epochsIn(length);
    if (epochs !== undefined) return inIterations(epochs);
    return isScaled ? Math.floor(Number(length) * countScale + 0.5) : Number(length);
  };
  const every = (length: number | Epochs, unit: 'iteration' | 'epoch'): number => {
    const epochs = epochsIn(length) ?? (unit === 'epoch' ? Number(length) : undefined);
    return epochs === undefined ? Number(length) : epochs === 0 ? 0 : Math.max(1, inIterations(epochs));
  };

  const { stepUnit, ...schedule } = train.schedule;
  const learningRate = train.optimizer.lr * lrScale;
  const epochs = train.epochs ?? epochsIn(train.iterations);
  const iterations = Math.max(
    1,
    epochs === undefined ? scaled(train.iterations, train.scaleSchedule) : inIterations(epochs),
  );
  const isStepInEpochs = (step: number | Epochs): boolean => typeof step !== 'number' || stepUnit === 'epoch';
  const steps = schedule.steps.map((step) =>
    isStepInEpochs(step) ? every(step, 'epoch') : scaled(step, train.scaleSchedule),
  );
  const isMixed = new Set(schedule.steps.map(isStepInEpochs)).size > 1;
  if (isMixed && steps.some((step, place) => place > 0 && step <= steps[place - 1]!))
    throw new InputError(
      'config-invalid',
      `train.schedule.steps: come to iterations ${steps.join(', ')} (an epoch is ${perEpoch}), which must rise: sort the steps`,
    );
  const warmupIterations = scaled(schedule.warmupIterations, train.scaleWarmup);

  const changes = [
    ...changed('learning rate', [train.optimizer.lr], [learningRate]),
    ...(epochs === undefined ? changed('iterations', [train.iterations], [iterations]) : []),
    ...(schedule.steps.some(isStepInEpochs) ? [] : changed('steps', schedule.steps, steps)),
    ...changed('warm-up', [schedule.warmupIterations], [warmupIterations]),
  ];
  const inEpochs = [
    ...(epochs === undefined ? [] : [`the training is ${train.minutes === undefined ? '' : 'at most '}${iterations}`]),
    ...(schedule.steps.some(isStepInEpochs) ? [`steps come at ${steps.join(', ')}`] : []),
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
    mostIterations: train.minutes === undefined || epochs !== undefined ? iterations : Number.POSITIVE_INFINITY,
    evaluateEvery: every(train.evaluateEvery, train.intervalUnit),
    checkpointEvery: every(train.checkpointEvery, train.intervalUnit),
    logEvery: every(train.logEvery, 'iteration'),
    schedule: { ...schedule, steps, warmupIterations, length: iterations },
    ...(sentences.length > 0 && { explanation: sentences.join('; ') }),
  };
}

/** Images of one pass, all processes together, once settleBatchSize has made a number of `auto`. */
export function batchOfRun(
  { batchSize, batchSizeOf }: Pick<TrainConfig, 'batchSize' | 'batchSizeOf'>,
  processes: number,
): number {
  if (batchSize === 'auto') throw new Error('internal: train.batchSize is still auto');
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

/** Nothing where a length is in epochs. */
function changed(what: string, given: readonly (number | Epochs)[], to: readonly number[]): string[] {
  const from = given.filter((length) => typeof length === 'number');
  if (from.length < given.length) return [];
  const isSame = from.every((value, i) => value === to[i]);
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(6))).join(', ');
  return isSame
    ? []
    : [`${what} ${list(to)} instead of ${list(from)} (x ${Number((to[0]! / from[0]!).toPrecision(4))})`];
}

/** Whether an evaluation that is not the last is to be made. */
export function isEvaluationDue(iteration: number, evaluateEvery: number): boolean {
  return iteration > 0 && evaluateEvery > 0 && iteration % evaluateEvery === 0;
}
