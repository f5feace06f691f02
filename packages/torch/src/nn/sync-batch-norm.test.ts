import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { ops, randn, scope, type Tensor, tensor } from '../index.js';
import { runProcesses } from '../testing/process-pairs.js';
import { BatchNorm2d } from './norm.js';
import { SyncBatchNorm2d } from './sync-batch-norm.js';

const jobs = new URL('../distributed/fixtures/jobs.js', import.meta.url);

interface Results {
  readonly output: number[];
  readonly inputGradient: number[];
  readonly weightGradient: number[];
  readonly biasGradient: number[];
  readonly runningMean: number[];
  readonly runningVar: number[];
}

const CHANNELS = 3;
// Pictures of different sizes and numbers: what is one batch of values a channel cannot be one tensor.
const SHAPES = [
  [2, CHANNELS, 4, 5],
  [1, CHANNELS, 3, 2],
];

/** By the definition over all values: [C, values] of one process. */
function alone(parts: readonly { readonly input: Tensor; readonly weights: Tensor }[], weight: Tensor, bias: Tensor) {
  const asRow = (x: Tensor): Tensor => ops.reshape(ops.transpose(x, 0, 1), [1, CHANNELS, 1, -1]);
  const norm = new BatchNorm2d(CHANNELS, { momentum: 0.3 });
  norm.to({ dtype: 'float64' });
  norm.weight.assign(weight);
  norm.bias.assign(bias);
  const inputs = parts.map(({ input }) => {
    const leaf = input.to('float64');
    leaf.requiresGrad = true;
    return leaf;
  });
  const output = norm.forward(ops.cat(inputs.map(asRow), { dim: 3 }));
  const weights = ops.cat(
    parts.map((part) => asRow(part.weights.to('float64'))),
    { dim: 3 },
  );
  ops.sum(ops.mul(output, weights)).backward();
  let start = 0;
  const outputs = inputs.map((input) => {
    const [images, , height, width] = input.shape as [number, number, number, number];
    const own = ops.narrow(output, 3, start, images * height * width);
    start += images * height * width;
    return ops.transpose(ops.reshape(own, [CHANNELS, images, height, width]), 0, 1).toNumbers();
  });
  return { norm, outputs, inputGradients: inputs.map(({ grad }) => grad!.toNumbers()) };
}

for (const [dtype, tolerance] of [
  ['float64', 1e-10],
  ['float32', 2e-6],
] as const) {
  describe(`batch norm of two processes in ${dtype}`, { timeout: 120_000 }, () => {
    test('is that of one with all pictures: outputs, gradients, running values', async () => {
      const parts = scope(() =>
        SHAPES.map((shape) => ({
          shape,
          input: ops.add(ops.mul(randn(shape), 3), 20).toNumbers(),
          weights: randn(shape).toNumbers(),
        })),
      );
      const data = { dtype, weight: [1.5, -2, 0.5], bias: [0.1, 0.2, 0.3], of: parts };
      const outcomes = await runProcesses<Results>(jobs, 'syncBatchNorm', { data });
      scope(() => {
        const doubles = parts.map(({ shape, input, weights }) => ({
          input: tensor(input, { shape, dtype: 'float64' }),
          weights: tensor(weights, { shape, dtype: 'float64' }),
        }));
        const { norm, outputs, inputGradients } = alone(
          doubles,
          tensor(data.weight, { dtype }),
          tensor(data.bias, { dtype }),
        );
        for (const [rank, { value, error }] of outcomes.entries()) {
          assert.equal(error, undefined);
          const close = (got: number[], expected: number[], of: string): void =>
            assertNear(got, expected, tolerance, of);
          close(value!.output, outputs[rank]!, 'output');
          close(value!.inputGradient, inputGradients[rank]!, 'gradient of the input');
          close(value!.weightGradient, norm.weight.grad!.toNumbers(), 'gradient of the weight');
          close(value!.biasGradient, norm.bias.grad!.toNumbers(), 'gradient of the bias');
          close(value!.runningMean, norm.runningMean.toNumbers(), 'running mean');
          close(value!.runningVar, norm.runningVar.toNumbers(), 'running variance');
        }
      });
    });
  });
}

test('alone it is batch norm', () => {
  scope(() => {
    const input = randn([2, CHANNELS, 4, 4]);
    const [sync, plain] = [new SyncBatchNorm2d(CHANNELS), new BatchNorm2d(CHANNELS)];
    assertClose(sync.forward(input), plain.forward(input), { absolute: 0, relative: 0 });
    assertClose(sync.runningVar, plain.runningVar, { absolute: 0, relative: 0 });
    assertClose(sync.eval().forward(input), plain.eval().forward(input), { absolute: 0, relative: 0 });
  });
});

/** Relative to the largest of what is expected. */
function assertNear(got: readonly number[], expected: readonly number[], tolerance: number, of: string): void {
  assert.equal(got.length, expected.length, of);
  const largest = Math.max(...expected.map(Math.abs), 1);
  for (const [i, value] of got.entries())
    assert.ok(Math.abs(value - expected[i]!) <= tolerance * largest, `${of} ${i}: ${value}, expected ${expected[i]}`);
}
