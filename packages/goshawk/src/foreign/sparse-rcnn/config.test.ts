import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inputErrorOf } from '../../testing/input-error.js';
import { keysOf } from '../shared/key-kinds.js';
import { isSparseRcnnConfig, readSparseRcnnConfig } from './config.js';
import { shippedConfig } from './fixtures/shipped-config.js';
import { sparseRcnnKeys } from './keys.js';

const read = (text: string, ...sets: string[]) => readSparseRcnnConfig(text, { file: 'a.yaml', sets });
const problem = (text: string, ...sets: string[]) => inputErrorOf(() => read(text, ...sets));

describe("sparse_rcnnv1's config", () => {
  test('is told from ours and from others', () => {
    assert.equal(isSparseRcnnConfig('x', shippedConfig), true);
    assert.equal(isSparseRcnnConfig('x', 'model: {type: sparse_rcnn}\ntrain: {batchSize: 2}\n'), false);
    assert.equal(isSparseRcnnConfig('x', 'MODEL:\n  TYPE: generalized_rcnn\n'), false);
  });

  test('is the model, the pictures and the training that it describes', () => {
    const { config, notices } = read(shippedConfig);
    const { model, preprocess, data, train } = config;
    assert.ok(model.type === 'sparse_rcnn' && model.backbone.type === 'resnet' && model.neck.type === 'fpn');
    assert.equal(model.backbone.depth, 50);
    assert.equal(model.backbone.frozenStages, 0);
    assert.equal(model.backbone.weights, 'data/pretrained_model/resnet50.pth');
    assert.deepEqual([model.neck.biases, model.neck.upsampling, model.neck.extraLevel], [false, 'bilinear', 'none']);
    assert.equal(model.proposals, 128);
    assert.deepEqual(model.matching, { classCost: 1, l1Cost: 1, iouCost: 1, iou: 'giou' });
    assert.equal(model.head.stages, 6);
    assert.deepEqual([preprocess.resize.rule, preprocess.resize.maxSize], ['letterbox', 640]);
    assert.deepEqual(preprocess.padColour, [123, 116, 103]);
    assert.deepEqual(data.train, {
      annotations: 'data/annotations/instances_train2017.json',
      images: 'data/train2017',
    });
    assert.deepEqual([data.skipEmpty, data.learnCrowds, data.flip], [true, false, 0.5]);
    assert.equal(data.augment.length, 1);
    assert.deepEqual([train.epochs, train.batchSize, train.precision], [36, 16, 'fp32']);
    assert.ok(train.optimizer.type === 'adamw');
    assert.equal(train.optimizer.lr, 2.5e-5);
    assert.deepEqual(train.optimizer.groups, [{ names: ['.norm', '.bn'], lrFactor: 1, weightDecay: 0 }]);
    assert.deepEqual([train.schedule.steps, train.schedule.stepUnit], [[27, 33], 'epoch']);
    assert.deepEqual(train.ema, { decay: 0.9999, rampUp: 2000 });
    assert.deepEqual([train.evaluateEvery, train.intervalUnit], [1, 'epoch']);
    assert.deepEqual(notices, ['a.yaml: without effect here: model_name, val.weight_path']);
  });

  test('takes values for true as Python does', () => {
    const withBlank = (value: string) => read(shippedConfig.replace('Ture', value)).config.data.skipEmpty;
    assert.deepEqual(['True', 'Ture', '1', 'False', '0', '', "''", '[]'].map(withBlank), [
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  test('counts the GPUs, and takes a number for debug', () => {
    const batch = (gpus: string) => read(shippedConfig.replace('0,1,2,3', gpus)).config.train.batchSize;
    assert.deepEqual(['0', '0,1', "'0,1'", '[0, 1, 2]', '3'].map(batch), [4, 8, 8, 12, 4]);
    assert.match(
      problem(shippedConfig.replace('0,1,2,3', 'all')),
      /^a\.yaml:\d+: gpus: got 'all', expected numbers of GPUs/,
    );
    const { data } = read(shippedConfig.replace('debug: False', 'debug: 20')).config;
    assert.deepEqual([data.train!.limit, data.val!.limit], [20, 20]);
  });

  test('takes options in its names and in ours', () => {
    const { config } = read(shippedConfig, 'optim.lr=0.0001', 'model.backbone=resnext101_32x8d', 'train.seed=5');
    assert.ok(config.model.backbone.type === 'resnet');
    assert.deepEqual([config.train.optimizer.lr, config.train.seed], [0.0001, 5]);
    assert.deepEqual(
      [config.model.backbone.depth, config.model.backbone.groups, config.model.backbone.widthPerGroup],
      [101, 32, 8],
    );
    assert.equal(read(shippedConfig, 'model.num_cls=7').config.model.classes, 7);
  });

  test('names the line, the key and the remedy of a mistake', () => {
    assert.equal(
      problem(shippedConfig.replace('num_proposals', 'num_proposal')),
      'a.yaml:27: model.num_proposal: unknown key: did you mean model.num_proposals?',
    );
    assert.equal(
      problem(shippedConfig.replace('giou', 'siou')),
      "a.yaml:20: model.iou_type: 'siou' is not supported: take giou, iou, diou, ciou",
    );
    assert.match(
      problem(shippedConfig.replace('num_proposals: 128', 'num_proposals: 0')),
      /^a\.yaml:27: model\.num_proposals: as /,
    );
  });

  test('has no key that nothing reads', () => {
    const seen = new Set<string>();
    const { config } = read(shippedConfig);
    for (const [path, key] of keysOf(sparseRcnnKeys.tree)) {
      if (key.effect !== 'used' || path === 'model.num_cls') continue;
      const others: Partial<Record<string, readonly string[]>> = {
        int: ['5'],
        float: ['0.125'],
        ints: ['[3, 5]'],
        text: key.choices ? [key.choices.at(-1)!, key.choices[1]!] : ['else.json'],
        any: ['3', 'False', '0,1'],
      };
      const extra = path === 'optim.momentum' ? ['optim.optimizer=SGD'] : [];
      const base = extra.length > 0 ? read(shippedConfig, ...extra).config : config;
      const changes = others[key.kind]!.some((value) => {
        const own = read(shippedConfig, ...extra, `${path}=${value}`).config;
        return JSON.stringify(own) !== JSON.stringify(base);
      });
      if (changes) seen.add(path);
      else assert.fail(`${path} changes nothing`);
    }
    assert.ok(seen.size > 30);
  });
});
