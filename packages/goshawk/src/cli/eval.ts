// goshawk eval: a checkpoint's figures on a data set of the config.
import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Detection, InputError } from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import type { ModelConfig, RunConfig } from '../config/index.js';
import { type DetectionDataset, requireEvaluable, writeProposals } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput, requireWritableFile } from '../files/output-folder.js';
import { keptIn, openResultsFile, type ResultsFile } from '../files/results-file.js';
import { asRunFailure } from '../files/run-failure.js';
import { sha256Of } from '../files/sha256.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import {
  describeContents,
  detectAmongRanks,
  detectEach,
  evaluateAsChallenge,
  measureDetector,
  proposalsOf,
  requireSameRun,
} from '../infer/index.js';
import { requireSplit, type SplitName } from '../infer/split-options.js';
import { findWeights } from '../infer/weights-cache.js';
import { detectorKind } from '../models/index.js';
import { detectorErrors, metricsOf, REPORT_FILE, type ReportInput, Thumbnails, writeReport } from '../report/index.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { formatClassTable } from './class-table.js';
import { type DetectionReceiver, type EvalJob, openEvalDataset, openEvalDetector } from './eval-job.js';
import { detectInProcesses } from './eval-processes.js';
import type { OwnRank } from './in-ranks.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import { onRankDevice, openRankGroup, requireAlone } from './rank-group.js';
import { noneUsable, someUnusable } from './unusable-pictures.js';
import { weightsOf } from './weights-argument.js';

const MOST_PROCESSES = 256;

