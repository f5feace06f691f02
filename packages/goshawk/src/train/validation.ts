// Evaluations during a training. They come after what they measure is saved, and one that fails costs the training nothing.
import { join } from 'node:path';
import type { Category, InputError } from '@goshawk/core';
import { distributedErrorOf, type ProcessGroup } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { detectEach } from '../infer/detect-each.js';
import {
  type DetectorEvaluation,
  type DetectorMeasures,
  evaluateAmongRanks,
  evaluateDetector,
} from '../infer/evaluate-detector.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import type { Detector } from '../models/index.js';
import { bestThresholds } from '../report/index.js';
import { writeWeights } from './checkpoint.js';
import type { Evaluated, RunReport } from './run-report.js';
import type { BestFigure, TrainObserver } from './train-options.js';
import type { EvaluationSet } from './training-data.js';

export interface ValidationParts {
  readonly config: RunConfig;
  readonly model: Detector;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  /** The first chooses the best weights; the others are measured too. */
  readonly sets: readonly [EvaluationSet, ...EvaluationSet[]];
  /** Folder for best.safetensors. Absent: nothing is written. */
  readonly output?: string;
  /** What is written of the first set after each evaluation. Absent: nothing. */
  readonly report?: RunReport;
  readonly observer?: TrainObserver;
  /** Ends an evaluation that is being made. */
  readonly signal?: AbortSignal;
  /** The processes that share the pictures; rank 0 has the figures and writes. */
  readonly group?: ProcessGroup;
}

/** Enough for the first one's costs to count little. */
const TRIED_PICTURES = 6;

export class Validation {
  /** So far; undefined before the first evaluation, and in all processes but the first. */
  best: BestFigure | undefined;
  /** One line each, for the end of the training. */
  readonly problems: string[] = [];
  readonly #parts: ValidationParts;
  readonly #told = new Set<string>();

  constructor(parts: ValidationParts) {
    this.#parts = parts;
  }

  /**
   * Measures the model and keeps its weights where they are the best so far.
   * @returns undefined where it failed, which is told, was ended by the signal, or is another process's to tell
   * @throws DistributedError
   */
  async evaluate(iteration: number): Promise<DetectorMeasures | undefined> {
    const { config, model, categories, sets, output, observer, report } = this.#parts;
    try {
      const measured = await this.#measure();
      if (measured === undefined) return undefined;
      const { first, ...measures } = measured;
      const errors = report?.errorsOf(sets[0].dataset, first);
      // The line of metrics.jsonl comes first: a process that is killed here makes the evaluation again.
      observer?.onEvaluation?.(iteration, measures, measures.seconds);
      if (this.best !== undefined && measures.choosing <= this.best.value) {
        this.best = { ...this.best, since: this.best.since + 1 };
      } else {
        this.best = { value: measures.choosing, iteration, since: 0 };
        if (output !== undefined) {
          const thresholds = errors && bestThresholds(errors.curves);
          writeWeights(join(output, 'best.safetensors'), model, { config, categories, thresholds });
        }
      }
      await this.#report({ iteration, evaluation: first, errors });
      return measures;
    } catch (error) {
      const { signal } = this.#parts;
      if (signal?.aborted && error === signal.reason) return undefined;
      const between = distributedErrorOf(error);
      if (between !== undefined) throw between;
      this.#tell(`iteration ${iteration}: the evaluation failed (${reasonOf(error)})`);
      return undefined;
    } finally {
      model.train();
    }
  }

  /** Seconds that an evaluation will take, by a few of its pictures; undefined where that fails, which the evaluation is left to tell. */
  async estimateSeconds(): Promise<number | undefined> {
    const { config, model, categories, sets, group } = this.#parts;
    const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
    const [{ dataset }] = sets;
    const few = { ...dataset, samples: dataset.samples.slice(0, TRIED_PICTURES) };
    const total = sets.reduce((sum, { dataset }) => sum + dataset.samples.length, 0);
    const { batchSize } = config.inference;
    const options = { dataset: few, preprocess: config.preprocess, batchSize, workers: 0, onUnusable: () => {} };
    const started = performance.now();
    let pictures = 0;
    try {
      for await (const _found of detectEach(predictor, options)) pictures++;
    } catch {
      return undefined;
    } finally {
      model.train();
    }
    return (((performance.now() - started) / 1000) * total) / pictures / (group?.size ?? 1);
  }

  /** One that cannot be written takes nothing from the evaluation. */
  async #report(evaluated: Evaluated): Promise<void> {
    const { sets, report } = this.#parts;
    try {
      await report?.write(sets[0], evaluated);
    } catch (error) {
      this.#tell(`iteration ${evaluated.iteration}: the report could not be written (${reasonOf(error)})`);
    }
  }

  /** Of all sets; the figures of those behind the first are in groups of their own. undefined where another process has them. */
  async #measure(): Promise<
    (DetectorMeasures & { readonly seconds: number; readonly first: DetectorEvaluation }) | undefined
  > {
    const { config, model, categories, sets, observer, signal, group } = this.#parts;
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    const total = sets.reduce((sum, { dataset }) => sum + dataset.samples.length, 0);
    const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
    let before = 0;
    const measureSet = async ({ dataset }: EvaluationSet): Promise<DetectorEvaluation | undefined> => {
      const options = {
        dataset,
        model: config.model,
        preprocess: config.preprocess,
        batchSize: config.inference.batchSize,
        workers: config.data.workers,
        onProgress: (done: number) => observer?.onEvaluationProgress?.(before + done, total, elapsed()),
        onUnusable: (_place: number, error: InputError) =>
          this.#tellOnce(`data.val: ${error.message}; its objects count as not found`),
      };
      const evaluation = group
        ? await evaluateAmongRanks(predictor, { ...options, group, isStopped: () => signal?.aborted === true })
        : await evaluateDetector(predictor, { ...options, signal });
      before += dataset.samples.length;
      return evaluation;
    };
    const first = await measureSet(sets[0]);
    if (sets.length === 1) return first && { ...withoutDetections(first), first, seconds: elapsed() };
    const figures = { ...first?.figures };
    const tables = [`${sets[0].name}:`, first?.table];
    for (const set of sets.slice(1)) {
      const measures = await measureSet(set);
      if (measures === undefined) continue;
      for (const [group, stats] of Object.entries(measures.figures)) figures[`${group} of ${set.name}`] = stats;
      tables.push(`${set.name}:`, measures.table);
    }
    return first && { ...withoutDetections(first), first, figures, table: tables.join('\n'), seconds: elapsed() };
  }

  /** A picture is met in every evaluation. */
  #tellOnce(problem: string): void {
    if (this.#told.has(problem)) return;
    this.#told.add(problem);
    if (this.#parts.config.data.onDamaged !== 'skip') this.#tell(problem);
    else if (this.#parts.group === undefined || this.#parts.group.rank === 0)
      this.#parts.observer?.onWarning?.(problem);
  }

  #tell(problem: string): void {
    // All processes know of it, and one of them tells.
    if (this.#parts.group !== undefined && this.#parts.group.rank > 0) return;
    this.problems.push(problem);
    this.#parts.observer?.onWarning?.(problem);
  }
}

function withoutDetections({ detections: _, ...measures }: DetectorEvaluation): DetectorMeasures {
  return measures;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\s*\n\s*/g, ' ') : String(error);
}
