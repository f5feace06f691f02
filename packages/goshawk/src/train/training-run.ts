// A training in progress: steps, checkpoints, evaluations. What is done is saved before anything else can go wrong with it.
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Category, InputError } from '@goshawk/core';
import {
  clipGradNorm,
  clipGradNormOnDevice,
  distributedErrorOf,
  type GradScaler,
  keep,
  type ProcessGroup,
  scope,
  Tensor,
} from '@goshawk/torch';
import { describeWriteError } from '../files/atomic-file.js';
import { asRunFailure } from '../files/run-failure.js';
import { applyRuntime } from '../infer/apply-runtime.js';
import type { BatchFeed, FedBatch } from '../infer/batch-feed.js';
import { explainEngineError } from '../infer/engine-errors.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import type { DeviceBatch } from '../infer/network-batch.js';
import type { Detector } from '../models/index.js';
import type { AcrossRanks } from './across-ranks.js';
import {
  checkpointPath,
  type Evaluated,
  pruneCheckpoints,
  writeCheckpoint,
  writeEvaluated,
  writeWeights,
} from './checkpoint.js';
import type { EffectiveSchedule } from './effective-schedule.js';
import { learningRateFactor, learningRateFactorAt } from './lr-schedule.js';
import { correctMomentum, type DetectorOptimizer } from './optimizer.js';
import type { RandomSource } from './random-sources.js';
import { sumsOver } from './share-progress.js';
import { Standing } from './standing.js';
import { steadyHeap } from './steady-heap.js';
import type { TimeBudget } from './time-budget.js';
import type { BestFigure, StepRecord, TrainEnd, TrainOptions, TrainResult } from './train-options.js';
import {
  NonFiniteLossError,
  type PassLosses,
  readStep,
  requireFinite,
  type StepReadings,
  trainingPass,
} from './training-step.js';
import type { Validation } from './validation.js';
import type { WeightAverage } from './weight-average.js';

export interface TrainingRunParts {
  readonly options: TrainOptions;
  readonly model: Detector;
  /** What the processes exchange in each step; absent where there is one. */
  readonly ranks?: AcrossRanks;
  readonly optimizer: DetectorOptimizer;
  /** Of the weights; absent: none is kept. */
  readonly average?: WeightAverage | undefined;
  /** Of the losses, where the precision asks for one. */
  readonly scaler: GradScaler | undefined;
  readonly categories: readonly Category[];
  /** Absent: nothing is evaluated. */
  readonly validation?: Validation;
  /** Batches with targets, without end. */
  readonly feed: BatchFeed;
  readonly random: readonly RandomSource[];
  /** Pictures of the data set. */
  readonly pictures: number;
  /** Folder of the checkpoints. */
  readonly checkpoints: string;
  readonly schedule: EffectiveSchedule;
  /** Where the schedule has minutes; of several processes that of rank 0 counts. */
  readonly budget?: TimeBudget | undefined;
  /** Steps done before. */
  readonly iteration: number;
  /** Whether the evaluation after the last of them is still to be made. */
  readonly evaluationDue: boolean;
}

/** Steps after which an evaluation is tried, to know how long one takes. */
const STEPS_BEFORE_TRIAL = 10;

export class TrainingRun {
  readonly #parts: TrainingRunParts;
  #iteration: number;
  /** The newest iteration whose checkpoint is on the disk; 0 where there is none. */
  #saved: number;
  /** Where the last whole step left off. */
  readonly #standing: Standing;
  /** Whether the weights are those of that step: not while the optimizer changes them. */
  #isStanding = true;
  /** The last iteration that was evaluated. */
  #evaluated: number | undefined;
  /** Pictures that could not be used since the last that could, and all that were told of. */
  #unusable = 0;
  readonly #told = new Set<string>();
  /** Whether a process of the group had got a signal when the step began. */
  #agreedStop = false;
  /** Of the last step of this start. */
  #learningRate: number | undefined;
  /** Milliseconds of the clock at the last checkpoint. */
  #savedAt = performance.now();
  /** Whether the evaluations brought nothing better for too long. */
  #isPatienceOver = false;
  /** Whether an evaluation was left out for want of time. */
  #hasPutOff = false;

