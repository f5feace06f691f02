// The halves of batch norm on a card against the CPU's: the engine's sums are of floats.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../checks/index.js';
import { callOp, type DType, manualSeed, rand, randn, scope, type Tensor, tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';

type Arguments = Parameters<typeof callOnEmulatedCard> extends [string, ...infer Rest] ? Rest : never;

function compare(operator: string, tolerance: { relative: number; absolute: number }, ...args: Arguments): void {
  const found = callOnEmulatedCard(operator, ...args) as Tensor;
  const expected = callOp(`goshawk::${operator}`, ...args) as Tensor;
  assert.equal(found.dtype, expected.dtype);
  assertClose(found.to('float64'), expected.to('float64'), tolerance);
}

test('statistics, their use, sums of the gradient and theirs', () => {
  manualSeed(1);
  scope(() => {
    const EPS = 1e-3;
    for (const dtype of ['float32', 'bfloat16'] as const satisfies readonly DType[])
      for (const shape of [
        [4, 8, 9, 7],
        [5, 16],
        [2, 3, 11],
      ])
        for (const mean of [0, 3, 300]) {
          const channels = shape[1]!;
          const input = randn(shape).add(mean).to(dtype);
          const gradient = randn(shape).to(dtype);
          const [weight, bias] = [rand([channels]), randn([channels])] as const;
          // As if another process had brought as many values.
          const count = (2 * input.length) / channels;
          const own = callOp('goshawk::batch_norm_statistics', input) as Tensor;
          const statistics = own.mul(tensor([[1], [2]], { dtype: 'float64' }));
          const sums = callOp('goshawk::batch_norm_gradient_sums', gradient, input, statistics) as Tensor;
          const rounding = dtype === 'float32' ? 2e-5 : 2 ** -7;
          compare('batch_norm_statistics', { relative: 1e-5, absolute: 1e-5 }, input);
          compare(
            'batch_norm_apply',
            { relative: rounding, absolute: rounding },
            input,
            weight,
            bias,
            statistics,
            count,
            EPS,
          );
          compare('batch_norm_gradient_sums', { relative: 1e-5, absolute: 1e-4 }, gradient, input, statistics);
          compare(
            'batch_norm_gradient',
            { relative: rounding, absolute: rounding },
            gradient,
            input,
            weight,
            statistics,
            sums,
            count,
            EPS,
          );
        }
  });
});
