import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { inputErrorOf } from '../testing/input-error.js';
import { configToYaml, loadConfig, parseConfig, validateConfig } from './index.js';

const minimal = 'model: {type: mask_rcnn}\n';

function problem(text: string, sets: readonly string[] = []): string {
  return inputErrorOf(() => parseConfig(text, { file: 'config.yaml', sets }));
}

describe('a config', () => {
  test("of two words is torchvision's Mask R-CNN", () => {
    const { model, preprocess } = parseConfig(minimal, { file: 'config.yaml' });
    assert.ok(model.type === 'mask_rcnn');
    assert.ok(model.backbone.type === 'resnet');
    assert.equal(model.backbone.depth, 50);
    assert.equal(model.backbone.frozenStages, 2);
    assert.deepEqual(model.anchors.sizes, [[32], [64], [128], [256], [512]]);
    assert.deepEqual(model.rpn.preNmsTopN, { train: 2000, test: 1000 });
    assert.equal(model.boxHead.maxDetections, 100);
    assert.deepEqual(model.maskHead.channels, [256, 256, 256, 256]);
    assert.equal(preprocess.valueScale, 1 / 255);
    assert.equal(preprocess.resize.maxSize, 1333);
  });

  test('of a Faster R-CNN has no mask head', () => {
    assert.equal(
      problem('model:\n  type: faster_rcnn\n  maskHead: {}\n'),
      'config.yaml:3: model.maskHead: unknown key: the keys here are type, conventions, classes, backbone, neck, anchors, rpn, proposals, boxHead',
    );
  });

  test('written as YAML reads back the same', () => {
    const config = parseConfig(`${minimal}train: {clipGradNorm: 35, optimizer: {type: adamw}}\n`, {
      file: 'config.yaml',
    });
    const text = configToYaml(config);
    assert.deepEqual(parseConfig(text, { file: 'again.yaml' }), config);
    assert.match(text, /sizes: \[\[32\], \[64\], \[128\], \[256\], \[512\]\]/);
    assert.deepEqual(validateConfig(JSON.parse(JSON.stringify(config)), 'model.safetensors'), config);
  });
});

