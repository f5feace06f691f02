import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig, parseConfig } from '../../config/index.js';
import { configDialects } from '../dialects.js';
import { readSolov2Config } from './config.js';

// dist/foreign/solov2/ -> src/foreign/solov2/: the fixtures are not compiled.
const CONFIG = readFileSync(
  fileURLToPath(new URL('../../../src/foreign/solov2/fixtures/config.py', import.meta.url)),
  'utf8',
);
const EXAMPLE = fileURLToPath(
  new URL('../../../../../configs/solov2/solov2_light_448_r18_casia.yaml', import.meta.url),
);

const read = (sets: readonly string[] = [], text = CONFIG) => readSolov2Config(text, { file: 'config.py', sets });

const OURS = `
model:
  type: solov2
  classes: 80
  backbone: { depth: 18, norm: fixed_statistics, frozenStages: 2, weights: ./pretrained/resnet18_nofc.pth }
  maskFeatures: { outputs: 128 }
  head:
    channels: 256
    convolutions: 2
    scaleRanges: [[1, 56], [28, 112], [56, 224], [112, 448], [224, 896]]
    maxDetections: 30
preprocess:
  resize:
    rule: mmdet
    kernel: opencv
    minSize: 448
    maxSize: 480
    trainMinSizes: [512, 480, 448, 416, 384, 352]
    trainMaxSize: 768
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
  padMultiple: 32
data:
  train: { annotations: ./data/casia-SPT_val/val/val_annotation.json, images: ./data/casia-SPT_val/val }
  val: { annotations: ./data/casia-SPT_val/val/val_annotation.json, images: ./data/casia-SPT_val/val }
  flip: 0.5
train:
  epochs: 36
  batchSize: 4
  optimizer: { type: sgd, lr: 0.01, momentum: 0.9, weightDecay: 0.0001 }
  schedule: { warmupIterations: 500, warmupFactor: 0.01, steps: [26, 32], stepUnit: epoch, stepsWaitForWarmup: true }
  clipGradNorm: 35
  logEvery: 50
`;

describe("pytorch_solov2's config.py", () => {
  test('becomes a config of ours', () => {
    assert.deepEqual(read().config, parseConfig(OURS, { file: 'ours' }));
  });

  test('of the example is configs/solov2/solov2_light_448_r18_casia.yaml', () => {
    const { config } = loadConfig(EXAMPLE);
    const ours = read(['model.classes=from-data', 'model.backbone.weights=pretrained/resnet18_nofc.pth']).config;
    const { train, val } = config.data;
    // There its paths begin with "./".
    for (const [own, other] of [
      [ours.data.train, train],
      [ours.data.val, val],
    ]) {
      assert.equal(own?.annotations, `./${other?.annotations}`);
      assert.equal(own?.images, `./${other?.images}`);
    }
    assert.deepEqual({ ...ours, data: { ...ours.data, train, val } }, config);
  });

  test('has ResNet-34 where it names it', () => {
    const { model } = read([], CONFIG.replace("'backbone': resnet18", "'backbone': resnet34")).config;
    assert.ok(model.type === 'solov2' && model.backbone.type === 'resnet');
    assert.deepEqual([model.backbone.depth, model.backbone.weights], [34, './pretrained/resnet34_nofc.pth']);
  });

  test('is told by its content', () => {
    const [first] = configDialects.filter(([, dialect]) => dialect.recognises('data/config.py', CONFIG));
    assert.equal(first?.[0], 'pytorch_solov2');
    const other = configDialects.filter(([, dialect]) => dialect.recognises('mask_rcnn.py', 'model = dict()'));
    assert.equal(other[0]?.[0], 'mmdetection');
  });

  test('says what its programs do in place of what it holds', () => {
    assert.deepEqual(read().notices, [
      'config.py: pictures are tested with a short side of at most 448 and a long one of at most 480, as its eval.py has it: test_pipeline is read by nothing there',
    ]);
  });

  test('takes --set in its names and in ours', () => {
    const { config } = read(['optimizer.lr=0.02', 'test_cfg.kernel=linear', 'model.head.nmsSigma=3', 'train.seed=7']);
    assert.equal(config.train.optimizer.lr, 0.02);
    assert.ok(config.model.type === 'solov2');
    assert.deepEqual([config.model.head.nms, config.model.head.nmsSigma], ['linear', 3]);
    assert.equal(config.train.seed, 7);
    const { train } = read(['total_epoch=2', 'imgs_per_gpu=3', 'optimizer_config=None']).config;
    assert.deepEqual([train.epochs, train.batchSize, train.clipGradNorm], [2, 3, undefined]);
    assert.throws(() => read(['total_epochs=2']), /total_epochs: unknown key: did you mean total_epoch\?/);
  });

  test('draws sizes from a range where it says so', () => {
    const { resize } = read([], CONFIG.replace("multiscale_mode='value'", "multiscale_mode='range'")).config.preprocess;
    assert.equal(resize.trainSizes, 'range');
  });

  for (const [what, from, to, message] of [
    ['an unknown key', "'resume_from': None,", "'resume': None,", 'resume: unknown key: did you mean resume_from?'],
    ['a value out of bounds', 'lr=0.01,', 'lr=-1,', 'optimizer.lr: as train.optimizer.lr: got -1'],
    ['an unknown backbone', "'name': 'resnet18'", "'name': 'vgg16'", "backbone.name: 'vgg16' is not supported"],
    [
      'a name that is no key',
      'len(coco2017_dataset.class_names)',
      'len(coco2017_dataset.classes)',
      'classes is no key of it',
    ],
    ['a condition', 'cfg = solov2_base_config.copy()', 'if True: pass', 'a condition: only plain data'],
  ] as const) {
    test(`tells the place of ${what}`, () => {
      const text = CONFIG.replace(from, to);
      const line = text.slice(0, text.indexOf(to)).split('\n').length;
      assert.throws(
        () => read([], text),
        (error: Error) => error.message.startsWith(`config.py:${line}: ${message}`) || assert.fail(error.message),
      );
    });
  }

  test('tells what is missing', () => {
    assert.throws(
      () => read([], CONFIG.replace("'imgs_per_gpu': 4,", '')),
      /^InputError: config\.py: imgs_per_gpu: missing/,
    );
    assert.throws(
      () => read([], CONFIG.replace('cfg = solov2_base_config.copy()', 'cfg = 3')),
      /^InputError: config\.py: cfg is no config/,
    );
  });
});
