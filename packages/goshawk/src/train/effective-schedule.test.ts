import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { trainSchema } from '../config/train-schema.js';
import { inputErrorOf } from '../testing/input-error.js';
import { effectiveSchedule } from './effective-schedule.js';

const scheduleOf = (train: object, imageCount = 1000, processes = 1) =>
  effectiveSchedule(trainSchema.parse(train), imageCount, processes);
const detectron = {
  iterations: 90000,
  optimizer: { lr: 0.02 },
  schedule: { steps: [60000, 80000], warmupIterations: 500 },
  referenceBatchSize: 16,
};

function assertNear(got: number, expected: number): void {
  assert.ok(Math.abs(got - expected) <= 1e-12 * expected, `${got}, expected ${expected}`);
}

describe('effectiveSchedule', () => {
  test('takes the numbers of the config as they are, and has nothing to explain', () => {
    const found = scheduleOf({ iterations: 7000, batchSize: 4, optimizer: { lr: 0.3 }, schedule: { steps: [50] } });
    assert.deepEqual([found.learningRate, found.iterations, found.schedule.steps], [0.3, 7000, [50]]);
    assert.equal(found.schedule.warmupIterations, 1000);
    assert.equal(found.explanation, undefined);
  });

  test('says where the warm-up outlasts the training', () => {
    assert.match(
      scheduleOf({ iterations: 70 }).explanation!,
      /^the warm-up of 1000 iterations outlasts the training of 70/,
    );
  });

  test('scales as train_net_step.py with --bs 4 --iter_size 2: lr by 4/16, steps by 16/8', () => {
    const found = scheduleOf({ ...detectron, batchSize: 4, accumulate: 2, gradients: 'sum' });
    assertNear(found.learningRate, 0.005);
    assert.deepEqual([found.iterations, found.schedule.steps], [180000, [120000, 160000]]);
    assert.equal(found.schedule.warmupIterations, 500);
    assert.equal(
      found.explanation,
      'for 8 images a step instead of 16: learning rate 0.005 instead of 0.02 (x 0.25); ' +
        'iterations 180000 instead of 90000 (x 2); steps 120000, 160000 instead of 60000, 80000 (x 2)',
    );
  });

  test('rounds iterations as int(x * scale + 0.5)', () => {
    // 80000 * 16 / 3 = 426666.67
    const found = scheduleOf({ ...detectron, batchSize: 3 });
    assert.deepEqual([found.iterations, found.schedule.steps], [480000, [320000, 426667]]);
  });

  test('where gradients are averaged, the rate follows all images of a step', () => {
    assertNear(scheduleOf({ ...detectron, batchSize: 4, accumulate: 2 }).learningRate, 0.01);
  });

  test('scales the rate alone, and the warm-up, where so told', () => {
    const rate = scheduleOf({ ...detectron, batchSize: 8, scaleSchedule: false });
    assert.deepEqual([rate.learningRate, rate.iterations, rate.schedule.steps], [0.01, 90000, [60000, 80000]]);
    assert.equal(scheduleOf({ ...detectron, batchSize: 8, scaleWarmup: true }).schedule.warmupIterations, 1000);
  });

  test('counts epochs in iterations, the last of which may show pictures of the next epoch; they are not scaled', () => {
    const train = { epochs: 12, batchSize: 4, accumulate: 4, referenceBatchSize: 32 };
    const found = scheduleOf({ ...train, schedule: { steps: [8, 11], stepUnit: 'epoch', warmupIterations: 0 } }, 100);
    // ceil(100 / 16) = 7
    assert.deepEqual([found.iterations, found.schedule.steps], [84, [56, 77]]);
    assert.equal('stepUnit' in found.schedule, false);
    assert.match(found.explanation!, /; an epoch is 7 iterations: the training is 84, steps come at 56, 77$/);
  });

  test("scales mmdetection's way, the rate and the warm-up: the rows of SpineNet's table", () => {
    const spinenet = { epochs: 350, optimizer: { lr: 0.28 }, referenceBatchSize: 256, scaleWarmup: true };
    const schedule = { warmupIterations: 2000, steps: [320, 340], stepUnit: 'epoch' };
    for (const [batchSize, rate, warmup] of [
      [128, 0.14, 4000],
      [64, 0.07, 8000],
      [48, 0.0525, 10667],
      [24, 0.02625, 21333],
    ] as const) {
      const found = scheduleOf({ ...spinenet, schedule, batchSize });
      assertNear(found.learningRate, rate);
      assert.equal(found.schedule.warmupIterations, warmup);
    }
  });

  test('a batch of the run is the same for any number of processes, and so is all that follows from it', () => {
    const train = { ...detectron, batchSize: 8 };
    const { explanation: _, ...one } = scheduleOf(train);
    for (const processes of [2, 3, 8]) {
      const { explanation, ...found } = scheduleOf(train, 1000, processes);
      assert.deepEqual(found, one);
      assert.match(
        explanation!,
        new RegExp(`^for 8 images a step \\(shared by ${processes} processes\\) instead of 16: learning rate 0.01 `),
      );
    }
  });

  test("a batch of each process grows with their number, as mmdetection's imgs_per_gpu: the rows of SpineNet's table", () => {
    const spinenet = { epochs: 350, optimizer: { lr: 0.28 }, referenceBatchSize: 256, scaleWarmup: true };
    const train = { ...spinenet, batchSizeOf: 'process', schedule: { warmupIterations: 2000 } };
    for (const [processes, batchSize, rate, warmup] of [
      [8, 32, 0.28, 2000],
      [8, 8, 0.07, 8000],
      [1, 32, 0.035, 16000],
      [2, 4, 0.00875, 64000],
    ] as const) {
      const found = scheduleOf({ ...train, batchSize }, 118_287, processes);
      assertNear(found.learningRate, rate);
      assert.equal(found.schedule.warmupIterations, warmup);
      assert.equal(found.iterations, 350 * Math.ceil(118_287 / (processes * batchSize)));
      if (processes === 2)
        assert.match(
          found.explanation!,
          /^for 8 images a step \(2 processes of 4\) instead of 256: learning rate 0.00875/,
        );
    }
  });

  test('leaves at least one iteration', () => {
    assert.equal(scheduleOf({ iterations: 1, batchSize: 100, referenceBatchSize: 2 }).iterations, 1);
  });

  test('takes epochs wherever it takes iterations, whatever the unit of plain numbers', () => {
    // 1000 pictures, 8 a step: 125 iterations.
    const found = scheduleOf({
      ...{ iterations: '12 epochs', evaluateEvery: '1 epoch', checkpointEvery: '0.5 epochs', logEvery: '0.1 epochs' },
      ...{ schedule: { steps: [600, '8 epochs', '11 epochs'], warmupIterations: '0.5 epochs' } },
      ...{ batchSize: 4, accumulate: 2, referenceBatchSize: 8 },
    });
    assert.deepEqual(
      [found.iterations, found.evaluateEvery, found.checkpointEvery, found.logEvery],
      [1500, 125, 63, 13],
    );
    assert.deepEqual([found.schedule.steps, found.schedule.warmupIterations], [[600, 1000, 1375], 63]);
    assert.equal(found.explanation, 'an epoch is 125 iterations: the training is 1500, steps come at 600, 1000, 1375');
    const plain = scheduleOf({ intervalUnit: 'epoch', evaluateEvery: 2, checkpointEvery: '1 epoch', batchSize: 8 });
    assert.deepEqual([plain.evaluateEvery, plain.checkpointEvery], [250, 125]);
    // Less than an iteration is one.
    assert.equal(scheduleOf({ evaluateEvery: '0.001 epochs', batchSize: 8 }).evaluateEvery, 1);
  });

  test('refuses steps that rise only as long as their units are not looked at', () => {
    assert.match(
      inputErrorOf(() => scheduleOf({ schedule: { steps: [600, '4 epochs'] }, batchSize: 8 })),
      /^train\.schedule\.steps: come to iterations 600, 500 \(an epoch is 125\), which must rise/,
    );
  });

  test('minutes leave the number of iterations open, but for epochs', () => {
    const open = scheduleOf({ minutes: 10, iterations: 50 });
    assert.deepEqual([open.minutes, open.mostIterations], [10, Number.POSITIVE_INFINITY]);
    assert.equal(open.explanation, undefined);
    assert.equal(scheduleOf({ minutes: 10, epochs: 2, batchSize: 8 }).mostIterations, 250);
  });
});
