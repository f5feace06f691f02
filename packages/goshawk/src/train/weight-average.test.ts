import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { init, noGrad, ops, scope } from '@goshawk/torch';
import { loadWeights, readWeights } from '../infer/detector-file.js';
import type { Detector } from '../models/index.js';
import { inputErrorOf } from '../testing/input-error.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { restoreCheckpoint, writeCheckpoint } from './checkpoint.js';
import { buildOptimizer } from './optimizer.js';
import { averageDecay, WeightAverage } from './weight-average.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-average-'));
after(() => rmSync(folder, { recursive: true }));

const config = tinyConfig(['train.ema={decay: 0.9, rampUp: 2}']);
const ema = config.train.ema!;

/** Of the first convolution: every value the same, since the tests set it so. */
const firstValueOf = (model: Detector): number =>
  [...model.namedParameters()].find(([name]) => name === 'backbone.body.conv1.weight')![1].toFloat32Array()[0]!;

function setAll(model: Detector, value: number): void {
  noGrad(() => {
    for (const parameter of model.parameters()) init.constant(parameter, value);
  });
}

describe('the average of the weights', () => {
  test('grows its share as the original does, and has a fixed one without a ramp', () => {
    assert.ok(Math.abs(averageDecay(1, { decay: 0.9999, rampUp: 2000 }) - 0.000499825033328626) < 1e-15);
    assert.equal(averageDecay(1, { decay: 0.5, rampUp: 0 }), 0.5);
  });

  test('is decay * average + (1 - decay) * weights after each step', () =>
    scope(() => {
      const model = tinyDetector();
      const average = new WeightAverage(model, tinyDetector({ seed: 1 }), ema);
      assert.equal(firstValueOf(average.model), firstValueOf(model));
      let expected = firstValueOf(model);
      for (const [step, value] of [3, -2, 7].entries()) {
        setAll(model, value);
        average.update(step + 1);
        const decay = 0.9 * (1 - Math.exp(-(step + 1) / 2));
        expected = decay * expected + (1 - decay) * value;
      }
      // Three sums, each rounded to float32.
      assert.ok(Math.abs(firstValueOf(average.model) - expected) < 3 * 2 ** -24 * 7);
      assert.ok(average.model.parameters().every(({ requiresGrad }) => !requiresGrad));
    }));

  test('stays where weights stay, step after step', () =>
    scope(() => {
      const model = tinyDetector();
      const average = new WeightAverage(model, tinyDetector({ seed: 1 }), { decay: 0.9999, rampUp: 100 });
      for (let step = 1; step <= 300; step++) average.update(step);
      const trained = new Map(model.stateDict());
      for (const [name, own] of average.model.stateDict())
        assert.deepEqual(own.toNumbers(), trained.get(name)!.toNumbers(), name);
    }));

  test('follows running statistics too, and takes counts over', () =>
    scope(() => {
      const sets = ['model.backbone.norm=batch'];
      const model = tinyDetector({ sets });
      const average = new WeightAverage(model, tinyDetector({ sets }), { decay: 0.5, rampUp: 0 });
      const state = model.stateDict();
      noGrad(() => {
        ops.fill_(state.get('backbone.body.bn1.running_mean')!, 4);
        ops.fill_(state.get('backbone.body.bn1.num_batches_tracked')!, 9);
      });
      average.update(1);
      const own = average.model.stateDict();
      assert.equal(own.get('backbone.body.bn1.running_mean')!.toFloat32Array()[0], 2);
      assert.equal(own.get('backbone.body.bn1.num_batches_tracked')!.item(), 9);
    }));

  test('goes on from a checkpoint, which is read for prediction by it', () =>
    scope(() => {
      const model = tinyDetector();
      const average = new WeightAverage(model, tinyDetector({ seed: 1 }), ema);
      setAll(model, 2);
      average.update(1);
      const optimizer = buildOptimizer(model, config.train.optimizer);
      const description = { config, categories: [] };
      const progress = { iteration: 1, loader: { position: 0, epoch: 0 } as never };
      const path = writeCheckpoint(folder, { model, average: average.model }, optimizer, progress, description);

      const other = tinyDetector({ seed: 2 });
      const copy = new WeightAverage(other, tinyDetector({ seed: 3 }), ema);
      restoreCheckpoint(path, { model: other, average: copy.model }, buildOptimizer(other, config.train.optimizer));
      assert.equal(firstValueOf(other), 2);
      assert.equal(firstValueOf(copy.model), firstValueOf(average.model));

      const predicting = tinyDetector({ seed: 4 });
      loadWeights(predicting, readWeights(path), path);
      assert.equal(firstValueOf(predicting), firstValueOf(average.model));
    }));

  test('is missed in a checkpoint without one', () =>
    scope(() => {
      const model = tinyDetector();
      const optimizer = buildOptimizer(model, config.train.optimizer);
      const progress = { iteration: 2, loader: { position: 0, epoch: 0 } as never };
      const path = writeCheckpoint(folder, { model }, optimizer, progress, { config, categories: [] });
      const average = new WeightAverage(model, tinyDetector({ seed: 1 }), ema);
      assert.match(
        inputErrorOf(() => restoreCheckpoint(path, { model, average: average.model }, optimizer)),
        /has no average of the weights: continue without train\.ema/,
      );
    }));
});
