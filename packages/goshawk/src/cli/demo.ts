// goshawk demo: makes scenes, trains a small Mask R-CNN on them from nothing, measures it on others, draws what it found.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CocoEvaluation, InputError, type IouType } from '@goshawk/core';
import { configToYaml, loadConfig, type RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput } from '../files/output-folder.js';
import { LOCK_NAME } from '../files/run-lock.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { type DetectorEvaluation, evaluateDetector, openDetector } from '../infer/index.js';
import {
  detectorErrors,
  metricsOf,
  PICTURES_FOLDER,
  REPORT_FILE,
  type ReportInput,
  Thumbnails,
  writeReport,
} from '../report/index.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { train } from '../train/index.js';
import { readMetrics } from '../train/metrics-log.js';
import { openSplit } from '../train/training-data.js';
import { preparePage } from './demo-page.js';
import { drawComparisons } from './draw-comparisons.js';
import { writeSyntheticDataset } from './synthetic-dataset.js';

export interface DemoCommandOptions {
  /** Default `demo-output`; what an earlier demo left there is replaced. */
  readonly output?: string;
  /** Serves a page that runs the demo's model; a demo that is already there is kept. */
  readonly browser?: boolean;
  /** That the page is served on, a number as text. */
  readonly port?: string;
}

const configFile = 'configs/demo/mask_rcnn_r18_tiny.yaml';
const sceneOptions = { width: 160, height: 160, seed: 1, difficulty: 'demo' } as const;
const trainScenes = 900;
const valScenes = 100;
const drawnScenes = 8;

/** Within a demo's folder. */
const WEIGHTS_FILE = join('training', 'final.safetensors');
const MODEL_FILE = 'model.onnx';

// Tells a demo's folder, which the next demo may replace, from any other.
const noteFile = 'ABOUT.txt';
const note = `Made by goshawk demo, which replaces all of this when it runs again.
scenes/    annotated pictures (COCO format); train.json for the training, val.json to measure on
training/  metrics.jsonl, tensorboard/, final.safetensors
pictures/  scenes of val.json: annotated at the left, found at the right
report.html what was learned and where it errs; its pictures are in report-pictures/
model.onnx what is in training/final.safetensors, for the page of --browser
`;
const parts = [
  ...['scenes', 'scenes.partial', 'training', 'pictures', 'config.yaml', 'metrics.json', MODEL_FILE],
  ...[REPORT_FILE, PICTURES_FOLDER],
];

export async function runDemo(options: DemoCommandOptions): Promise<void> {
  const started = performance.now();
  const output = options.output ?? 'demo-output';
  requireOwnFolder(output);
  endTidilyOnSignals();
  if (options.port !== undefined && !options.browser)
    throw new InputError('usage', '--port: is that of the page of --browser: give both, or neither');
  const page = options.browser ? preparePage(options.port) : undefined;
  if (!page || !existsSync(join(output, WEIGHTS_FILE))) await replaceDemo(output, started);
  await page?.serve({ weights: join(output, WEIGHTS_FILE), model: join(output, MODEL_FILE) });
}

async function replaceDemo(output: string, started: number): Promise<void> {
  const claim = claimOutput(output, { work: 'goshawk demo' });
  try {
    for (const part of parts) rmSync(join(output, part), { recursive: true, force: true });
    await makeDemo(output, started);
  } finally {
    claim.release();
  }
}

async function makeDemo(output: string, started: number): Promise<void> {
  const config = demoConfig(join(output, 'scenes'));
  writeFileAtomic(join(output, noteFile), note);
  writeFileAtomic(join(output, 'config.yaml'), configToYaml(config));

  console.log(`1/4 making ${trainScenes + valScenes} scenes`);
  await makeScenes(join(output, 'scenes'));

  console.log('2/4 training from random weights');
  const weights = await trainWithoutMeasuring(config, join(output, 'training'));

  console.log(`3/4 measuring on ${valScenes} scenes that were not trained on`);
  const dataset = openSplit(config, 'val', { purpose: 'evaluation' });
  const evaluation = await measure(config, weights, dataset);
  const { detections, evaluations, table } = evaluation;
  console.log(table);
  const report = await writeDemoReport(output, config, dataset, evaluation);

  console.log('4/4 drawing');
  const pictures = join(output, 'pictures');
  const images = join(output, 'scenes', 'images');
  const sheet = await drawComparisons({
    dataset: dataset.annotations,
    images,
    detections,
    count: drawnScenes,
    output: pictures,
  });

  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(`${summary(evaluations)}; ${minutes} minutes in all`);
  console.log(`pictures: ${sheet}, annotated at the left, found at the right; each by itself in ${pictures}`);
  console.log(`report: ${report}, where it errs, with pictures: open it in a browser`);
  console.log(`weights: ${weights}; try goshawk predict ${join(output, 'config.yaml')} --weights ${weights} PICTURE`);
}

