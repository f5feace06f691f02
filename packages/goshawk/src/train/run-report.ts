// What a training writes of each evaluation for a person to look at: report.html with its pictures, and metrics.json.
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import type { DetectorEvaluation } from '../infer/evaluate-detector.js';
import {
  detectorErrors,
  type ErrorFigures,
  metricsOf,
  type SeenPicture,
  Thumbnails,
  writeReport,
  writeSeenBatch,
} from '../report/index.js';
import { readMetrics } from './metrics-log.js';
import type { EvaluationSet } from './training-data.js';

export interface RunReportParts {
  readonly config: RunConfig;
  readonly trainSet: DetectionDataset;
  /** The run's folder. */
  readonly output: string;
}

/** An evaluation and where it errs. */
export interface Evaluated {
  readonly iteration: number;
  readonly evaluation: DetectorEvaluation;
  readonly errors: ErrorFigures | undefined;
}

export class RunReport {
  readonly #parts: RunReportParts;
  readonly #thumbnails: Thumbnails;
  #batch: readonly SeenPicture[] | undefined;

  constructor(parts: RunReportParts) {
    this.#parts = parts;
    this.#thumbnails = new Thumbnails(parts.output);
  }

  errorsOf({ annotations }: DetectionDataset, { detections }: DetectorEvaluation): ErrorFigures | undefined {
    return detectorErrors(this.#parts.config.model, annotations, detections);
  }

  async write({ name, dataset }: EvaluationSet, { iteration, evaluation, errors }: Evaluated): Promise<void> {
    const { config, trainSet, output } = this.#parts;
    const metrics = { iteration, ...metricsOf(evaluation, errors) };
    writeFileAtomic(join(output, 'metrics.json'), `${JSON.stringify(metrics, undefined, 2)}\n`);
    const log = join(output, 'metrics.jsonl');
    this.#thumbnails.begin();
    this.#batch ??= await writeSeenBatch(config, trainSet, output);
    const input = {
      title: basename(resolve(output)),
      about: [
        ['model', config.model.type],
        ['iteration', String(iteration)],
      ] as const,
      model: config.model,
      preprocess: config.preprocess,
      name: name === 'val' ? 'data.val' : name,
      dataset,
      detections: evaluation.detections,
      measures: evaluation,
      errors,
      training: { name: 'data.train', dataset: trainSet.annotations },
      history: existsSync(log) ? readMetrics(log) : [],
      batch: this.#batch,
    };
    await writeReport(output, input, this.#thumbnails);
  }
}