  constructor(parts: TrainingRunParts) {
    this.#parts = parts;
    this.#iteration = parts.iteration;
    this.#saved = parts.iteration;
    this.#standing = new Standing(parts.model, parts.random, parts.feed.state());
  }

  /**
   * Trains until the planned iterations are done, or the signal comes.
   * @throws RunFailure where a picture or the disk ends it, after a checkpoint of what was done, where that is possible
   */
  async untilDone(): Promise<TrainResult> {
    const { options, model, ranks, categories, schedule, validation, evaluationDue } = this.#parts;
    const { observer, group } = options;
    const { checkpointEvery } = schedule;
    const started = performance.now();
    let measures: DetectorMeasures | undefined;
    let weights: string | undefined;
    model.train();
    try {
      this.#heedPatience();
      let isStopped = this.#isStopped();
      if (this.#isDone()) weights = this.#writeFinal();
      if (evaluationDue && !isStopped) {
        measures = await this.#evaluate();
        isStopped = this.#isStopped();
      }
      while (!this.#isDone() && !isStopped) {
        // Not inside the call: without an observer its argument would never be computed, and no step be done.
        const step = await this.#step();
        observer?.onStep?.(step, model);
        if (step.iteration === this.#parts.iteration + STEPS_BEFORE_TRIAL) await this.#tryEvaluation();
        // While workers keep ahead, their messages can follow one another without end: signals and timers need a turn.
        await setImmediate();
        isStopped = group ? this.#agreedStop : this.#isStopped();
        if (this.#isDone() || isStopped || this.#iteration % checkpointEvery === 0 || this.#isSaveLate())
          this.#writeCheckpoint();
        if (this.#isDone()) weights = this.#writeFinal();
        measures = undefined;
        if (this.#isEvaluationDue() && !isStopped) {
          measures = await this.#evaluate();
          isStopped = this.#isStopped();
        }
      }
      if (isStopped) this.#writeCheckpoint();
      // By what an evaluation came to, behind its checkpoint.
      if (this.#isDone() && weights === undefined) {
        this.#writeCheckpoint();
        weights = this.#writeFinal();
      }
    } catch (error) {
      throw this.#saves ? this.#ended(error) : this.#explained(error);
    } finally {
      this.#standing.dispose();
      ranks?.close();
    }
    const problems = validation?.problems ?? [];
    const { figures, evaluations } = measures ?? {};
    const end = this.#end((performance.now() - started) / 1000);
    observer?.onEnd?.(end);
    return {
      ...{ model: this.#result(), categories, iteration: this.#iteration, end },
      ...{ weights, figures, evaluations, problems },
    };
  }

  #isDone(): boolean {
    const { schedule, budget } = this.#parts;
    const isTimeUp = budget !== undefined && budget.share >= 1;
    return this.#iteration >= schedule.mostIterations || isTimeUp || this.#isPatienceOver;
  }

  #end(seconds: number): TrainEnd {
    const { schedule, validation } = this.#parts;
    const done = this.#iteration >= schedule.mostIterations ? 'iterations' : 'minutes';
    const reason = this.#isPatienceOver ? 'patience' : this.#isDone() ? done : 'signal';
    return { reason, iteration: this.#iteration, seconds, ...(validation?.best && { best: validation.best }) };
  }

  /** Only the process that writes goes by its clock. */
  #isSaveLate(): boolean {
    const { checkpointMinutes } = this.#parts.options.config.train;
    return checkpointMinutes !== undefined && performance.now() - this.#savedAt >= checkpointMinutes * 60_000;
  }

  /** Asks rank 0, which alone knows the figures. */
  #heedPatience(): void {
    const { options, validation } = this.#parts;
    const { patience } = options.config.train;
    if (patience === undefined || validation === undefined) return;
    const [since] = fromRankZero(options.group, [validation.best?.since ?? 0]);
    this.#isPatienceOver = since! >= patience;
  }

  /** What the training is for: the average of the weights, where one is kept. */
  #result(): Detector {
    return this.#parts.average?.model ?? this.#parts.model;
  }

  /** Whether the training ends here by a signal; of several processes one that has got it is enough. */
  #isStopped(): boolean {
    const { signal, group } = this.#parts.options;
    const isTold = signal?.aborted === true;
    return group ? sumsOver(group, [Number(isTold)])[0]! > 0 : isTold;
  }