export interface EvalCommandOptions {
  /** Default: the config's place has them. */
  readonly weights?: string;
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

export async function runEval(configFile: string, given: EvalCommandOptions): Promise<void> {
  const options = { ...given, weights: weightsOf('eval', configFile, given) };
  const { rank } = options;
  const isWriter = rank === undefined || rank.place.rank === 0;
  const opened = openCommandConfig(configFile, options.set, { quiet: !isWriter });
  const config = onRankDevice(opened.config, rank);
  requireAlone(rank, '--processes', options.processes);
  const range = pictureRange(options.range);
  const split = splitName(options.split ?? 'val');
  const weights = findWeights(options.weights, '--weights');
  const jobs = jobsOf(config, split).map(({ name, config: own }) => ({
    name,
    job: { config: own, weights, split, ...(range && { range }) },
  }));
  const processes =
    options.processes === undefined ? undefined : wholeNumber('--processes', options.processes, 1, MOST_PROCESSES);
  if (options.saveProposals !== undefined) {
    requireProposals(config.model, options.saveProposals);
    if (jobs.length > 1)
      throw new InputError(
        'usage',
        `--save-proposals ${options.saveProposals}: is one file, but data.${split} has ${jobs.length} data sets: leave one of them, with --set data.${split}.also=null`,
      );
    requireWritableFile(options.saveProposals);
  }
  if (!isWriter) {
    const ofRank = jobs.map(({ job }) => job);
    return detectForRankZero(ofRank, rank);
  }
  const { output } = options;
  // While it waits for the others there is nothing to end tidily, and nobody to do so.
  const group = rank && openRankGroup(rank, config);
  endTidilyOnSignals();
  const claim =
    output === undefined
      ? undefined
      : claimOutput(output, { work: 'goshawk eval', files: [METRICS, RESULTS, REPORT_FILE] });
  const work = {
    ...(processes && { count: processes }),
    ...(rank && group && { ranks: { rank, group } }),
  };
  try {
    if (jobs.length === 1) {
      const show = options.json ? (metrics: object) => console.log(JSON.stringify(metrics)) : showTables;
      const { failure } = await evaluateJob(jobs[0]!.job, { ...options, ...work, show });
      if (failure !== undefined) throw failure;
    } else await evaluateJobs(jobs, { ...options, ...work });
    group?.close();
  } finally {
    claim?.release();
  }
}

/** A config for each data set of the split, in which it is the only one. */
function jobsOf(config: RunConfig, split: SplitName): readonly { readonly name: string; readonly config: RunConfig }[] {
  return requireSplit(config, split).map(({ name, split: own }) => ({
    name,
    config: { ...config, data: { ...config.data, [split]: own } },
  }));
}

/** One data set after another, each with results in a folder of its name. */
async function evaluateJobs(
  jobs: readonly { readonly name: string; readonly job: EvalJob }[],
  options: EvalCommandOptions & { readonly count?: number; readonly ranks?: Ranks },
): Promise<void> {
  const { output, json } = options;
  const all: Record<string, object> = {};
  let failure: unknown;
  for (const { name, job } of jobs) {
    if (!json) console.log(`${all[jobs[0]!.name] === undefined ? '' : '\n'}${name}:`);
    const own = output === undefined ? {} : { output: join(output, name) };
    if (own.output !== undefined) mkdirSync(own.output, { recursive: true });
    const evaluated = await evaluateJob(job, { ...options, ...own, show: json ? () => undefined : showTables });
    all[name] = evaluated.metrics;
    failure ??= evaluated.failure;
  }
  if (json) console.log(JSON.stringify(all));
  if (output !== undefined) writeFileAtomic(join(output, METRICS), `${JSON.stringify(all, undefined, 2)}\n`);
  if (failure !== undefined) throw failure;
}

function showTables(_metrics: object, tables: readonly string[]): void {
  console.log(tables.join('\n\n'));
}

/** Figures, and what was wrong with pictures that they count nonetheless. */
interface EvaluatedJob {
  /** As metrics.json has them. */
  readonly metrics: object;
  readonly failure: unknown;
}

const METRICS = 'metrics.json';
const RESULTS = 'detections.json';

/** The part of a process that writes nothing. */
async function detectForRankZero(jobs: readonly EvalJob[], rank: OwnRank): Promise<void> {
  const group = openRankGroup(rank, jobs[0]!.config);
  endTidilyOnSignals();
  const nothing = { onReady() {}, onFound() {}, onUnusable() {} };
  for (const job of jobs) await detectInRanks(job, openEvalDataset(job), nothing, { rank, group });
  group.close();
}

interface EvaluateJobOptions extends EvalCommandOptions {
  readonly count?: number;
  readonly ranks?: Ranks;
  readonly show: (metrics: object, tables: readonly string[]) => void;
}

async function evaluateJob(job: EvalJob, options: EvaluateJobOptions): Promise<EvaluatedJob> {
  const { output, count, ranks, show, saveProposals } = options;
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
  let metrics: object;
  try {
    if (unusable.length === dataset.samples.length) throw noneUsable(unusable);
    const measures = measureDetector(model, dataset, found);
    const detections = found.flat();
    const challenge = evaluateAsChallenge(dataset, detections);
    const errors = detectorErrors(model, dataset.annotations, detections);
    metrics = { ...metricsOf(measures, errors), ...challenge?.metrics };
    const [evaluation] = measures.evaluations.values();
    const classes = evaluation && errors ? [formatClassTable(evaluation, errors)] : [];
    show(metrics, [measures.table, ...classes, ...(challenge ? [challenge.table] : [])]);
    // What is to be read is out; what is written comes after it.
    if (detection.failure !== undefined) throw detection.failure;
    if (output) {
      writeFileAtomic(join(output, METRICS), `${JSON.stringify(metrics, undefined, 2)}\n`);
      const report = evalReport(job, { dataset, measures, detections, errors });
      await writeReport(output, report, new Thumbnails(output));
    }
    if (saveProposals) {
      mkdirSync(dirname(saveProposals), { recursive: true });
      writeProposals(saveProposals, proposalsOf(dataset.samples, found));
    }
  } catch (error) {
    throw asRunFailure(error, results && keptIn(results));
  } finally {
    results?.finish();
  }
  const whose = unusable.length === 1 ? 'its' : 'their';
  const failure =
    unusable.length > 0 ? someUnusable(unusable, `the figures count ${whose} objects as not found`) : undefined;
  return { metrics, failure };
}

function evalReport(
  { config, weights, split }: EvalJob,
  measured: Pick<ReportInput, 'dataset' | 'measures' | 'detections' | 'errors'>,
): ReportInput {
  return {
    ...measured,
    title: basename(weights),
    about: [
      ['model', config.model.type],
      ['weights', weights],
    ],
    model: config.model,
    preprocess: config.preprocess,
    name: `data.${split}`,
  };
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
    batchSize: job.config.inference.batchSize,
    workers,
    onUnusable(at, error) {
      damaged.add(at);
      receiver.onUnusable(at, error);
    },
  })) {
    if (!damaged.has(place)) receiver.onFound(place, detections);
    place += 1;
  }
  if (place > damaged.size) console.error(predictor.stages.describe(place - damaged.size));
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
  requireSameRun(group, job.config, {
    [`data.${job.split}`]: describeContents(dataset),
    'the checksum of --weights': sha256Of(job.weights),
  });
  receiver.onReady();
  await detectAmongRanks(predictor, {
    group,
    dataset,
    preprocess,
    batchSize: job.config.inference.batchSize,
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
