// What pytorch_solov2 reads of its config, as parts of ours. What it computes in place of it (train.py, eval.py, modules/solov2.py)
// is said here too.
import type { ConfigPart } from '../dialect.js';
import { type Pipeline, readTestPipeline, readTrainPipeline } from '../shared/picture-pipeline.js';
import type { Section } from '../shared/python-section.js';
import { readClip, readOptimizer, readSchedule } from '../shared/python-training.js';

/** eval.py's img_scale; the one of test_pipeline is read by nothing. */
const TEST_SIZE = { short: 448, long: 480 };

/** modules/solov2.py. */
const LIGHT_HEAD = {
  channels: 256,
  convolutions: 2,
  scaleRanges: [
    [1, 56],
    [28, 112],
    [56, 224],
    [112, 448],
    [224, 896],
  ],
};

export function translateConfig(config: Section): ConfigPart {
  config.passOver('name');
  const training = readTrainPipeline(config.sections('train_pipeline'));
  if (config.isGiven('test_pipeline')) readTestPipeline(config.sections('test_pipeline'));
  const images = config.count('imgs_per_gpu') * config.count('num_gpus', 1);
  const value = {
    model: modelPart(config),
    preprocess: preprocessPart(config, training),
    data: { ...splitParts(config), flip: training.flip, workers: config.count('workers_per_gpu', 2, 0) },
    train: {
      epochs: config.count('total_epoch'),
      batchSize: images,
      optimizer: readOptimizer(config),
      schedule: schedulePart(config),
      ...clipPart(config),
      // train.py prints every so many iterations.
      logEvery: 50,
    },
  };
  config.idle('resume_from');
  if (config.isGiven('epoch_iters_start')) config.fixed('epoch_iters_start', 1);
  config.finish();
  return value;
}

function modelPart(config: Section): ConfigPart {
  const backbone = config.section('backbone');
  const depth = Number(
    backbone.choice('name', ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152']).slice('resnet'.length),
  );
  const weights = backbone.text('path', '');
  backbone.fixed('type', 'ResNetBackbone');
  backbone.fixed('num_stages', 4);
  backbone.fixed('out_indices', [0, 1, 2, 3]);
  const frozen = backbone.count('frozen_stages', 1, -1, 4);
  backbone.finish();
  return {
    type: 'solov2',
    classes: config.count('num_classes', 81, 2) - 1,
    backbone: {
      type: 'resnet',
      depth,
      norm: 'fixed_statistics',
      frozenStages: frozen + 1,
      ...(weights === '' ? {} : { weights }),
    },
    maskFeatures: { outputs: 128 },
    head: { ...LIGHT_HEAD, ...testPart(config) },
  };
}

function testPart(config: Section): ConfigPart {
  const test = config.optionalSection('test_cfg');
  if (test === undefined) return { maxDetections: 30 };
  const part = {
    preNmsTopN: test.count('nms_pre', 500),
    scoreThreshold: test.number('score_thr', 0.1),
    maskThreshold: test.number('mask_thr', 0.5),
    minScore: test.number('update_thr', 0.05),
    nms: test.choice('kernel', ['gaussian', 'linear'], 'gaussian'),
    nmsSigma: test.number('sigma', 2),
    maxDetections: test.count('max_per_img', 30),
  };
  test.finish();
  return part;
}

function preprocessPart(config: Section, { sizes, sizeMode, normalize, padMultiple }: Pipeline): ConfigPart {
  const longest = sizes[0]?.long;
  if (sizes.some(({ long }) => long !== longest))
    throw config.wrong(
      'train_pipeline',
      'the long sides of the training sizes differ, which is not supported: set them alike',
    );
  if (!normalize.isRgb) throw config.wrong('train_pipeline', 'to_rgb False is not supported: set it to True');
  config.notice(
    `pictures are tested with a short side of at most ${TEST_SIZE.short} and a long one of at most ${TEST_SIZE.long}, as its eval.py has it: test_pipeline is read by nothing there`,
  );
  return {
    resize: {
      rule: 'mmdet',
      kernel: 'opencv',
      minSize: TEST_SIZE.short,
      maxSize: TEST_SIZE.long,
      trainMinSizes: sizes.map(({ short }) => short),
      trainSizes: sizeMode,
      trainMaxSize: longest,
    },
    valueScale: 1,
    mean: [...normalize.mean],
    std: [...normalize.std],
    padMultiple,
  };
}

function splitParts(config: Section): ConfigPart {
  const dataset = config.section('dataset');
  const split = (kind: 'train' | 'valid'): ConfigPart => {
    const prefix = dataset.text(`${kind}_prefix`, '');
    return {
      annotations: joined(prefix, dataset.text(`${kind}_info`)),
      images: joined(prefix, dataset.text(`${kind}img_prefix`, '')) || '.',
    };
  };
  const parts = { train: split('train'), val: split('valid') };
  // Classes are numbered by the annotation file alone.
  dataset.passOver('name', 'train_images', 'valid_images', 'has_gt', 'class_names', 'label_map');
  dataset.finish();
  return parts;
}

/** os.path.join, and no slash at the end. */
function joined(prefix: string, path: string): string {
  const whole = path.startsWith('/') || prefix === '' ? path : `${prefix.replace(/\/+$/, '')}/${path}`;
  return whole.replace(/(?<=.)\/+$/, '');
}

function schedulePart(config: Section): ConfigPart {
  const schedule = readSchedule(config);
  return {
    ...schedule,
    // train.py counts epochs from 1 and lowers the rate in the one that the step names.
    steps: schedule.steps.map((step) => step - 1),
    stepsWaitForWarmup: true,
  };
}

function clipPart(config: Section): ConfigPart {
  const most = readClip(config);
  return most === undefined ? {} : { clipGradNorm: most };
}
