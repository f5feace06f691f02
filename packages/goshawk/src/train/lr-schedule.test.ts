import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ScheduleConfig } from '../config/index.js';
import { learningRateFactor } from './lr-schedule.js';

const schedule: ScheduleConfig = {
  warmup: 'linear',
  warmupIterations: 6,
  warmupFactor: 0.1,
  steps: [4, 10, 13],
  stepUnit: 'iteration',
  gamma: 0.1,
};

// What torch 2.14.1 gives for lr 0.02 in 16 steps of MultiStepLR([4, 10, 13], 0.1) chained after
// LinearLR(start_factor=0.1, total_iters=6) and after ConstantLR(factor=0.1, total_iters=6).
const torchLinear = [
  0.002, 0.005, 0.008, 0.011, 0.0014, 0.0017, 0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5, 2e-5,
];
const torchConstant = [
  0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5, 2e-5,
];

function assertRates(expected: readonly number[], given: ScheduleConfig): void {
  expected.forEach((rate, iteration) => {
    const got = 0.02 * learningRateFactor(iteration, given);
    assert.ok(Math.abs(got - rate) <= 1e-9 * rate, `iteration ${iteration}: ${got}, torch has ${rate}`);
  });
}

describe('the learning rate', () => {
  test("follows torch's LinearLR and MultiStepLR", () => assertRates(torchLinear, schedule));

  test("follows torch's ConstantLR and MultiStepLR", () =>
    assertRates(torchConstant, { ...schedule, warmup: 'constant' }));

  test('is the configured one from the start without a warm-up', () => {
    assert.equal(learningRateFactor(0, { ...schedule, warmupIterations: 0 }), 1);
  });
});
