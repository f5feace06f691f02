import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { liveTensors, operatorsThatWait, ops, recordOperators, scope, tensor, zeros } from '@goshawk/torch';
import { deviceBatchOf } from '../infer/network-batch.js';
import type { Detector, Losses } from '../models/index.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { buildOptimizer } from './optimizer.js';
import { randomSourcesOf } from './random-sources.js';
import { Standing } from './standing.js';
import { NonFiniteLossError, type PassLosses, readStep, requireFinite, trainingPass } from './training-step.js';

const weight = tensor([2, 3]);
weight.requiresGrad = true;

/** Two losses of a weight, whose gradients are 1 and 2. */
const model = {
  namedParameters: () => [['weight', weight]],
  loss: (): Losses => ({ loss_box: ops.sum(weight), loss_class: ops.mul(ops.sum(weight), 2) }),
} as unknown as Detector;

const images = { pixels: zeros([0]), sizes: [], originals: [], scales: [] };
const pass = (divisor = 1): PassLosses =>
  trainingPass(model, { images, targets: [] }, { precision: 'fp32', device: 'cpu', divisor });

describe('a training step', () => {
  test('adds the gradients of its passes, and reads all losses in one copy at its end', () => {
    weight.grad = undefined;
    const passes: PassLosses[] = [];
    const waits = operatorsThatWait(
      recordOperators(() => {
        passes.push(pass(2), pass(2));
      }),
    );
    assert.deepEqual([...waits], []);
    assert.deepEqual(
      scope(() => weight.grad!.toNumbers()),
      [3, 3],
    );
    let read: ReturnType<typeof readStep> | undefined;
    const norm = tensor([0.5]);
    const readBacks = operatorsThatWait(
      recordOperators(() => {
        read = readStep(passes, [norm]);
      }),
    );
    assert.deepEqual([...readBacks], [['goshawk::to_host', 1]]);
    assert.deepEqual(read, {
      losses: [
        { loss_box: 5, loss_class: 10 },
        { loss_box: 5, loss_class: 10 },
      ],
      scalars: [0.5],
    });
  });

  for (const type of ['sgd', 'adamw'])
    test(`of ${type} waits for a device once, but for what the model itself does`, () => {
      const detector = tinyDetector({ sets: ['model.backbone.norm=batch'] });
      const { optimizer: settings } = tinyConfig([`train.optimizer.type=${type}`]).train;
      const optimizer = buildOptimizer(detector, settings);
      const parameters = detector.parameters();
      detector.loss = () => ({ loss_size: ops.stack(parameters.map((parameter) => ops.sum(parameter))).sum() });
      const standing = new Standing(detector, randomSourcesOf('cpu'), { seed: 0, count: 1, position: 0, pending: [] });
      const batch = {
        pixels: new Float32Array(6),
        height: 1,
        width: 2,
        images: [{ height: 1, width: 2, originalHeight: 1, originalWidth: 2, scaleX: 1, scaleY: 1 }],
        targets: [
          { boxes: new Float32Array(0), classes: new Int32Array(0), areas: new Float32Array(0), annotationIds: [] },
        ],
      };
      const step = (): void =>
        scope(() => {
          const fed = deviceBatchOf(batch, 'cpu', { gathered: true });
          const passes = [trainingPass(detector, fed, { precision: 'fp32', device: 'cpu', divisor: 1 })];
          requireFinite(readStep(passes).losses, [['a.png']]);
          optimizer.step();
          optimizer.zeroGrad();
          standing.take(standing.loader);
        });
      step();
      const waits = operatorsThatWait(recordOperators(step));
      assert.deepEqual(Object.fromEntries(waits), { 'goshawk::from_host': 1, 'goshawk::to_host': 1 });
    });

  test('keeps its losses alone', () => {
    weight.grad = undefined;
    const alive = liveTensors();
    const { values } = pass();
    assert.equal(liveTensors(), alive + 1);
    assert.equal(values.requiresGrad, false);
    values.dispose();
    assert.equal(liveTensors(), alive);
  });

  test('with a loss that is not finite names the terms and the pictures of that pass', () => {
    const files = [['a.png', 'b.png'], ['c.png']];
    const fine = { loss_box: 1, loss_class: 2 };
    requireFinite([fine, fine], files);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(
        () => requireFinite([fine, { ...fine, loss_class: value }], files),
        (error) => {
          assert.ok(error instanceof NonFiniteLossError);
          assert.match(
            error.message,
            new RegExp(`^the loss is not finite \\(loss_box 1, loss_class ${value}\\) on c\\.png: lower`),
          );
          return true;
        },
      );
  });
});
