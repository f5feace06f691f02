import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type IterationSchedule, learningRateFactor } from './lr-schedule.js';

const schedule: IterationSchedule = {
  warmup: 'linear',
  warmupIterations: 6,
  warmupFactor: 0.1,
  steps: [4, 10, 13],
  decay: 'steps',
  finalFactor: 0,
  gamma: 0.1,
  length: 16,
};

// What torch 2.14.1 gives for lr 0.02 in 16 steps of MultiStepLR([4, 10, 13], 0.1) chained after
// LinearLR(start_factor=0.1, total_iters=6) and after ConstantLR(factor=0.1, total_iters=6).
const torchLinear = [
  0.002, 0.005, 0.008, 0.011, 0.0014, 0.0017, 0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5, 2e-5,
];
const torchConstant = [
  0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 0.002, 0.002, 0.002, 0.002, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5, 2e-5,
];

function assertRates(expected: readonly number[], given: IterationSchedule): void {
  expected.forEach((rate, iteration) => {
    const got = 0.02 * learningRateFactor(iteration, given);
    assert.ok(Math.abs(got - rate) <= 1e-9 * rate, `iteration ${iteration}: ${got}, torch has ${rate}`);
  });
}

describe('the learning rate', () => {
  test("follows torch's LinearLR and MultiStepLR", () => assertRates(torchLinear, schedule));

  test("follows torch's ConstantLR and MultiStepLR", () =>
    assertRates(torchConstant, { ...schedule, warmup: 'constant' }));

  test('a warm-up can hold back the steps that come during it', () => {
    const held = torchLinear.map((rate, iteration) => (iteration < 6 ? 0.02 * (0.1 + (0.9 * iteration) / 6) : rate));
    assertRates(held, { ...schedule, stepsWaitForWarmup: true });
  });

  // mmcv 0.4.3, runner/hooks/lr_updater.py, by hand: linear lr * (1 - (1 - i / n) * (1 - ratio)), exponential
  // lr * ratio ** (1 - i / n), for n = 2000 and ratio 0.1 at i = 0, 500, 1000, 1500, 2000.
  for (const [warmup, factors] of [
    ['linear', [0.1, 0.325, 0.55, 0.775, 1]],
    ['exponential', [0.1, 0.1778279410038923, 0.31622776601683794, 0.5623413251903491, 1]],
  ] as const)
    test(`follows mmcv's ${warmup} warm-up`, () => {
      const given = { ...schedule, warmup, warmupIterations: 2000, warmupFactor: 0.1, steps: [] };
      factors.forEach((factor, i) => {
        assert.ok(Math.abs(learningRateFactor(i * 500, given) - factor) < 1e-12);
      });
    });

  test("follows Detectron's: from a third of the rate over 500 iterations, then steps with decay", () => {
    // lib/utils: factor * (1 - alpha) + alpha with alpha = i / 500.
    const given = { ...schedule, warmupIterations: 500, warmupFactor: 1 / 3, steps: [60000, 80000] };
    const expected = [
      [0, 1 / 3],
      [250, 2 / 3],
      [500, 1],
      [59999, 1],
      [60000, 0.1],
      [80000, 0.01],
    ] as const;
    for (const [iteration, factor] of expected)
      assert.ok(Math.abs(learningRateFactor(iteration, given) - factor) < 1e-12, String(iteration));
  });

  test("takes Detectron's steps_with_lrs: a factor of its own from each step on", () => {
    const given = { ...schedule, warmupIterations: 0, steps: [10, 20], factors: [0.5, 0.8] };
    const got = [0, 9, 10, 19, 20, 1000].map((iteration) => learningRateFactor(iteration, given));
    assert.deepEqual(got, [1, 1, 0.5, 0.5, 0.8, 0.8]);
  });

  test("follows torch's CosineAnnealingLR to the end, and stays there", () => {
    // eta_min + (lr - eta_min) * (1 + cos(pi * t / T)) / 2 for lr 1, eta_min 0.1, T 8 at t = 0, 2, 4, 6, 8, 9.
    const given: IterationSchedule = {
      ...schedule,
      warmupIterations: 0,
      steps: [],
      decay: 'cosine',
      finalFactor: 0.1,
      length: 8,
    };
    const expected = [1, 0.8681980515339464, 0.55, 0.2318019484660536, 0.1, 0.1];
    for (const [place, iteration] of [0, 2, 4, 6, 8, 9].entries())
      assert.ok(Math.abs(learningRateFactor(iteration, given) - expected[place]!) < 1e-12);
    // The warm-up is a factor of its own.
    const warm = { ...given, warmupIterations: 4, warmupFactor: 0.5 };
    assert.ok(Math.abs(learningRateFactor(2, warm) - 0.75 * expected[1]!) < 1e-12);
  });

  test('is the configured one from the start without a warm-up', () => {
    assert.equal(learningRateFactor(0, { ...schedule, warmupIterations: 0 }), 1);
  });
});
