// Initialisers: their distributions, by moments over many draws.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { empty } from '../tensor/create.js';
import { manualSeed } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { init } from './index.js';

const { gains } = JSON.parse(
  readFileSync(new URL('../../src/nn/fixtures/torch-layers.json', import.meta.url), 'utf8'),
) as { gains: Record<init.Nonlinearity, number> };

/** Weight of a convolution: fan in 50 * 9, fan out 100 * 9. */
const shape = [100, 50, 3, 3];

function moments(fill: (tensor: Tensor) => Tensor): { mean: number; std: number; largest: number } {
  manualSeed(3);
  const values = scope(() => fill(empty(shape)).toNumbers());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  return { mean, std, largest: values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) };
}

test('Kaiming initialisers have std gain / sqrt(fan) with the gains of PyTorch', () => {
  for (const [nonlinearity, gain] of Object.entries(gains) as [init.Nonlinearity, number][]) {
    for (const [mode, fan] of [
      ['fan_in', 450],
      ['fan_out', 900],
    ] as const) {
      const expected = gain / Math.sqrt(fan);
      const options = { a: 0.2, mode, nonlinearity };
      const normal = moments((tensor) => init.kaimingNormal(tensor, options));
      assertClose([normal.mean, normal.std], [0, expected], { absolute: 0.02 * expected, relative: 0.01 });
      const uniform = moments((tensor) => init.kaimingUniform(tensor, options));
      assertClose([uniform.mean, uniform.std], [0, expected], { absolute: 0.02 * expected, relative: 0.01 });
      assert.ok(uniform.largest <= expected * Math.sqrt(3) * (1 + 1e-6));
    }
  }
});

test('Xavier initialisers have std gain * sqrt(2 / (fan in + fan out))', () => {
  const expected = 2 * Math.sqrt(2 / 1350);
  for (const fill of [init.xavierNormal, init.xavierUniform]) {
    const { mean, std } = moments((tensor) => fill(tensor, { gain: 2 }));
    assertClose([mean, std], [0, expected], { absolute: 0.02 * expected, relative: 0.01 });
  }
});

test('normal, uniform and constant have the parameters that they are given', () => {
  const normal = moments((tensor) => init.normal(tensor, { mean: 1, std: 0.01 }));
  assertClose([normal.mean, normal.std], [1, 0.01], { absolute: 1e-4, relative: 0.01 });
  const uniform = moments((tensor) => init.uniform(tensor, { from: -2, to: 4 }));
  assertClose([uniform.mean, uniform.std], [1, 6 / Math.sqrt(12)], { absolute: 0.05 });
  assert.deepEqual(
    moments((tensor) => init.constant(tensor, 4)),
    { mean: 4, std: 0, largest: 4 },
  );
});

test('a truncated normal stays within its bounds and has its own smaller std', () => {
  // Within two standard deviations the std is 0.8796 of the whole one's.
  const { mean, std, largest } = moments((tensor) => init.truncatedNormal(tensor, { std: 0.5, from: -1, to: 1 }));
  assertClose([mean, std], [0, 0.8796 * 0.5], { absolute: 0.01 });
  assert.ok(largest <= 1);
});

test('fans of a vector are an error', () => {
  assert.throws(() => init.kaimingNormal(empty([4])), {
    message: 'init: fans need a weight of rank 2 or more, got [4]',
  });
});
