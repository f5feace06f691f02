// A training in progress: steps, checkpoints, evaluations. What is done is saved before anything else can go wrong with it.
import { setImmediate } from 'node:timers/promises';
import { clipGradNorm, clipGradNormOnDevice, distributedErrorOf, keep, scope, Tensor } from '@goshawk/torch';
import { asRunFailure } from '../files/run-failure.js';
import { applyRuntime } from '../infer/apply-runtime.js';
import { explainEngineError } from '../infer/engine-errors.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import type { Detector } from '../models/index.js';
import type { AcrossRanks } from './across-ranks.js';
import { type EffectiveSchedule, isEvaluationDue } from './effective-schedule.js';
import { learningRateFactor, learningRateFactorAt } from './lr-schedule.js';
import { correctMomentum } from './optimizer.js';
import { RunFiles, type RunFilesParts } from './run-files.js';
import { fromRankZero, sumsOver } from './share-progress.js';
import { Standing } from './standing.js';
import { steadyHeap } from './steady-heap.js';
import type { StepRecord, TrainEnd, TrainOptions, TrainResult } from './train-options.js';
import {
  meansOf,
  NonFiniteLossError,
  type PassLosses,
  readStep,
  requireFinite,
  type StepReadings,
  trainingPass,
} from './training-step.js';
import { type UsableBatch, UsableBatches, type UsableBatchesParts } from './usable-batches.js';

export interface TrainingRunParts extends RunFilesParts, UsableBatchesParts {
  readonly options: TrainOptions;
  /** What the processes exchange in each step; absent where there is one. */
  readonly ranks?: AcrossRanks;
  readonly schedule: EffectiveSchedule;
  /** Whether the evaluation after the last of the steps done before is still to be made. */
  readonly evaluationDue: boolean;
}

/** Steps after which an evaluation is tried, to know how long one takes. */
const STEPS_BEFORE_TRIAL = 10;

export class TrainingRun {
  readonly #parts: TrainingRunParts;
  readonly #files: RunFiles;
  readonly #batches: UsableBatches;
  #iteration: number;
  /** Where the last whole step left off. */
  readonly #standing: Standing;
  /** Whether the weights are those of that step: not while the optimizer changes them. */
  #isStanding = true;
  /** Of the last step of this start. */
  #learningRate: number | undefined;
  /** Whether the evaluations brought nothing better for too long. */
  #isPatienceOver = false;
  /** Whether an evaluation was left out for want of time. */
  #hasPutOff = false;

  constructor(parts: TrainingRunParts) {
    this.#parts = parts;
    this.#files = new RunFiles(parts);
    this.#batches = new UsableBatches(parts);
    this.#iteration = parts.iteration;
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
      if (this.#isDone()) weights = this.#files.writeFinal();
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
        isStopped = group ? this.#batches.isStopAgreed : this.#isStopped();
        if (this.#isDone() || isStopped || this.#iteration % checkpointEvery === 0 || this.#files.isLate())
          this.#writeCheckpoint();
        if (this.#isDone()) weights = this.#files.writeFinal();
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
        weights = this.#files.writeFinal();
      }
    } catch (error) {
      throw this.#files.saves ? this.#ended(error) : this.#explained(error);
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
    this.#files.evaluated(this.#iteration);
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

  #writeCheckpoint(): void {
    if (this.#isStanding) this.#files.writeCheckpoint(this.#iteration, this.#standing.loader);
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
        this.#files.saved > 0
          ? `iteration ${this.#files.saved} is saved: continue with --resume`
          : 'no step was done before it';
    } catch {
      kept =
        this.#files.saved > 0
          ? `iteration ${this.#files.saved} is saved, later ones are lost: continue with --resume`
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
      const fed = await this.#batches.next();
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

  #pass(fed: UsableBatch): PassLosses {
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
}

function learningRateAt({ learningRate, schedule }: EffectiveSchedule, iteration: number): number {
  return learningRate * learningRateFactor(iteration, schedule);
}
