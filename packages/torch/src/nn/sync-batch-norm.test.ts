import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { ops, randn, scope, type Tensor, tensor } from '../index.js';
import { type Outcome, runProcesses } from '../testing/process-pairs.js';
import { onFillerRows } from './filler-rows.js';
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
const UNEQUAL = [{ shape: [2, CHANNELS, 4, 5] }, { shape: [1, CHANNELS, 3, 2] }];
interface Case {
  readonly what: string;
  readonly dtype: 'float64' | 'float32';
  readonly tolerance: number;
  readonly parts: readonly { readonly shape: readonly number[]; readonly areFillers?: boolean }[];
}
const exact = { dtype: 'float64', tolerance: 1e-13 } as const;
const single = { dtype: 'float32', tolerance: 3e-7 } as const;
/** Of a job, where neither process has a value. */
const NOTHING = {
  dtype: 'float32',
  ...{ weight: [1.5], bias: [0.1] },
  of: [0, 1].map(() => ({ shape: [1, 1, 2, 1], input: [3, 5], weights: [1, 2], areFillers: true })),
};
const CASES: readonly Case[] = [
  { what: 'unequal parts in float64', ...exact, parts: UNEQUAL },
  { what: 'unequal parts in float32', ...single, parts: UNEQUAL },
  ...[exact, single].flatMap((of): Case[] => [
    { what: `none in one process, ${of.dtype}`, ...of, parts: [UNEQUAL[0]!, { shape: [0, CHANNELS, 4, 5] }] },
    {
      what: `a row in one process that stands for none, ${of.dtype}`,
      ...of,
      parts: [{ shape: [1, CHANNELS, 3, 2], areFillers: true }, UNEQUAL[0]!],
    },
  ]),
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

describe('batch norm of two processes', { timeout: 120_000 }, () => {
  const CONSTANTS = { weight: [1.5, -2, 0.5], bias: [0.1, 0.2, 0.3] };
  let outcomes: Outcome<Results[]>[];
  const data = scope(() =>
    CASES.map(({ dtype, parts }) => ({
      ...{ dtype, ...CONSTANTS },
      of: parts.map((part) => ({
        ...part,
        input: ops.add(ops.mul(randn(part.shape), 3), 20).toNumbers(),
        weights: randn(part.shape).toNumbers(),
      })),
    })),
  );
  before(async () => {
    outcomes = await runProcesses<Results[]>(jobs, 'syncBatchNorms', { data: [...data, NOTHING] });
    for (const { error } of outcomes) assert.equal(error, undefined);
  });

  for (const [number, { what, dtype, tolerance }] of CASES.entries())
    test(`is that of one with all values: outputs, gradients, running values of ${what}`, () =>
      scope(() => {
        const { of } = data[number]!;
        const counts = of.map(({ input, areFillers }) => input.length > 0 && !areFillers);
        const doubles = of.map(({ shape, input, weights }) => ({
          input: tensor(input, { shape, dtype: 'float64' }),
          weights: tensor(weights, { shape, dtype: 'float64' }),
        }));
        const { norm, outputs, inputGradients } = alone(
          doubles.filter((_, part) => counts[part]),
          tensor(CONSTANTS.weight, { dtype }),
          tensor(CONSTANTS.bias, { dtype }),
        );
        for (const [rank, { value }] of outcomes.entries()) {
          const got = value![number]!;
          const close = (values: number[], expected: number[], name: string): void =>
            assertNear(values, expected, tolerance, name);
          const none = of[rank]!.input.map(() => 0);
          close(got.output, counts[rank] ? outputs.shift()! : none, 'output');
          close(got.inputGradient, counts[rank] ? inputGradients.shift()! : none, 'gradient of the input');
          close(got.weightGradient, norm.weight.grad!.toNumbers(), 'gradient of the weight');
          close(got.biasGradient, norm.bias.grad!.toNumbers(), 'gradient of the bias');
          close(got.runningMean, norm.runningMean.toNumbers(), 'running mean');
          close(got.runningVar, norm.runningVar.toNumbers(), 'running variance');
        }
      }));

  test('where no process has a value moves nothing', () => {
    for (const { value } of outcomes)
      assert.deepEqual(value!.at(-1), {
        output: [0, 0],
        inputGradient: [0, 0],
        ...{ weightGradient: [0], biasGradient: [0] },
        ...{ runningMean: [0], runningVar: [1] },
      });
  });
});

test('alone, of rows that stand for none, it moves nothing', () => {
  scope(() => {
    const norm = new SyncBatchNorm2d(CHANNELS);
    onFillerRows(() => norm.forward(randn([1, CHANNELS, 4, 4])));
    assert.deepEqual(norm.runningMean.toNumbers(), [0, 0, 0]);
    norm.forward(randn([1, CHANNELS, 4, 4]));
    assert.notDeepEqual(norm.runningMean.toNumbers(), [0, 0, 0]);
  });
});

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