/** What an earlier demo left is replaced. @throws InputError where the folder holds anything else */
function requireOwnFolder(output: string): void {
  if (!existsSync(output) || !statSync(output).isDirectory() || existsSync(join(output, noteFile))) return;
  if (readdirSync(output).some((name) => name !== LOCK_NAME))
    throw new InputError('usage', `${output}: holds other files: choose another folder with --output`);
}

function demoConfig(scenes: string): RunConfig {
  const { config } = loadConfig(configFile);
  const images = join(scenes, 'images');
  const train = { annotations: join(scenes, 'train.json'), images };
  const val = { annotations: join(scenes, 'val.json'), images };
  return { ...config, data: { ...config.data, train, val } };
}

async function makeScenes(output: string): Promise<void> {
  const line = createProgressLine();
  const started = performance.now();
  const splits = [
    { name: 'train', images: trainScenes },
    { name: 'val', images: valScenes },
  ];
  await writeSyntheticDataset({
    ...sceneOptions,
    output,
    splits,
    work: 'goshawk demo',
    onProgress: (done, total) => {
      const rate = done / ((performance.now() - started) / 1000);
      line.update(`${done}/${total}  ${rate.toFixed(0)} a second  ${formatDuration((total - done) / rate)} left`);
    },
  });
  line.done();
}

/** Returns the file of weights. The figures come later, from the file, as for any other model. */
async function trainWithoutMeasuring(config: RunConfig, output: string): Promise<string> {
  const { val: _, ...data } = config.data;
  const { weights } = await train({ config: { ...config, data }, output, line: createProgressLine() });
  if (weights === undefined) throw new Error('internal: the training ended without weights');
  return weights;
}

async function measure(config: RunConfig, weights: string, dataset: DetectionDataset): Promise<DetectorEvaluation> {
  const { predictor, preprocess } = openDetector({ config, weights, categories: dataset.categories });
  const line = createProgressLine();
  const result = await evaluateDetector(predictor, {
    dataset,
    preprocess,
    batchSize: 4,
    workers: config.data.workers,
    model: config.model,
    onProgress: (done, total) => line.update(`measured ${done}/${total}`),
  });
  line.done();
  return result;
}

/** Returns the page's file. */
async function writeDemoReport(
  output: string,
  config: RunConfig,
  dataset: DetectionDataset,
  evaluation: DetectorEvaluation,
): Promise<string> {
  const { model, preprocess } = config;
  const errors = detectorErrors(model, dataset.annotations, evaluation.detections);
  writeFileAtomic(join(output, 'metrics.json'), `${JSON.stringify(metricsOf(evaluation, errors), undefined, 2)}\n`);
  const { detections } = evaluation;
  const input: ReportInput = {
    ...{ title: 'goshawk demo', about: [['model', model.type]], model, preprocess },
    ...{ name: 'data.val', dataset, detections, measures: evaluation, errors },
    training: { name: 'data.train', dataset: openSplit(config, 'train', { purpose: 'training' }).annotations },
    history: readMetrics(join(output, 'training', 'metrics.jsonl')),
  };
  await writeReport(output, input, new Thumbnails(output));
  return join(output, REPORT_FILE);
}

function summary(evaluations: ReadonlyMap<IouType, CocoEvaluation>): string {
  const figures = (type: IouType, name: string): string => {
    const { AP50, AP } = evaluations.get(type)!.stats;
    return `${name} AP50 ${figure(AP50)}, AP ${figure(AP)}`;
  };
  return `${figures('bbox', 'box')}, ${figures('segm', 'mask')}`;
}

function figure(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(3);
}
