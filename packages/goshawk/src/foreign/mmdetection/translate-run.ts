// Pictures, training and logging of an mmdetection 1.x config as parts of ours.

import type { ConfigPart } from '../dialect.js';
import { type Pipeline, readTestPipeline, readTrainPipeline } from '../shared/picture-pipeline.js';
import type { Section } from '../shared/python-section.js';
import { readClip, readOptimizer, readSchedule } from '../shared/python-training.js';

// The processes that mmdetection's configs are written for (its getting_started.md, and SpineNet-Pytorch's "8gpu").
const GPUS = 8;

export interface RunParts {
  readonly preprocess: ConfigPart;
  readonly data: ConfigPart;
  readonly train: ConfigPart;
}

/** @param reference images of a GPU that the learning rate is for; default imgs_per_gpu */
export function translateRun(config: Section, reference?: number): RunParts {
  const data = config.section('data');
  const imagesPerGpu = data.count('imgs_per_gpu');
  const workers = data.count('workers_per_gpu', 2, 0);
  const train = data.section('train');
  const val = data.optionalSection('val');
  const test = data.optionalSection('test');
  const training = readTrainPipeline(train.sections('pipeline'));
  const tested = val ?? test;
  // A training without validation (data.val None) may still say how pictures are tested.
  const testing = readTestPipeline(tested?.sections('pipeline') ?? config.sections('test_pipeline'));
  const splits = {
    train: readSplit(train),
    ...(val === undefined ? {} : { val: readSplit(val) }),
    ...(test === undefined ? {} : { test: readSplit(test) }),
  };
  data.finish();
  return {
    preprocess: preprocessPart(training, testing, config),
    data: {
      ...splits,
      flip: training.flip,
      workers,
      ...(training.jitter === undefined ? {} : { jitter: training.jitter }),
    },
    train: translateTrain(config, imagesPerGpu, reference ?? imagesPerGpu),
  };
}

function readSplit(split: Section): ConfigPart {
  split.choice('type', ['CocoDataset']);
  split.passOver('pipeline');
  split.fixed('proposal_file', null);
  split.fixed('classes', null);
  const part = { annotations: split.text('ann_file'), images: folder(split.text('img_prefix', '')) };
  split.idle('test_mode', 'filter_empty_gt', 'seg_prefix');
  split.finish();
  return part;
}

function folder(path: string): string {
  return path === '' ? '.' : path.replace(/(?<=.)\/+$/, '');
}

function preprocessPart(training: Pipeline, testing: Pipeline, config: Section): ConfigPart {
  const { normalize, padMultiple, sizes } = testing;
  if (JSON.stringify(normalize) !== JSON.stringify(training.normalize))
    throw config.wrong('data', 'Normalize differs between train and val, which is not supported: set both alike');
  const [size] = sizes;
  const learned = training.jitter === undefined ? training.sizes : [];
  const longest = learned[0]?.long;
  if (learned.some(({ long }) => long !== longest))
    throw config.wrong('data', 'the long sides of the training sizes differ, which is not supported: set them alike');
  const shorts = learned.map(({ short }) => short);
  const isSame = shorts.length === 0 || (shorts.length === 1 && shorts[0] === size!.short && longest === size!.long);
  return {
    resize: {
      rule: 'mmdet',
      kernel: 'opencv',
      minSize: size!.short,
      maxSize: size!.long,
      ...(isSame ? {} : { trainMinSizes: shorts, trainSizes: training.sizeMode, trainMaxSize: longest }),
    },
    channels: normalize.isRgb ? 'rgb' : 'bgr',
    valueScale: 1,
    mean: [...normalize.mean],
    std: [...normalize.std],
    padMultiple,
  };
}

function translateTrain(config: Section, imagesPerGpu: number, reference: number): ConfigPart {
  const clip = readClip(config);
  return {
    epochs: config.count('total_epochs'),
    batchSize: imagesPerGpu,
    batchSizeOf: 'process',
    referenceBatchSize: reference * GPUS,
    // Epochs are of any batch; iterations that a person sets instead are meant as they are.
    scaleSchedule: false,
    scaleWarmup: true,
    precision: readPrecision(config),
    optimizer: readOptimizer(config),
    schedule: readSchedule(config),
    ...(clip === undefined ? {} : { clipGradNorm: clip }),
    ...readLogging(config),
  };
}

function readPrecision(config: Section): 'fp32' | 'bf16' {
  if (!config.isGiven('fp16')) return 'fp32';
  config.notice('fp16 is bf16 here, which needs no loss_scale');
  return 'bf16';
}

function readLogging(config: Section): ConfigPart {
  const log = config.optionalSection('log_config');
  const every = log?.count('interval', 50);
  log?.passOver('hooks');
  log?.finish();
  return every === undefined ? {} : { logEvery: every };
}
