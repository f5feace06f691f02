// goshawk eval: a checkpoint's figures on a data set of the config.
import { join } from 'node:path';
import { type Detection, formatCocoResults, InputError } from '@goshawk/core';
import type { DetectionDataset } from '../data/index.js';
import {
  detectEach,
  evaluateAsChallenge,
  evaluationTypes,
  formatEvaluations,
  measureDetections,
} from '../infer/index.js';
import { writeFileAtomic } from '../train/atomic-file.js';
import { createProgressLine, formatDuration } from '../train/progress-line.js';
import { type EvalJob, openEvalDataset, openEvalDetector } from './eval-job.js';
import { detectInProcesses } from './eval-processes.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';

const MOST_PROCESSES = 256;

export interface EvalCommandOptions {
  readonly weights: string;
  readonly set?: readonly string[];
  readonly output?: string;
  readonly split?: string;
  readonly json?: boolean;
  /** Processes that share the pictures; absent: this one. */
  readonly processes?: string;
  /** First picture and the one behind the last. */
  readonly range?: readonly string[];
}

export async function runEval(configFile: string, options: EvalCommandOptions): Promise<void> {
  const { config } = openCommandConfig(configFile, options.set);
  const range = pictureRange(options.range);
  const job: EvalJob = {
    config,
    weights: options.weights,
    split: splitName(options.split ?? 'val'),
    ...(range && { range }),
  };
  const processes =
    options.processes === undefined ? undefined : wholeNumber('--processes', options.processes, 1, MOST_PROCESSES);
  const dataset = openEvalDataset(job);
  for (const warning of dataset.warnings) console.error(`warning: ${warning}`);
  const line = createProgressLine();
  const started = performance.now();
  const onProgress = (done: number, total: number): void => {
    const rate = done / ((performance.now() - started) / 1000);
    line.update(
      `evaluating ${done}/${total}  ${rate.toFixed(1)} images/s  ${formatDuration((total - done) / rate)} left`,
    );
  };
  const pictures = dataset.samples.length;
  const found = processes
    ? await detectInProcesses(job, { processes, pictures, onProgress })
    : await detectHere(job, dataset, onProgress);
  line.done();
  const detections = found.flat();
  const evaluations = measureDetections(dataset, detections, evaluationTypes(config.model));
  const challenge = evaluateAsChallenge(dataset, detections);
  const metrics = {
    ...Object.fromEntries([...evaluations].map(([type, evaluation]) => [type, evaluation.stats])),
    ...challenge?.metrics,
  };
  if (options.output) {
    writeFileAtomic(join(options.output, 'metrics.json'), `${JSON.stringify(metrics, undefined, 2)}\n`);
    writeFileAtomic(join(options.output, 'detections.json'), formatCocoResults(detections, dataset.annotations));
  }
  const tables = [formatEvaluations(evaluations), ...(challenge === undefined ? [] : [challenge.table])];
  console.log(options.json ? JSON.stringify(metrics) : tables.join('\n\n'));
}

async function detectHere(
  job: EvalJob,
  dataset: DetectionDataset,
  onProgress: (done: number, total: number) => void,
): Promise<(readonly Detection[])[]> {
  const { predictor, preprocess } = openEvalDetector(job, dataset);
  const found: (readonly Detection[])[] = [];
  const { workers } = job.config.data;
  for await (const detections of detectEach(predictor, { dataset, preprocess, batchSize: 1, workers })) {
    found.push(detections);
    onProgress(found.length, dataset.samples.length);
  }
  return found;
}

function pictureRange(words: readonly string[] | undefined): readonly [number, number] | undefined {
  if (words === undefined) return undefined;
  const [from, to] = words.map((word) => (/^\d+$/.test(word) ? Number(word) : Number.NaN));
  if (words.length !== 2 || !(from! < to!))
    throw new InputError(
      'usage',
      `--range ${words.join(' ')}: expected the first picture and the one behind the last, such as --range 0 100: correct it, and name the config first`,
    );
  return [from!, to!];
}

function splitName(name: string): 'train' | 'val' | 'test' {
  if (name === 'train' || name === 'val' || name === 'test') return name;
  throw new InputError('usage', `--split ${name}: unknown: use train, val or test`);
}
