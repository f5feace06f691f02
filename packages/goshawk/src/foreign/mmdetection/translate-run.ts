// Pictures, training and logging of an mmdetection 1.x config as parts of ours.

import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';
import { type Pipeline, readTestPipeline, readTrainPipeline } from './pipelines.js';

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
      ...(isSame ? {} : { trainMinSizes: shorts, trainMaxSize: longest }),
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

function readOptimizer(config: Section): ConfigPart {
  const optimizer = config.section('optimizer');
  const type = optimizer.choice('type', ['SGD', 'Adam', 'AdamW']);
  const decay = optimizer.number('weight_decay', 0);
  const options = optimizer.optionalSection('paramwise_options');
  const factors = {
    ...(options?.isGiven('bias_lr_mult') ? { biasLrFactor: options.number('bias_lr_mult') } : {}),
    ...(options?.isGiven('bias_decay_mult') ? { biasWeightDecay: decay * options.number('bias_decay_mult') } : {}),
    ...(options?.isGiven('norm_decay_mult') ? { normWeightDecay: decay * options.number('norm_decay_mult') } : {}),
  };
  if (type === 'AdamW' && Object.keys(factors).length > 0)
    throw optimizer.wrong('paramwise_options', 'AdamW with them is not supported: remove them');
  options?.finish();
  const part = {
    type: type.toLowerCase(),
    lr: optimizer.number('lr'),
    weightDecay: decay,
    ...(type === 'SGD'
      ? { momentum: optimizer.number('momentum', 0), nesterov: optimizer.flag('nesterov', false) }
      : { betas: [...optimizer.numbers('betas', [0.9, 0.999])], eps: optimizer.number('eps', 1e-8) }),
    ...factors,
  };
  optimizer.finish();
  return part;
}

function readClip(config: Section): number | undefined {
  const clip = config.optionalSection('optimizer_config');
  const bounds = clip?.optionalSection('grad_clip');
  bounds?.fixed('norm_type', 2);
  const most = bounds?.number('max_norm');
  bounds?.finish();
  clip?.finish();
  return most;
}

const WARMUPS = { linear: 'linear', constant: 'constant', exp: 'exponential' } as const;
// mmcv's: lr_updater.py.
const STANDARD_GAMMA = 0.1;
const STANDARD_WARMUP_RATIO = 0.1;

function readSchedule(config: Section): ConfigPart {
  const schedule = config.section('lr_config');
  schedule.choice('policy', ['step']);
  schedule.fixed('by_epoch', true);
  const warmup = schedule.isGiven('warmup')
    ? {
        warmup: WARMUPS[schedule.choice('warmup', ['linear', 'constant', 'exp'])],
        warmupIterations: schedule.count('warmup_iters', 0, 0),
        warmupFactor: schedule.number('warmup_ratio', STANDARD_WARMUP_RATIO),
      }
    : { warmupIterations: 0 };
  schedule.passOver('warmup_iters', 'warmup_ratio');
  const part = {
    ...warmup,
    steps: [...schedule.numbers('step')],
    stepUnit: 'epoch',
    gamma: schedule.number('gamma', STANDARD_GAMMA),
  };
  schedule.finish();
  return part;
}

function readLogging(config: Section): ConfigPart {
  const log = config.optionalSection('log_config');
  const every = log?.count('interval', 50);
  log?.passOver('hooks');
  log?.finish();
  return every === undefined ? {} : { logEvery: every };
}
