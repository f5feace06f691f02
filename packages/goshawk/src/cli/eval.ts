// goshawk eval: a checkpoint's figures on a data set of the config.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Detection, InputError } from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import type { ModelConfig } from '../config/index.js';
import { type DetectionDataset, requireEvaluable, writeProposals } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput, requireWritableFile } from '../files/output-folder.js';
import { keptIn, openResultsFile, type ResultsFile } from '../files/results-file.js';
import { asRunFailure } from '../files/run-failure.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { detectAmongRanks, detectEach, evaluateAsChallenge, measureDetector, proposalsOf } from '../infer/index.js';
import { detectorKind } from '../models/index.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { type DetectionReceiver, type EvalJob, openEvalDataset, openEvalDetector } from './eval-job.js';
import { detectInProcesses } from './eval-processes.js';
import type { OwnRank } from './in-ranks.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import { onRankDevice, openRankGroup, requireAlone } from './rank-group.js';
import { noneUsable, someUnusable } from './unusable-pictures.js';

const MOST_PROCESSES = 256;

export interface EvalCommandOptions {
  readonly weights: string;
  readonly set?: readonly string[];
  readonly output?: string;
  readonly split?: string;
  readonly json?: boolean;
  /** Processes that share the pictures; absent: this one. */
  readonly processes?: string;
  /** First picture and the one behind the last, as `0:100`. */
  readonly range?: string;
  /** File for the proposals of a model of type rpn. */
  readonly saveProposals?: string;
  /** This process as one of several that share the pictures. */
  readonly rank?: OwnRank;
}

/** The processes that share the pictures. */
interface Ranks {
  readonly rank: OwnRank;
  readonly group: ProcessGroup;
}

export async function runEval(configFile: string, options: EvalCommandOptions): Promise<void> {
  const { rank } = options;
  const isWriter = rank === undefined || rank.place.rank === 0;
  const opened = openCommandConfig(configFile, options.set, { quiet: !isWriter });
  const config = onRankDevice(opened.config, rank);
  requireAlone(rank, '--processes', options.processes);
  const range = pictureRange(options.range);
  const job: EvalJob = {
    config,
    weights: options.weights,
    split: splitName(options.split ?? 'val'),
    ...(range && { range }),
  };
  const processes =
    options.processes === undefined ? undefined : wholeNumber('--processes', options.processes, 1, MOST_PROCESSES);
  if (!existsSync(options.weights))
    throw new InputError('file-not-found', `${options.weights}: no such file: check the path`);
  if (options.saveProposals !== undefined) {
    requireProposals(config.model, options.saveProposals);
    requireWritableFile(options.saveProposals);
  }
  endTidilyOnSignals();
  if (!isWriter) return detectForRankZero(job, rank);
  const { output } = options;
  const claim =
    output === undefined ? undefined : claimOutput(output, { work: 'goshawk eval', files: [METRICS, RESULTS] });
  const group = rank && openRankGroup(rank, config);
  try {
    await evaluateJob(job, {
      ...options,
      ...(processes && { count: processes }),
      ...(rank && group && { ranks: { rank, group } }),
    });
    group?.close();
  } finally {
    claim?.release();
  }
}

const METRICS = 'metrics.json';
const RESULTS = 'detections.json';

/** The part of a process that writes nothing. */
async function detectForRankZero(job: EvalJob, rank: OwnRank): Promise<void> {
  const dataset = openEvalDataset(job);
  const group = openRankGroup(rank, job.config);
  const nothing = { onReady() {}, onFound() {}, onUnusable() {} };
  await detectInRanks(job, dataset, nothing, { rank, group });
  group.close();
}

async function evaluateJob(
  job: EvalJob,
  options: EvalCommandOptions & { readonly count?: number; readonly ranks?: Ranks },
): Promise<void> {
  const { output, count, ranks, json, saveProposals } = options;
  const { model } = job.config;
  const dataset = openEvalDataset(job);
  for (const warning of dataset.warnings) console.error(`warning: ${warning}`);
  // What the figures need is known now; a damaged picture is named at the end.
  await requireEvaluable(dataset, { measuredBy: detectorKind(model).measuredBy }, { damaged: 'return' });
  const detection = await detectAll(job, dataset, {
    count,
    ranks,
    file: output !== undefined && detectorKind(model).gives === 'objects' ? join(output, RESULTS) : undefined,
  });
  const { found, unusable, results } = detection;
  try {
    if (unusable.length === dataset.samples.length) throw noneUsable(unusable);
    const measures = measureDetector(model, dataset, found);
    const challenge = evaluateAsChallenge(dataset, found.flat());
    const figures = { ...measures.figures, ...challenge?.metrics };
    console.log(
      json ? JSON.stringify(figures) : [measures.table, ...(challenge ? [challenge.table] : [])].join('\n\n'),
    );
    // What is to be read is out; what is written comes after it.
    if (detection.failure !== undefined) throw detection.failure;
    if (output) writeFileAtomic(join(output, METRICS), `${JSON.stringify(figures, undefined, 2)}\n`);
    if (saveProposals) {
      mkdirSync(dirname(saveProposals), { recursive: true });
      writeProposals(saveProposals, proposalsOf(dataset.samples, found));
    }
  } catch (error) {
    throw asRunFailure(error, results && keptIn(results));
  } finally {
    results?.finish();
  }
  if (unusable.length > 0) {
    const whose = unusable.length === 1 ? 'its' : 'their';
    throw someUnusable(unusable, `the figures count ${whose} objects as not found`);
  }
}

