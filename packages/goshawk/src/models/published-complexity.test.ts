// The two tables of SpineNet-Pytorch's document, to the printed digit, and the true multiply-accumulates beside them: those
// of the original models' convolutions and linear layers, counted on PyTorch.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/index.js';
import { buildModel } from './build.js';
import { modelComplexity } from './complexity.js';

// Config, parameters in millions, FLOPs in billions as mmdetection counts them, multiply-accumulates in billions.
const ROWS = [
  ['spinenet_49S_B_8gpu', '11.15', '30.04', '29.806'],
  ['spinenet_49_B_8gpu_640', '28.31', '83.70', '83.337'],
  ['spinenet_49_B_8gpu_896', '28.31', '164.05', '163.341'],
  ['spinenet_96_B_8gpu', '42.74', '261.35', '260.046'],
  ['spinenet_143_B_8gpu', '66.73', '518.32', '515.560'],
  ['spinenet_190_B_8gpu', '163.17', '1870.89', '1866.103'],
  ['mask_rcnn_spinenet_49S_B_8gpu_640', '13.92', '63.77', '59.58'],
  ['mask_rcnn_spinenet_49_B_8gpu_640', '40.69', '231.17', '215.19'],
  ['mask_rcnn_spinenet_96_B_8gpu_1024', '55.12', '330.72', '313.88'],
  ['mask_rcnn_spinenet_143_B_8gpu_1280', '79.11', '515.58', '497.37'],
] as const;

describe("SpineNet-Pytorch's tables of parameters and FLOPs", () => {
  for (const [name, parameters, flops, macs] of ROWS) {
    test(`${name}: ${parameters} M parameters, ${flops} GFLOPs, ${macs} G multiply-accumulates`, () => {
      const file = fileURLToPath(new URL(`../../../../configs/spinenet/${name}.yaml`, import.meta.url));
      const { model, preprocess } = loadConfig(file).config;
      const { minSize } = preprocess.resize;
      const total = modelComplexity(() => buildModel(model, { classes: 80 }), [minSize, minSize]);
      const decimals = macs.split('.')[1]!.length;
      assert.deepEqual(
        [(total.parameters / 1e6).toFixed(2), (total.flops / 1e9).toFixed(2), (total.macs / 1e9).toFixed(decimals)],
        [parameters, flops, macs],
      );
    });
  }
});

test('docs/spinenet.md has these figures: else run scripts/write-spinenet-tables.mjs', async () => {
  const script = new URL('../../../../scripts/write-spinenet-tables.mjs', import.meta.url).href;
  const { spinenetTables, tablesOnPage } = (await import(script)) as Record<string, () => string>;
  assert.equal(tablesOnPage!(), spinenetTables!().trim());
});