describe('a mistake in a config is one line that says', () => {
  test('the line, the unknown key and the one that was meant', () => {
    const text = `${minimal}train:\n  optimizer:\n    type: sgd\n    learningRate: 0.02\n`;
    assert.equal(problem(text), 'config.yaml:5: train.optimizer.learningRate: unknown key: did you mean lr?');
    assert.equal(
      problem(`${minimal}train:\n  batch_size: 4\n`),
      'config.yaml:3: train.batch_size: unknown key: did you mean batchSize?',
    );
    assert.equal(problem(`${minimal}trian: {}\n`), 'config.yaml:2: trian: unknown key: did you mean train?');
    assert.equal(
      problem(`${minimal}data: {xyz: 1}\n`),
      'config.yaml:2: data.xyz: unknown key: the keys here are train, val, test, flip, workers, aspectGrouping, aspectCropping, jitter, augment, exifOrientation, followLinks, keypointFlipPairs, onDamaged, learnCrowds, skipEmpty, requireKeypoints',
    );
  });

  test('what stands there and what was expected', () => {
    assert.equal(
      problem(`${minimal}train:\n  batchSize: two\n`),
      "config.yaml:3: train.batchSize: got 'two': expected a whole number from 1 to 4096 or auto",
    );
    assert.equal(
      problem(`${minimal}train:\n  batchSize: 2.5\n`),
      'config.yaml:3: train.batchSize: got 2.5: expected a whole number from 1 to 4096 or auto',
    );
    assert.equal(
      problem(`${minimal}train:\n  optimizer: {lr: -1}\n`),
      'config.yaml:3: train.optimizer.lr: got -1: expected a number above 0 and at most 1000',
    );
    assert.equal(
      problem(`${minimal}train: {optimizer: {lr: .inf}}\n`),
      'config.yaml:2: train.optimizer.lr: got Infinity: expected a number above 0 and at most 1000',
    );
    assert.equal(
      problem(`${minimal}train: {evaluateEvery: 3 rounds}`),
      "config.yaml:2: train.evaluateEvery: got '3 rounds': expected a whole number from 0 to 10000000 or epochs as in '3 epochs'",
    );
    assert.equal(
      problem(`${minimal}train: {schedule: {steps: soon}}`),
      "config.yaml:2: train.schedule.steps: got 'soon': expected a list of up to 1000 whole numbers or epochs as in '3 epochs'",
    );
    assert.equal(
      problem('model: {type: mask_rcnn, backbone: {depth: 20}}'),
      'config.yaml:1: model.backbone.depth: got 20: expected 18, 34, 50, 101 or 152',
    );
    assert.equal(
      problem('model: {type: mask_rcnn, classes: all}'),
      "config.yaml:1: model.classes: got 'all': expected a whole number from 1 to 100000 or from-data",
    );
    assert.equal(
      problem('model: {type: yolo}'),
      "config.yaml:1: model.type: got 'yolo': expected faster_rcnn, mask_rcnn, keypoint_rcnn, rpn, retinanet, solov2, decoupled_solo or sparse_rcnn",
    );
    assert.equal(
      problem(`${minimal}train: {optimizer: {type: lamb}}`),
      "config.yaml:2: train.optimizer.type: got 'lamb': expected sgd, adam or adamw",
    );
    assert.equal(
      problem(`${minimal}runtime: {device: gpu}`),
      "config.yaml:2: runtime.device: got 'gpu': expected cpu, cuda or cuda:N",
    );
    assert.equal(
      problem(`${minimal}preprocess: {mean: [1, 2]}`),
      'config.yaml:2: preprocess.mean: got [1,2]: expected a list of 3 numbers',
    );
    assert.equal(
      problem(`${minimal}data:\n  augment:\n    - {type: mosaik}\n`),
      "config.yaml:4: data.augment[0].type: got 'mosaik': expected hsv, color, blur, noise, crop, resize, affine, perspective, flip, mosaic, mixup or one_of",
    );
    assert.equal(
      problem(`${minimal}data: {augment: [{type: one_of, choices: [{steps: [{type: affine, degree: 5}]}]}]}`),
      'config.yaml:2: data.augment[0].choices[0].steps[0].degree: unknown key: did you mean degrees?',
    );
    assert.equal(problem(`${minimal}train:\n`), 'config.yaml:2: train: got nothing: expected a group of keys');
  });

  test('what is missing', () => {
    assert.equal(problem('train: {}'), 'config.yaml: model: missing: add it (expected a group of keys)');
    assert.equal(
      problem('model: {classes: 3}'),
      'config.yaml:1: model.type: missing: add it (expected faster_rcnn, mask_rcnn, keypoint_rcnn, rpn, retinanet, solov2, decoupled_solo or sparse_rcnn)',
    );
    assert.equal(
      problem(`${minimal}data:\n  train: {images: a}\n`),
      'config.yaml:3: data.train.annotations: missing: add it (expected text)',
    );
  });

  test('which values do not fit together', () => {
    assert.equal(
      problem('model:\n  type: mask_rcnn\n  anchors:\n    sizes: [[32], [64]]\n'),
      'config.yaml:4: model.anchors.sizes: got 2 lists for the 5 levels of the neck: give one list a level',
    );
    assert.equal(
      problem(`${minimal}train: {schedule: {steps: [200, 100]}}`),
      'config.yaml:2: train.schedule.steps: must rise: sort the steps',
    );
    assert.equal(
      problem(`${minimal}train: {schedule: {steps: [9, 3 epochs, 2 epochs]}}`),
      'config.yaml:2: train.schedule.steps: must rise: sort the steps',
    );
    const jitter = 'jitter: {size: [64, 64]';
    assert.equal(
      problem(`${minimal}data: {${jitter}, minScale: 3}}`),
      'config.yaml:2: data.jitter: minScale is above maxScale: exchange them',
    );
    assert.equal(
      problem(`${minimal}data: {${jitter}}, aspectCropping: {}}`),
      'config.yaml:2: data.aspectCropping: data.jitter crops already: leave out one of them',
    );
    assert.equal(
      problem(
        `${minimal}data: {${jitter}}, augment: [{type: hsv}, {type: one_of, choices: [{steps: [{type: crop}]}]}]}`,
      ),
      'config.yaml:2: data.augment: moves objects before data.jitter or data.aspectCropping looks for them: crop by steps of data.augment instead',
    );
    assert.equal(
      problem(`${minimal}data: {augment: [{type: mosaic}, {type: mosaic}, {type: mosaic}, {type: mixup}]}`),
      'config.yaml:2: data.augment: a picture would be made of more than 64: let fewer mosaics and mixups follow one another',
    );
    assert.equal(
      problem(`${minimal}data: {augment: [{type: one_of, choices: [{weight: 0}]}]}`),
      'config.yaml:2: data.augment[0].choices: every weight is 0: give one of them more',
    );
    assert.equal(
      problem('model: {type: faster_rcnn, rpn: {backgroundIou: 0.8}}'),
      'config.yaml:1: model.rpn.backgroundIou: is above rpn.foregroundIou: take at most that',
    );
  });

  test('how many more there are', () => {
    assert.equal(
      problem(`${minimal}train: {batchSize: 0, iterations: 0, seed: -1}`),
      "config.yaml:2: train.iterations: got 0: expected a whole number from 1 to 10000000 or epochs as in '3 epochs' (and 2 more problems)",
    );
  });

  test('that the file is no config', () => {
    assert.equal(problem(''), 'config.yaml: is empty: start from a file in configs/');
    assert.equal(problem('[1, 2]'), 'config.yaml: got a list, expected keys such as model and train: is it a config?');
    assert.match(problem('model: {type: mask_rcnn\ntrain: 3'), /^config\.yaml:\d+: not valid YAML: /);
    assert.match(
      problem('model: 1\nmodel: 2\n'),
      /^config\.yaml:2: not valid YAML: model is given twice, first on line 1: correct it$/,
    );
    assert.match(problem('['.repeat(100_000)), /^config\.yaml.*: not valid YAML: /);
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
    for (let i = 0; i < 9; i++) {
      const [from, to] = ['abcdefghij'[i], 'abcdefghij'[i + 1]];
      bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(', ')}]`);
    }
    assert.match(problem(bomb.join('\n')), /^config\.yaml: not valid YAML: excessive alias count/);
  });

  test('that the file cannot be read', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-config-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const missing = path.join(folder, 'no.yaml');
    assert.throws(() => loadConfig(missing), {
      message: `${missing}: no such config file: check the path`,
      code: 'file-not-found',
    });
    assert.throws(() => loadConfig(folder), { message: `${folder}: is a folder: name a config file in it` });
    const binary = path.join(folder, 'model.pth');
    writeFileSync(binary, Buffer.from([0x50, 0x4b, 3, 4, 0xff, 0xfe]));
    assert.throws(() => loadConfig(binary), { message: `${binary}: is not text in UTF-8: is it a config?` });
  });
});

describe('--set', () => {
  test('changes single values, lists, places in lists and groups', () => {
    const { model, train, data } = parseConfig(minimal, {
      file: 'config.yaml',
      sets: [
        'train.optimizer.lr=1e-3',
        'train.schedule.steps=[10, 20]',
        'train.schedule.steps[1]=30',
        'data.val={annotations: val.json, images: photos}',
        'model.boxHead.scoreThreshold=0',
      ],
    });
    assert.equal(train.optimizer.lr, 0.001);
    assert.deepEqual(train.schedule.steps, [10, 30]);
    assert.deepEqual(data.val, { annotations: 'val.json', images: 'photos' });
    assert.ok(model.type === 'mask_rcnn');
    assert.equal(model.boxHead.scoreThreshold, 0);
  });

  test('may not hold itself', () => {
    const text = 'model: { type: faster_rcnn, anchors: { sizes: &a [*a] } }';
    assert.throws(() => parseConfig(text, { file: 'c' }), InputError);
  });

  test('that refers to itself is refused', () => {
    assert.throws(() => parseConfig(minimal, { file: 'c', sets: ['data.train=&a [*a]'] }), /refers to an anchor/);
  });

  test('with null takes a key away', () => {
    const config = parseConfig(`${minimal}train: {clipGradNorm: 10, seed: 5}`, {
      file: 'config.yaml',
      sets: ['train.clipGradNorm=null', 'train.seed=null'],
    });
    assert.equal(config.train.clipGradNorm, undefined);
    assert.equal(config.train.seed, 0);
  });

  test('names itself in the message when its value is wrong', () => {
    assert.equal(
      problem(minimal, ['train.lr=1']),
      '--set train.lr=1: train.lr: unknown key: did you mean train.optimizer.lr?',
    );
    assert.equal(
      problem(minimal, ['train.seed=x']),
      "--set train.seed=x: train.seed: got 'x': expected a whole number from 0 to 4294967295",
    );
    assert.equal(
      problem(minimal, ['train.seed']),
      '--set train.seed: expected KEY=VALUE: write for example --set train.batchSize=4',
    );
    assert.equal(
      problem(minimal, ['model.type.x=1']),
      '--set model.type.x=1: model.type is a single value, not a group: set it as a whole',
    );
    assert.equal(
      problem(minimal, ['a..b=1']),
      '--set a..b=1: a part of the key is empty: write it as in train.optimizer.lr',
    );
    assert.match(problem(minimal, ['train.steps=[1']), /^--set train\.steps=\[1: the value is not valid YAML/);
  });
});
