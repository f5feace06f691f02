import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Category } from '@goshawk/core';
import { type TensorData, writePth, writeSafetensors } from '@goshawk/torch';
import type { Detector } from '../models/index.js';
import { inputError } from '../testing/input-error.js';
import { FASTER_RCNN, resNetOf, tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { describeDetector, loadWeights, outputsIn, readDescription, readWeights } from './detector-file.js';
import { openDetector } from './open-detector.js';

const categories: readonly Category[] = [
  { id: 3, name: 'left shoe', supercategory: 'shoe', keypoints: ['toe', 'heel', 'tip'], flipPairs: [[0, 2]] },
  { id: 9, name: 'right shoe' },
];

/** The names of torchvision's published files, of which each layer lacks a level. */
const oldName = (name: string): string =>
  name
    .replace(/^(backbone\.fpn\.\w+_blocks\.\d+)\.0\./, '$1.')
    .replace(/^rpn\.head\.conv\.0\.0\./, 'rpn.head.conv.')
    .replace(/^roi_heads\.mask_head\.(\d+)\.0\./, (_, index) => `roi_heads.mask_head.mask_fcn${Number(index) + 1}.`);

function stateOf(model: Detector): Map<string, TensorData> {
  return new Map(
    [...model.stateDict()].map(([name, tensor]) => [
      name,
      { dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() },
    ]),
  );
}

const same = (a: Detector, b: Detector): void => {
  const wanted = b.stateDict();
  for (const [name, tensor] of a.stateDict()) assert.deepEqual(tensor.toBytes(), wanted.get(name)!.toBytes(), name);
};

describe('model files', () => {
  let folder: string;
  let pth: string;
  let own: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-detector-file-'));
    const model = tinyDetector({ seed: 1 });
    pth = join(folder, 'torchvision.pth');
    writePth(pth, new Map([...stateOf(model)].map(([name, data]) => [oldName(name), data])));
    own = join(folder, 'own.safetensors');
    const entries = [...stateOf(model)].map(([name, data]) => ({ name, ...data }));
    writeSafetensors(own, entries, describeDetector({ config: tinyConfig(), categories }));
  });
  after(() => rmSync(folder, { recursive: true }));

  test("torchvision's old names load into a model of today's", () => {
    const model = tinyDetector({ seed: 2 });
    const weights = readWeights(pth);
    const report = loadWeights(model, weights, pth);
    assert.equal(report.loaded.length, model.stateDict().size);
    same(model, tinyDetector({ seed: 1 }));
  });

  test('tell how many classes they know', () => {
    const { model } = tinyConfig();
    assert.deepEqual(outputsIn(readWeights(pth), model), { classes: 3, keypoints: undefined });
    assert.equal(outputsIn(new Map(), model).classes, undefined);
  });

  test('are closed after reading', { skip: process.platform !== 'linux' }, () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    for (const path of [pth, own, pth, own]) readWeights(path);
    readDescription(own);
    assert.equal(open(), before);
  });

  test('of ours describe themselves; others do not', () => {
    assert.deepEqual(readDescription(own), { config: tinyConfig(), categories });
    assert.equal(readDescription(pth), undefined);
  });

  test('of ours with a damaged description are refused', () => {
    const path = join(folder, 'damaged.safetensors');
    const write = (metadata: Record<string, string>): void =>
      writeSafetensors(path, [], { ...describeDetector({ config: tinyConfig(), categories }), ...metadata });
    write({ categories: '[{"id": "one"}]' });
    assert.throws(
      () => readDescription(path),
      inputError(/damaged\.safetensors: its metadata 'categories' cannot be read/),
    );
    write({ config: '{' });
    assert.throws(() => readDescription(path), inputError(/its metadata 'config' cannot be read/));
    write({ config: '{"model": {"type": "yolo"}}' });
    assert.throws(() => readDescription(path), inputError(/damaged\.safetensors: the config inside: model/));
  });

  test('of another number of classes are refused by the first tensors that differ', () => {
    assert.throws(
      () => loadWeights(tinyDetector({ classes: 4 }), readWeights(pth), 'shoes.pth'),
      inputError(
        /^shoes\.pth: 6 of its and the model's tensors do not fit: roi_heads\.box_predictor\.cls_score\.weight is \[3, 32\], the model's \[5, 32\]; .*; \.\.\.: choose the config it was trained with, or start training from it with --init$/,
      ),
    );
  });

  test('of another architecture are refused by what is missing and what is left over', () => {
    const faster = readWeights(pth);
    for (const name of [...faster.keys()]) if (name.includes('mask')) faster.delete(name);
    assert.throws(
      () => loadWeights(tinyDetector(), faster, 'faster.pth'),
      inputError(/roi_heads\.mask_head\.0\.0\.weight is missing/),
    );
    assert.throws(
      () => loadWeights(tinyDetector({ sets: FASTER_RCNN }), readWeights(pth), 'mask.pth'),
      inputError(/roi_heads\.mask_head\.0\.0\.weight is not in the model/),
    );
  });

  test('of nothing that fits are refused even as a start', () => {
    const foreign = new Map([['fc.weight', { dtype: 'float32' as const, shape: [1], data: new Uint8Array(4) }]]);
    assert.throws(
      () => loadWeights(tinyDetector(), foreign, 'foreign.pth', { partial: true }),
      inputError(/^foreign\.pth: none of its 1 tensors fits the model/),
    );
  });

  test('of other classes start a model in all that fits', () => {
    const model = tinyDetector({ classes: 4, seed: 2 });
    const report = loadWeights(model, readWeights(pth), pth, { partial: true });
    const differing = ['box_predictor.bbox_pred', 'box_predictor.cls_score', 'mask_predictor.mask_fcn_logits'];
    assert.deepEqual(
      [...new Set(report.mismatched.map(({ name }) => name.replace(/^roi_heads\.|\.(weight|bias)$/g, '')))].toSorted(),
      differing,
    );
    assert.deepEqual([report.missing, report.unexpected], [[], []]);
    same(model.backbone as unknown as Detector, tinyDetector({ seed: 1 }).backbone as unknown as Detector);
  });

  test('of a bare ResNet start the backbone', () => {
    const source = resNetOf(tinyDetector({ seed: 1 }));
    const weights = new Map<string, TensorData>(
      [...source.stateDict()].map(([name, tensor]) => [
        name,
        { dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() },
      ]),
    );
    weights.set('fc.weight', { dtype: 'float32', shape: [1], data: new Uint8Array(4) });
    const model = tinyDetector({ seed: 2 });
    const report = loadWeights(model, weights, 'resnet18.pth', { partial: true });
    assert.equal(report.loaded.length, source.stateDict().size);
    assert.deepEqual([report.unexpected, report.orphans], [[], ['fc.weight']]);
    assert.deepEqual(resNetOf(model).stateDict().get('conv1.weight')!.toBytes(), weights.get('conv1.weight')!.data);
  });

  test('open as detectors, with the categories inside or the ones at hand', () => {
    assert.deepEqual(openDetector({ config: tinyConfig(), weights: own }).categories, categories);
    const atHand = [
      { id: 1, name: 'a' },
      { id: 2, name: 'b' },
    ];
    assert.deepEqual(openDetector({ config: tinyConfig(), weights: pth, categories: atHand }).categories, atHand);
    assert.deepEqual(
      openDetector({ config: tinyConfig(), weights: pth }).categories.map(({ name }) => name),
      ['class 1', 'class 2'],
    );
    assert.throws(
      () => openDetector({ config: tinyConfig(), weights: pth, categories: atHand.slice(1) }),
      inputError(/torchvision\.pth: tells 2 classes apart, the data has 1 categories/),
    );
  });

  test('without a box predictor do not open', () => {
    const path = join(folder, 'backbone.pth');
    writePth(path, { 'conv1.weight': { dtype: 'float32', shape: [1], data: new Uint8Array(4) } });
    assert.throws(
      () => openDetector({ config: tinyConfig(), weights: path }),
      inputError(/backbone\.pth: has no class predictor/),
    );
  });
});
