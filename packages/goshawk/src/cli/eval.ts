// goshawk eval: a checkpoint's figures on a data set of the config.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Detection, formatCocoResults, formatProposalTable, InputError, proposalRecallStats } from '@goshawk/core';
import type { ModelConfig } from '../config/index.js';
import { type DetectionDataset, writeProposals } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import {
  detectEach,
  evaluateAsChallenge,
  formatEvaluations,
  measureDetections,
  measureProposals,
  proposalsOf,
} from '../infer/index.js';
import { detectorKind } from '../models/index.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
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
  /** File for the proposals of a model of type rpn. */
  readonly saveProposals?: string;
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
  if (options.saveProposals !== undefined) requireProposals(config.model, options.saveProposals);
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
  const report =
    detectorKind(config.model).gives === 'proposals'
      ? reportProposals(dataset, found, options)
      : reportDetections(config.model, dataset, found, options);
  if (options.output)
    writeFileAtomic(join(options.output, 'metrics.json'), `${JSON.stringify(report.metrics, undefined, 2)}\n`);
  console.log(options.json ? JSON.stringify(report.metrics) : report.table);
}

interface Report {
  readonly metrics: object;
  readonly table: string;
}

/** Measures, and writes detections.json where there is an output folder. */
function reportDetections(
  model: ModelConfig,
  dataset: DetectionDataset,
  found: readonly (readonly Detection[])[],
  { output }: EvalCommandOptions,
): Report {
  const detections = found.flat();
  if (output) writeFileAtomic(join(output, 'detections.json'), formatCocoResults(detections, dataset.annotations));
  const evaluations = measureDetections(dataset, detections, { types: detectorKind(model).measuredBy });
  const challenge = evaluateAsChallenge(dataset, detections);
  const byType = Object.fromEntries([...evaluations].map(([type, evaluation]) => [type, evaluation.stats]));
  const tables = [formatEvaluations(evaluations), ...(challenge === undefined ? [] : [challenge.table])];
  return { metrics: { ...byType, ...challenge?.metrics }, table: tables.join('\n\n') };
}

/** Measures, and writes the proposals where they are to be kept. */
function reportProposals(
  dataset: DetectionDataset,
  found: readonly (readonly Detection[])[],
  { saveProposals }: EvalCommandOptions,
): Report {
  const proposals = proposalsOf(dataset.samples, found);
  if (saveProposals) {
    mkdirSync(dirname(saveProposals), { recursive: true });
    writeProposals(saveProposals, proposals);
  }
  const recall = measureProposals(dataset, proposals);
  return { metrics: { proposals: proposalRecallStats(recall) }, table: formatProposalTable(recall) };
}

async function detectHere(
  job: EvalJob,
  dataset: DetectionDataset,
  onProgress: (done: number, total: number) => void,
): Promise<(readonly Detection[])[]> {
  const { predictor, preprocess } = openEvalDetector(job, dataset, (warning) => console.error(`warning: ${warning}`));
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

function requireProposals(model: ModelConfig, file: string): void {
  if (detectorKind(model).gives !== 'proposals')
    throw new InputError(
      'usage',
      `--save-proposals ${file}: a ${model.type} gives detections: take a model of type rpn`,
    );
  if (!file.endsWith('.safetensors'))
    throw new InputError(
      'usage',
      `--save-proposals ${file}: proposals are kept as safetensors: end the name in .safetensors`,
    );
}

function splitName(name: string): 'train' | 'val' | 'test' {
  if (name === 'train' || name === 'val' || name === 'test') return name;
  throw new InputError('usage', `--split ${name}: unknown: use train, val or test`);
}
