// A training in progress: steps, checkpoints, evaluations. What is done is saved before anything else can go wrong with it.
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Category, InputError } from '@goshawk/core';
import {
  clipGradNorm,
  type GradScaler,
  type LazyTensor,
  randomState,
  scope,
  setRandomState,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import type { Batch, Loader } from '../data/index.js';
import { describeWriteError } from '../files/atomic-file.js';
import { RunFailure } from '../files/run-failure.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import type { Detector } from '../models/index.js';
import { checkpointPath, pruneCheckpoints, writeCheckpoint, writeEvaluated, writeWeights } from './checkpoint.js';
import type { EffectiveSchedule } from './effective-schedule.js';
import { learningRateFactor } from './lr-schedule.js';
import { correctMomentum, type DetectorOptimizer } from './optimizer.js';
import { steadyHeap } from './steady-heap.js';
import type { StepRecord, TrainOptions, TrainResult } from './train-options.js';
import { NonFiniteLossError, trainingStep } from './training-step.js';
import type { Validation } from './validation.js';

export interface TrainingRunParts {
  readonly options: TrainOptions;
  readonly model: Detector;
  readonly optimizer: DetectorOptimizer;
  /** Of the losses, where the precision asks for one. */
  readonly scaler: GradScaler | undefined;
  readonly categories: readonly Category[];
  /** Absent: nothing is evaluated. */
  readonly validation?: Validation;
  readonly loader: Loader;
  /** Pictures of the data set. */
  readonly pictures: number;
  /** Folder of the checkpoints. */
  readonly checkpoints: string;
  readonly schedule: EffectiveSchedule;
  /** Steps done before. */
  readonly iteration: number;
  /** Whether the evaluation after the last of them is still to be made. */
  readonly evaluationDue: boolean;
}

/** What a step changes before the optimizer's turn: a step that fails there is as if it had not begun. */
interface Standing {
  readonly loader: ReturnType<Loader['state']>;
  readonly random: LazyTensor;
  /** Running statistics, in the model's order. */
  readonly buffers: readonly LazyTensor[];
}

export class TrainingRun {
  readonly #parts: TrainingRunParts;
  #iteration: number;
  /** The newest iteration whose checkpoint is on the disk; 0 where there is none. */
  #saved: number;
  /** Where the last whole step left off, during a step; undefined while the optimizer changes the weights. */
  #standing: Standing | undefined;
  /** The last iteration that was evaluated. */
  #evaluated: number | undefined;
  /** Pictures that could not be used since the last that could, and all that were told of. */
  #unusable = 0;
  readonly #told = new Set<string>();

  constructor(parts: TrainingRunParts) {
    this.#parts = parts;
    this.#iteration = parts.iteration;
    this.#saved = parts.iteration;
    this.#standing = standingOf(parts);
  }

  /**
   * Trains until the planned iterations are done, or the signal comes.
   * @throws RunFailure where a picture or the disk ends it, after a checkpoint of what was done, where that is possible
   */
  async untilDone(): Promise<TrainResult> {
    const { options, model, categories, schedule, validation, evaluationDue } = this.#parts;
    const { observer, signal, save = true } = options;
    const { checkpointEvery } = options.config.train;
    const isDone = () => this.#iteration >= schedule.iterations;
    let measures: DetectorMeasures | undefined;
    let weights: string | undefined;
    model.train();
    try {
      if (isDone()) weights = this.#writeFinal();
      if (evaluationDue && !signal?.aborted) measures = await this.#evaluate();
      while (!isDone() && !signal?.aborted) {
        // Not inside the call: without an observer its argument would never be computed, and no step be done.
        const step = await this.#step();
        observer?.onStep?.(step, model);
        // While workers keep ahead, their messages can follow one another without end: signals and timers need a turn.
        await setImmediate();
        if (isDone() || signal?.aborted || this.#iteration % checkpointEvery === 0) this.#writeCheckpoint();
        if (isDone()) weights = this.#writeFinal();
        measures = undefined;
        if (this.#isEvaluationDue() && !signal?.aborted) measures = await this.#evaluate();
      }
      if (signal?.aborted) this.#writeCheckpoint();
    } catch (error) {
      throw save ? this.#ended(error) : error;
    }
    const problems = validation?.problems ?? [];
    const { figures, evaluations } = measures ?? {};
    return { model, categories, iteration: this.#iteration, weights, figures, evaluations, problems };
  }

  #isEvaluationDue(): boolean {
    const { options, schedule } = this.#parts;
    return isEvaluationDue(this.#iteration, options.config.train.evaluateEvery, schedule.iterations);
  }

  async #evaluate(): Promise<DetectorMeasures | undefined> {
    const measures = await this.#parts.validation?.evaluate(this.#iteration);
    if (measures === undefined) return undefined;
    this.#evaluated = this.#iteration;
    if (this.#saved === this.#iteration) this.#noteEvaluation();
    return measures;
  }

  /** Beside the checkpoint, so that it is not made again; the checkpoint itself was written before. */
  #noteEvaluation(): void {
    const { options, validation, checkpoints } = this.#parts;
    if (options.save !== false && validation?.best !== undefined)
      writeEvaluated(checkpoints, this.#iteration, { best: validation.best });
  }

  #writeCheckpoint(): void {
    const { options, model, optimizer, scaler, checkpoints, validation } = this.#parts;
    const standing = this.#standing;
    if (options.save === false || this.#saved === this.#iteration || standing === undefined) return;
    const progress = {
      iteration: this.#iteration,
      loader: standing.loader,
      best: validation?.best,
      scaler: scaler?.stateDict(),
    };
    this.#save(checkpointPath(checkpoints, this.#iteration), () => {
      writeCheckpoint(checkpoints, model, optimizer, progress, this.#description());
    });
    this.#saved = this.#iteration;
    if (this.#evaluated === this.#iteration) this.#noteEvaluation();
    pruneCheckpoints(checkpoints, options.config.train.keepCheckpoints);
    options.observer?.onCheckpoint?.(checkpointPath(checkpoints, this.#iteration), this.#iteration);
  }

  #writeFinal(): string | undefined {
    const { options, model } = this.#parts;
    if (options.save === false) return undefined;
    const weights = join(options.output, 'final.safetensors');
    this.#save(weights, () => writeWeights(weights, model, this.#description()));
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
      if (this.#standing !== undefined) goBack(this.#parts.model, this.#standing);
      this.#writeCheckpoint();
      kept =
        this.#saved > 0 ? `iteration ${this.#saved} is saved: continue with --resume` : 'no step was done before it';
    } catch {
      kept =
        this.#saved > 0
          ? `iteration ${this.#saved} is saved, later ones are lost: continue with --resume`
          : 'nothing could be saved';
    }
    if (!(error instanceof InputError)) return error;
    return new RunFailure(`${error.message}; ${kept}`, { cause: error });
  }

  async #step(): Promise<StepRecord> {
    const { options, model, optimizer, scaler, loader, schedule } = this.#parts;
    const { train, runtime } = options.config;
    const started = performance.now();
    steadyHeap(this.#iteration);
    const sums: Record<string, number> = {};
    let images = 0;
    let dataSeconds = 0;
    for (let pass = 0; pass < train.accumulate; pass++) {
      const asked = performance.now();
      const batch = await this.#nextBatch(loader);
      dataSeconds += (performance.now() - asked) / 1000;
      const losses = trainingStep(model, batch, {
        precision: train.precision,
        device: runtime.device,
        divisor: train.gradients === 'mean' ? train.accumulate : 1,
        scaler,
      });
      for (const [name, value] of Object.entries(losses)) sums[name] = (sums[name] ?? 0) + value / train.accumulate;
      images += batch.images.length;
      batch.release();
    }
    scaler?.unscale(optimizer);
    const gradientNorm =
      train.clipGradNorm === undefined ? undefined : scope(() => clipGradNorm(model.parameters(), train.clipGradNorm!));
    const learningRate = learningRateAt(schedule, this.#iteration);
    this.#standing = undefined;
    optimizer.setLearningRate(learningRate);
    if (train.momentumCorrection && this.#iteration > 0)
      correctMomentum(optimizer, { from: learningRateAt(schedule, this.#iteration - 1), to: learningRate });
    if (scaler === undefined) {
      optimizer.step();
    } else {
      scaler.stepOnDevice(optimizer);
      scaler.update();
    }
    optimizer.zeroGrad();
    this.#iteration++;
    this.#standing = standingOf(this.#parts);
    return {
      iteration: this.#iteration,
      losses: sums,
      totalLoss: Object.values(sums).reduce((sum, value) => sum + value, 0),
      learningRate,
      images,
      seconds: (performance.now() - started) / 1000,
      dataSeconds,
      gradientNorm,
    };
  }

  /** The next batch in which there is a picture. */
  async #nextBatch(loader: Loader): Promise<Batch> {
    for (;;) {
      const { done, value: batch } = await loader.next();
      if (done) throw new Error('internal: the training loader came to an end');
      for (const { error } of batch.leftOut) {
        if (!this.#told.has(error.message)) this.#parts.options.observer?.onWarning?.(`${error.message}; left out`);
        this.#told.add(error.message);
        this.#unusable += 1;
        if (this.#unusable >= this.#parts.pictures)
          throw new InputError('image-invalid', `${error.message} (and so is every other picture)`);
      }
      if (batch.images.length > 0) {
        this.#unusable = 0;
        return batch;
      }
      batch.release();
    }
  }
}

export function isEvaluationDue(iteration: number, evaluateEvery: number, iterations: number): boolean {
  if (iteration === 0) return false;
  return iteration === iterations || (evaluateEvery > 0 && iteration % evaluateEvery === 0);
}

function standingOf({ loader, model }: Pick<TrainingRunParts, 'loader' | 'model'>): Standing {
  using random = randomState();
  return { loader: loader.state(), random: copyOf(random), buffers: model.buffers().map(copyOf) };
}

function goBack(model: Detector, { random, buffers }: Standing): void {
  for (const [index, buffer] of model.buffers().entries()) buffer.assign(buffers[index]!);
  scope(() => {
    const { data, shape, dtype } = random.materialize();
    setRandomState(tensor(data, { shape, dtype }));
  });
}

function copyOf(value: Tensor): LazyTensor {
  const { dtype, shape } = value;
  const data = value.toBytes();
  return { dtype, shape, materialize: () => ({ dtype, shape, data }) };
}

function learningRateAt({ learningRate, schedule }: EffectiveSchedule, iteration: number): number {
  return learningRate * learningRateFactor(iteration, schedule);
}
