// What a training writes of itself: checkpoints, what their evaluations came to, the weights that it ends with.
import { join } from 'node:path';
import type { Category } from '@goshawk/core';
import type { GradScaler } from '@goshawk/torch';
import { describeWriteError } from '../files/atomic-file.js';
import type { Detector } from '../models/index.js';
import {
  checkpointPath,
  type Evaluated,
  type Progress,
  pruneCheckpoints,
  writeCheckpoint,
  writeEvaluated,
  writeWeights,
} from './checkpoint.js';
import type { DetectorOptimizer } from './optimizer.js';
import type { RandomSource } from './random-sources.js';
import type { TimeBudget } from './time-budget.js';
import type { BestFigure, TrainOptions } from './train-options.js';
import type { Validation } from './validation.js';
import type { WeightAverage } from './weight-average.js';

export interface RunFilesParts {
  readonly options: TrainOptions;
  readonly model: Detector;
  readonly optimizer: DetectorOptimizer;
  /** Of the weights; absent: none is kept. */
  readonly average?: WeightAverage | undefined;
  /** Of the losses, where the precision asks for one. */
  readonly scaler: GradScaler | undefined;
  readonly categories: readonly Category[];
  /** Absent: nothing is evaluated. */
  readonly validation?: Validation;
  readonly random: readonly RandomSource[];
  /** Folder of the checkpoints. */
  readonly checkpoints: string;
  /** Where the schedule has minutes; of several processes that of rank 0 counts. */
  readonly budget?: TimeBudget | undefined;
  /** Steps done before. */
  readonly iteration: number;
}

export class RunFiles {
  readonly #parts: RunFilesParts;
  #saved: number;
  /** Milliseconds of the clock at the last checkpoint. */
  #savedAt = performance.now();
  /** The last iteration that was evaluated. */
  #evaluated: number | undefined;

  constructor(parts: RunFilesParts) {
    this.#parts = parts;
    this.#saved = parts.iteration;
  }

  /** Whether this process writes. */
  get saves(): boolean {
    const { save = true, group } = this.#parts.options;
    return save && (group === undefined || group.rank === 0);
  }

  /** The newest iteration whose checkpoint is on the disk; 0 where there is none. */
  get saved(): number {
    return this.#saved;
  }

  /** Whether the clock asks for a checkpoint. Only the process that writes goes by it. */
  isLate(): boolean {
    const { checkpointMinutes } = this.#parts.options.config.train;
    return checkpointMinutes !== undefined && performance.now() - this.#savedAt >= checkpointMinutes * 60_000;
  }

  /** @param loader what stands behind the batches of the iteration */
  writeCheckpoint(iteration: number, loader: Progress['loader']): void {
    const { options, model, average, optimizer, scaler, checkpoints, validation, random, budget } = this.#parts;
    if (!this.saves || this.#saved === iteration) return;
    const progress = {
      ...{ iteration, loader },
      ...bestNoted(validation?.best),
      scaler: scaler?.stateDict(),
      ...(budget && { budget: budget.state }),
    };
    const started = performance.now();
    const file = checkpointPath(checkpoints, iteration);
    saying(file, () => {
      const weights = { model, average: average?.model };
      writeCheckpoint(checkpoints, weights, optimizer, progress, this.#description(), random);
    });
    budget?.wrote((performance.now() - started) / 1000);
    this.#saved = iteration;
    this.#savedAt = performance.now();
    if (this.#evaluated === iteration) this.#noteEvaluation();
    pruneCheckpoints(checkpoints, options.config.train.keepCheckpoints);
    options.observer?.onCheckpoint?.(file, iteration);
  }

  /** What the training is for, the average of the weights where one is kept; the file, where this process writes it. */
  writeFinal(): string | undefined {
    const { options, model, average } = this.#parts;
    if (!this.saves) return undefined;
    const file = join(options.output, 'final.safetensors');
    saying(file, () => writeWeights(file, average?.model ?? model, this.#description()));
    return file;
  }

  /** Notes that this iteration was evaluated, now or with its checkpoint. */
  evaluated(iteration: number): void {
    this.#evaluated = iteration;
    if (this.#saved === iteration) this.#noteEvaluation();
  }

  /** Beside the checkpoint, so that it is not made again; the checkpoint itself was written before. */
  #noteEvaluation(): void {
    const { validation, checkpoints } = this.#parts;
    const best = bestNoted(validation?.best);
    if (this.saves && best !== undefined) writeEvaluated(checkpoints, this.#saved, best);
  }

  #description() {
    const { options, categories } = this.#parts;
    return { config: options.config, categories };
  }
}

function bestNoted(best: BestFigure | undefined): Evaluated | undefined {
  return best && { best: best.value, bestIteration: best.iteration, sinceBest: best.since };
}

/** An error of the disk names the file. */
function saying(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw describeWriteError(file, error);
  }
}
