// What a training is asked for, what it tells on its way, and what comes out of it.
import type { Category } from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import type { SampleDataset } from '../data/index.js';
import type { BatchFeedOptions } from '../infer/batch-feed.js';
import type { WeightsReport } from '../infer/detector-file.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import type { Detector } from '../models/index.js';
import type { ProgressLine } from '../terminal/progress-line.js';
import type { EffectiveSchedule } from './effective-schedule.js';

export interface TrainOptions {
  readonly config: RunConfig;
  /** In place of those that the config names in `data`: samples that load themselves. Every process of a group is given the same. */
  readonly datasets?: TrainDatasets;
  /** Folder of this run: checkpoints/, best.safetensors, final.safetensors. */
  readonly output: string;
  /** Weights to start from. */
  readonly init?: string;
  /**
   * Continue from the newest checkpoint in `output`, else from what maskrcnn-benchmark left there, else from `init` where it
   * is a checkpoint of that program; from the beginning where there is none of them. Default false.
   */
  readonly resume?: boolean;
  /** Steps of the whole training, instead of what the config comes to; the learning rate keeps the config's schedule. */
  readonly iterations?: number;
  /** false: nothing is written, neither checkpoints nor weights: to try something out. Default true. */
  readonly save?: boolean;
  /** How batches reach the model. Default: as is best for the device it is on. The weights come out the same. */
  readonly feed?: Pick<BatchFeedOptions, 'gathered' | 'ahead'>;
  /** Ends the training after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly observer?: TrainObserver;
  /** Where lines for a person go, as the command shows them. Default: nowhere. */
  readonly line?: ProgressLine;
  /**
   * The processes that train together, each with its share of every batch; all give the same options. Rank 0 reads the checkpoint and the
   * starting weights, and alone writes. The signal of one ends all.
   */
  readonly group?: ProcessGroup;
}

export interface TrainDatasets {
  readonly train: SampleDataset;
  /** What evaluations measure on, under the categories of `train`. Absent: nothing is evaluated. */
  readonly val?: SampleDataset;
}

/** Is told what happens, in order, when it is written down. What it throws ends the training, with a checkpoint; in an evaluation it spoils that one. */
export interface TrainObserver {
  onStart?(start: TrainStart): void;
  /** `model` is the one in training: to be read, and not kept. */
  onStep?(step: StepRecord, model: Detector): void;
  /** @param seconds since the evaluation began */
  onEvaluationProgress?(done: number, total: number, seconds: number): void;
  onEvaluation?(iteration: number, measures: DetectorMeasures, seconds: number): void;
  /** One line on what went wrong and did not end the training. */
  onWarning?(message: string): void;
  onCheckpoint?(path: string, iteration: number): void;
  /** The last of all; not where an error ends the training. */
  onEnd?(end: TrainEnd): void;
}

/** The best figure of a training, AP or AR@1000. */
export interface BestFigure {
  readonly value: number;
  /** Steps done then; undefined where an earlier program did not note it. */
  readonly iteration: number | undefined;
  /** Evaluations since. */
  readonly since: number;
}

export interface TrainEnd {
  /** The planned iterations (or epochs) are done, train.minutes are over, train.patience is, or the signal came. */
  readonly reason: 'iterations' | 'minutes' | 'patience' | 'signal';
  /** Steps done. */
  readonly iteration: number;
  /** Of this start. */
  readonly seconds: number;
  /** Of the evaluations; absent where there was none. */
  readonly best?: BestFigure;
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
  /** That train together. */
  readonly processes: number;
  /** How many pictures `train.batchSize: auto` came to, and why, in a line. */
  readonly batchSizeChoice?: string;
  /** One line each: what was left out of the annotations, and what looks wrong in them. */
  readonly warnings: readonly string[];
  /** One line each: what will hardly work as it is set, and what to do. */
  readonly notices: readonly string[];
  /** Steps done before, when resuming. */
  readonly iteration: number;
  /** Whether the evaluation after that step is still to be made: an earlier start wrote the checkpoint and was ended before it. */
  readonly evaluationDue: boolean;
  /** Of evaluations before, when resuming. */
  readonly best?: BestFigure;
  /** Of each file that the weights come from, in the order in which they were loaded. */
  readonly initialised: readonly WeightsReport[];
}

export interface StepRecord {
  /** Optimizer steps done, this one included. */
  readonly iteration: number;
  /** Steps of the whole training; where it has minutes instead, as many as fit by the steps so far. */
  readonly iterations: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly totalLoss: number;
  readonly learningRate: number;
  /** Of all processes. */
  readonly images: number;
  readonly seconds: number;
  /** The part of `seconds` spent waiting for the next batch. */
  readonly dataSeconds: number;
  /** The part spent in exchanges with other processes, waiting for them included; absent where there is one. */
  readonly exchangeSeconds?: number;
  readonly gradientNorm?: number;
}

export interface TrainResult {
  readonly model: Detector;
  readonly categories: readonly Category[];
  readonly iteration: number;
  readonly end: TrainEnd;
  /** The weights alone; absent when the training was ended early, and without `save`. */
  readonly weights?: string;
  /** Of the last evaluation, where the last thing that was done is one. */
  readonly figures?: DetectorMeasures['figures'];
  readonly evaluations?: DetectorMeasures['evaluations'];
  /** One line each: evaluations that failed, and pictures of `data.val` that could not be used. All else was done and saved. */
  readonly problems: readonly string[];
}
