// The checkpoints of sparse_rcnnv1: a dict of the model and of its average, by which it is evaluated.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type PthValue, scope, type TensorData, writePth } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { buildModel, type Detector } from '../models/index.js';
import { loadWeights, outputsIn, readWeights } from './detector-file.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-sparse-checkpoint-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const { model: config } = parseConfig(
  `model:
  type: sparse_rcnn
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { type: fpn, channels: 16, extraLevel: none, biases: false, upsampling: bilinear }
  proposals: 5
  head: { stages: 2, feedforwardSize: 24, dynamicChannels: 4, boxLayers: 2 }
`,
  { file: 'sparse' },
);

/** Our names as sparse_rcnnv1 writes them. */
function theirName(name: string): string {
  return name
    .replace(/^backbone\.body\./, 'backbones.')
    .replace(
      /^backbone\.fpn\.inner_blocks\.(\d)\.0\./,
      (_, level) => `fpn.c${Number(level) + 2}_to_f${Number(level) + 2}.`,
    )
    .replace(/^backbone\.fpn\.layer_blocks\.(\d)\.0\./, (_, level) => `fpn.p${Number(level) + 2}_out.`)
    .replace('head.stages.', 'head.heads.')
    .replace(/feed_forward\.(\d)/, (_, place) => `feed_forward.${Number(place) * 3}`)
    .replace(
      /(cls|reg)_tower\.(\d)\.(\d)/,
      (_, tower, layer, part) => `${tower}_tower.${Number(layer) * 3 + Number(part)}`,
    );
}

function stateOf(model: Detector, change: (value: number) => number): Map<string, TensorData> {
  return new Map(
    [...model.stateDict()].map(([name, value]) => {
      const data = new Uint8Array(value.toFloat32Array().map(change).buffer);
      return [theirName(name), { dtype: 'float32' as const, shape: value.shape, data }];
    }),
  );
}

describe('a checkpoint of sparse_rcnnv1', () => {
  test('loads by its averaged weights, all of them', () =>
    scope(() => {
      const trained = buildModel(config, { classes: 3 });
      const path = join(folder, 'sparse_rcnn_resnet18_last.pth');
      const contents = new Map<string, PthValue>([
        ['model', stateOf(trained, (value) => value)],
        ['epoch', 3],
        ['ema', stateOf(trained, (value) => value * 0.5)],
      ]);
      writePth(path, contents);
      const weights = readWeights(path);
      assert.equal(outputsIn(weights, config).classes, 4);
      const model = buildModel(config, { classes: 3 });
      const report = loadWeights(model, weights, path);
      assert.equal(report.dialect, 'sparse_rcnnv1');
      assert.deepEqual([report.missing, report.unexpected, report.mismatched], [[], [], []]);
      const own = model.stateDict();
      for (const [name, value] of trained.stateDict())
        assert.deepEqual(
          own.get(name)!.toFloat32Array(),
          value.toFloat32Array().map((each) => each * 0.5),
          name,
        );
    }));

  test('of the weights alone loads too', () =>
    scope(() => {
      const trained = buildModel(config, { classes: 3 });
      const path = join(folder, 'bare.pth');
      writePth(
        path,
        stateOf(trained, (value) => value),
      );
      const report = loadWeights(buildModel(config, { classes: 3 }), readWeights(path), path);
      assert.deepEqual([report.missing, report.unexpected, report.mismatched], [[], [], []]);
    }));
});