interface EvalDetection {
  /** Of each picture. */
  readonly found: readonly (readonly Detection[])[];
  readonly unusable: readonly InputError[];
  /** Has them all, not finished yet. */
  readonly results?: ResultsFile;
  /** What kept `results` from taking more. */
  readonly failure?: unknown;
}

/** Detects in every picture and writes what is found as it comes. @param options.file where; absent: nowhere */
async function detectAll(
  job: EvalJob,
  dataset: DetectionDataset,
  { count, ranks, file }: { readonly count?: number; readonly ranks?: Ranks; readonly file: string | undefined },
): Promise<EvalDetection> {
  const found: (readonly Detection[])[] = [];
  const unusable: InputError[] = [];
  let results: ResultsFile | undefined;
  let failure: unknown;
  let done = 0;
  const total = dataset.samples.length;
  const line = createProgressLine();
  const started = performance.now();
  const progress = (): void => {
    done += 1;
    const rate = done / ((performance.now() - started) / 1000);
    line.update(
      `evaluating ${done}/${total}  ${rate.toFixed(1)} images/s  ${formatDuration((total - done) / rate)} left`,
    );
  };
  const receiver: DetectionReceiver = {
    onReady() {
      if (file !== undefined) results = openResultsFile(file, { categories: dataset.annotations.categories });
    },
    onFound(place, detections) {
      found[place] = detections;
      try {
        if (failure === undefined) results?.add(dataset.samples[place]!.image, detections, place);
      } catch (error) {
        // The figures need no disk.
        failure = error;
      }
      progress();
    },
    onUnusable(place, error) {
      found[place] = [];
      unusable.push(error);
      progress();
    },
  };
  try {
    if (count) await detectInProcesses(job, { processes: count, pictures: total, receiver });
    else if (ranks) await detectInRanks(job, dataset, receiver, ranks);
    else await detectHere(job, dataset, receiver);
  } catch (error) {
    if (results === undefined || results.pictures === 0) results?.abandon();
    else results.finish();
    throw done === 0 ? error : asRunFailure(error, results && keptIn(results));
  }
  line.done();
  return { found, unusable, ...(results && { results }), failure };
}

async function detectHere(job: EvalJob, dataset: DetectionDataset, receiver: DetectionReceiver): Promise<void> {
  const { predictor, preprocess } = openEvalDetector(job, dataset, (warning) => console.error(`warning: ${warning}`));
  receiver.onReady();
  const { workers } = job.config.data;
  const damaged = new Set<number>();
  let place = 0;
  for await (const detections of detectEach(predictor, {
    dataset,
    preprocess,
    batchSize: 1,
    workers,
    onUnusable(at, error) {
      damaged.add(at);
      receiver.onUnusable(at, error);
    },
  })) {
    if (!damaged.has(place)) receiver.onFound(place, detections);
    place += 1;
  }
}

/** Detects in this process's share of the pictures; the receiver gets what all processes found. */
async function detectInRanks(
  job: EvalJob,
  dataset: DetectionDataset,
  receiver: DetectionReceiver,
  { rank, group }: Ranks,
): Promise<void> {
  const onWarning = (warning: string): void => console.error(`warning: ${warning}`);
  const { predictor, preprocess } = openEvalDetector(job, dataset, group.rank === 0 ? onWarning : undefined);
  receiver.onReady();
  await detectAmongRanks(predictor, {
    group,
    dataset,
    preprocess,
    workers: job.config.data.workers,
    onOwn: () => rank.link?.tick(),
    onFound: (place, detections) => receiver.onFound(place, detections),
    onUnusable: (place, error) => receiver.onUnusable(place, error),
  });
}

function pictureRange(text: string | undefined): readonly [number, number] | undefined {
  if (text === undefined) return undefined;
  const [, from, to] = /^(\d+):(\d+)$/.exec(text)?.map(Number) ?? [];
  if (from !== undefined && to !== undefined && from < to) return [from, to];
  throw new InputError(
    'usage',
    `--range ${text.replace(':', ' ')}: expected the first picture and the one behind the last, such as --range 0 100: correct it`,
  );
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