  /** Whether this process writes. */
  get #saves(): boolean {
    const { save = true, group } = this.#parts.options;
    return save && (group === undefined || group.rank === 0);
  }

  #isEvaluationDue(): boolean {
    const { schedule, budget, options } = this.#parts;
    if (this.#isDone()) return true;
    if (!isEvaluationDue(this.#iteration, schedule.evaluateEvery)) return false;
    if (budget === undefined || this.#parts.validation === undefined) return true;
    const isAffordable = fromRankZero(options.group, [Number(budget.affordsEvaluation())])[0] === 1;
    if (!isAffordable && !this.#hasPutOff) {
      const between = 'evaluations in between would take more than a third of train.minutes';
      options.observer?.onWarning?.(`${between}: some are left out; raise train.evaluateEvery`);
      this.#hasPutOff = true;
    }
    return isAffordable;
  }

  async #evaluate(): Promise<DetectorMeasures | undefined> {
    const { validation, options, schedule } = this.#parts;
    const { runtime } = options.config;
    const started = performance.now();
    applyRuntime(runtime, { kind: 'prediction' });
    const measures = await validation?.evaluate(this.#iteration);
    this.#parts.budget?.evaluated((performance.now() - started) / 1000);
    applyRuntime(runtime, { kind: 'training', iterations: schedule.iterations });
    this.#heedPatience();
    if (measures === undefined) return undefined;
    this.#evaluated = this.#iteration;
    if (this.#saved === this.#iteration) this.#noteEvaluation();
    return measures;
  }

  /** The last evaluation has to end in time, and may be the first. */
  async #tryEvaluation(): Promise<void> {
    const { validation, options, budget, schedule } = this.#parts;
    if (budget === undefined || validation === undefined || budget.knowsEvaluation) return;
    if (options.group !== undefined && options.group.rank > 0) return;
    const { runtime } = options.config;
    applyRuntime(runtime, { kind: 'prediction' });
    const seconds = await validation.estimateSeconds();
    if (seconds !== undefined) budget.expectEvaluation(seconds);
    applyRuntime(runtime, { kind: 'training', iterations: schedule.iterations });
  }

  /** Beside the checkpoint, so that it is not made again; the checkpoint itself was written before. */
  #noteEvaluation(): void {
    const { validation, checkpoints } = this.#parts;
    const best = bestNoted(validation?.best);
    if (this.#saves && best !== undefined) writeEvaluated(checkpoints, this.#iteration, best);
  }

  #writeCheckpoint(): void {
    const { options, model, average, optimizer, scaler, checkpoints, validation, random, budget } = this.#parts;
    if (!this.#saves || this.#saved === this.#iteration || !this.#isStanding) return;
    const progress = {
      iteration: this.#iteration,
      loader: this.#standing.loader,
      ...bestNoted(validation?.best),
      scaler: scaler?.stateDict(),
      ...(budget && { budget: budget.state }),
    };
    const started = performance.now();
    this.#save(checkpointPath(checkpoints, this.#iteration), () => {
      writeCheckpoint(
        checkpoints,
        { model, average: average?.model },
        optimizer,
        progress,
        this.#description(),
        random,
      );
    });
    budget?.wrote((performance.now() - started) / 1000);
    this.#saved = this.#iteration;
    this.#savedAt = performance.now();
    if (this.#evaluated === this.#iteration) this.#noteEvaluation();
    pruneCheckpoints(checkpoints, options.config.train.keepCheckpoints);
    options.observer?.onCheckpoint?.(checkpointPath(checkpoints, this.#iteration), this.#iteration);
  }

  #writeFinal(): string | undefined {
    const { options } = this.#parts;
    if (!this.#saves) return undefined;
    const weights = join(options.output, 'final.safetensors');
    this.#save(weights, () => writeWeights(weights, this.#result(), this.#description()));
    return weights;
  }

  #save(file: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      throw describeWriteError(file, error);
    }
  }

  #description() {
    const { options, categories } = this.#parts;
    return { config: options.config, categories };
  }

  /** Saves what can be saved, and says what is. */
  #ended(error: unknown): unknown {
    // A loss without end follows from weights that were on their way there: nobody goes on from them.
    if (error instanceof NonFiniteLossError) return error;
    let kept: string;
    try {
      if (this.#isStanding) this.#standing.goBack();
      this.#writeCheckpoint();
      kept =
        this.#saved > 0 ? `iteration ${this.#saved} is saved: continue with --resume` : 'no step was done before it';
    } catch {
      kept =
        this.#saved > 0
          ? `iteration ${this.#saved} is saved, later ones are lost: continue with --resume`
          : 'nothing could be saved';
    }
    return this.#explained(error, kept);
  }

  #explained(error: unknown, kept?: string): unknown {
    const { config, save = true } = this.#parts.options;
    const explained = distributedErrorOf(error) ?? explainEngineError(error, { kind: 'training', ...config.train });
    return save ? asRunFailure(explained, kept) : explained;
  }

  async #step(): Promise<StepRecord> {
    const { options, ranks, optimizer, scaler, feed, average } = this.#parts;
    const { group } = options;
    const { train } = options.config;
    const exchanged = group?.spent.communicationMs ?? 0;
    const started = performance.now();
    steadyHeap(this.#iteration);
    let dataSeconds = 0;
    const passes: PassLosses[] = [];
    const files: string[][] = [];
    let images = 0;
    for (let pass = 0; pass < train.accumulate; pass++) {
      const asked = performance.now();
      const fed = await this.#nextBatch();
      dataSeconds += (performance.now() - asked) / 1000;
      files.push(fed.batch.images.map(({ fileName }) => fileName));
      images += fed.images;
      if (pass === train.accumulate - 1) ranks?.begin();
      passes.push(this.#pass(fed));
      await feed.lookAhead();
    }
    for (const line of ranks?.reduceGradients() ?? []) options.observer?.onWarning?.(line);
    for (const { names, values } of passes) ranks?.reduceLosses(names, values);
    scaler?.unscale(optimizer);
    const norm = this.#clip();
    const { losses, scalars } = readStep(passes, norm instanceof Tensor ? [norm] : []);
    const gradientNorm = norm instanceof Tensor ? scalars[0] : norm;
    if (norm instanceof Tensor) norm.dispose();
    for (const { values } of passes) values.dispose();
    requireFinite(losses, this.#filesOfAll(losses, files));
    const learningRate = this.#learningRateNow();
    this.#isStanding = false;
    optimizer.setLearningRate(learningRate);
    const before = this.#learningRateBefore();
    if (train.momentumCorrection && before !== undefined)
      correctMomentum(optimizer, { from: before, to: learningRate });
    this.#learningRate = learningRate;
    if (scaler === undefined) {
      optimizer.step();
    } else {
      scaler.stepOnDevice(optimizer);
      scaler.update();
    }
    optimizer.zeroGrad();
    this.#iteration++;
    average?.update(this.#iteration);
    this.#standing.take(feed.state());
    this.#isStanding = true;
    const sums = meansOf(losses);
    const seconds = (performance.now() - started) / 1000;
    return {
      iteration: this.#iteration,
      iterations: this.#wholeLength({ seconds, images }),
      losses: sums,
      totalLoss: Object.values(sums).reduce((sum, value) => sum + value, 0),
      learningRate,
      images,
      seconds,
      dataSeconds,
      ...(group && { exchangeSeconds: (group.spent.communicationMs - exchanged) / 1000 }),
      gradientNorm,
    };
  }

  #learningRateNow(): number {
    const { schedule, budget } = this.#parts;
    if (budget === undefined) return learningRateAt(schedule, this.#iteration);
    return (
      schedule.learningRate *
      learningRateFactorAt({ share: budget.share, iteration: this.#iteration }, schedule.schedule)
    );
  }

  /** The last step's, also of an earlier start; undefined where there is none, or its share of the time is forgotten. */
  #learningRateBefore(): number | undefined {
    const { schedule, budget } = this.#parts;
    if (budget !== undefined || this.#iteration === 0) return this.#learningRate;
    return learningRateAt(schedule, this.#iteration - 1);
  }

  /** Steps of the whole training, known by the clock where it has one; the same in all processes. */
  #wholeLength(step: { readonly seconds: number; readonly images: number }): number {
    const { schedule, budget, options } = this.#parts;
    if (budget === undefined) return schedule.iterations;
    budget.step({ ...step, atMost: schedule.mostIterations - this.#iteration });
    if (options.group) {
      const [share, stepsLeft] = fromRankZero(options.group, [budget.share, budget.stepsLeft]);
      budget.follow({ share: share!, stepsLeft: stepsLeft! });
    }
    return this.#iteration + budget.stepsLeft;
  }

  /** The pictures of each pass; of all processes where they are needed, to name those of a loss that is not finite. */
  #filesOfAll(losses: StepReadings['losses'], own: readonly (readonly string[])[]): readonly (readonly string[])[] {
    const { group } = this.#parts.options;
    const allFinite = losses.every((pass) => Object.values(pass).every(Number.isFinite));
    // The losses are those of all: every process comes here.
    if (group === undefined || allFinite) return own;
    const all = group.allGatherBytes(new TextEncoder().encode(JSON.stringify(own)));
    const names = all.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as string[][]);
    return own.map((_, pass) => names.flatMap((files) => files[pass]!));
  }

  #pass(fed: FedBatch & { readonly tensors: DeviceBatch }): PassLosses {
    const { options, model, scaler } = this.#parts;
    const { train, runtime } = options.config;
    try {
      return trainingPass(model, fed.tensors, {
        precision: train.precision,
        device: runtime.device,
        divisor: train.gradients === 'mean' ? train.accumulate : 1,
        scaler,
      });
    } finally {
      fed.release();
    }
  }

  /** The gradients' norm before they are clipped, on a card to be read with the losses; undefined where they are not. */
  #clip(): number | Tensor | undefined {
    const { options, model } = this.#parts;
    const { clipGradNorm: limit } = options.config.train;
    if (limit === undefined) return undefined;
    if (options.config.runtime.device === 'cpu') return scope(() => clipGradNorm(model.parameters(), limit));
    return keep(scope(() => clipGradNormOnDevice(model.parameters(), limit)));
  }

  /** The next batch in which there is a picture, of several processes in each one's part; with the pictures of all parts. */
  async #nextBatch(): Promise<FedBatch & { readonly tensors: DeviceBatch; readonly images: number }> {
    const { feed, options } = this.#parts;
    const { group } = options;
    // Each process meets its share of them.
    const pictures = Math.ceil(this.#parts.pictures / (group?.size ?? 1));
    for (;;) {
      const fed = await feed.next();
      if (fed === undefined) throw new Error('internal: the training loader came to an end');
      for (const { error } of fed.batch.leftOut) {
        if (!this.#told.has(error.message)) options.observer?.onWarning?.(`${error.message}; left out`);
        this.#told.add(error.message);
        this.#unusable += 1;
        if (this.#unusable >= pictures)
          throw new InputError('image-invalid', `${error.message} (and so is every other picture)`);
      }
      const { tensors, batch } = fed;
      const count = batch.images.length;
      const own = [Number(count === 0), count, Number(options.signal?.aborted === true)];
      const [empty, images, stops] = group ? sumsOver(group, own) : own;
      // Asked along with this, and heeded after the step.
      if (stops! > 0) this.#agreedStop = true;
      if (count > 0) this.#unusable = 0;
      // A process without a picture has nothing to compute with the others: all of them pass over the batch.
      if (tensors !== undefined && empty === 0) return { ...fed, tensors, images: images! };
      fed.release();
    }
  }
}

/** Each loss's mean over the passes of a step. */
function meansOf(passes: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const means: Record<string, number> = {};
  for (const losses of passes)
    for (const [name, value] of Object.entries(losses)) means[name] = (means[name] ?? 0) + value / passes.length;
  return means;
}

function bestNoted(best: BestFigure | undefined): Evaluated | undefined {
  return best && { best: best.value, bestIteration: best.iteration, sinceBest: best.since };
}

/** Whether one that is not the last is to be made. */
export function isEvaluationDue(iteration: number, evaluateEvery: number): boolean {
  return iteration > 0 && evaluateEvery > 0 && iteration % evaluateEvery === 0;
}

/** Rank 0's numbers in every process. */
function fromRankZero(group: ProcessGroup | undefined, values: readonly number[]): readonly number[] {
  if (group === undefined) return values;
  return sumsOver(group, group.rank === 0 ? values : values.map(() => 0));
}

function learningRateAt({ learningRate, schedule }: EffectiveSchedule, iteration: number): number {
  return learningRate * learningRateFactor(iteration, schedule);
}
