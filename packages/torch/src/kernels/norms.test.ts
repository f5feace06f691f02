import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { autocast } from '../amp/index.js';
import { assertClose } from '../checks/index.js';
import { Parameter } from '../nn/index.js';
import { ops } from '../ops/index.js';
import {
  callTensorOp,
  type DType,
  grad,
  type MemoryFormat,
  manualSeed,
  noGrad,
  ones,
  randn,
  scope,
  setThreads,
  type Tensor,
  tensor,
  zeros,
} from '../tensor/index.js';
import { batchNormTraining, groupNorm } from './norms.js';

const FORMATS: readonly MemoryFormat[] = ['channels_last', 'contiguous_format'];
const EPS = 1e-3;

before(() => setThreads(1));
after(() => setThreads(1));

/** The input, what scales it, and the gradient of the result. */
interface Case {
  readonly shape: readonly number[];
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly gradient: Tensor;
}

function makeCase(shape: readonly number[], { mean = 0, deviation = 1, seed = 1 } = {}): Case {
  manualSeed(seed);
  const [, channels = 0] = shape;
  return {
    shape,
    input: ops.add(ops.mul(randn(shape), deviation), mean),
    weight: ops.add(ops.mul(randn([channels]), 0.3), 1),
    bias: randn([channels]),
    gradient: ops.add(randn(shape), 0.3),
  };
}

interface Result {
  readonly output: Tensor;
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The output and the gradients of input, weight and bias, computed from copies in the memory format and dtype. */
function run(
  one: Case,
  norm: (input: Tensor, weight: Tensor, bias: Tensor) => Tensor,
  { format = 'contiguous_format', dtype = 'float32' }: { format?: MemoryFormat; dtype?: DType } = {},
): Result {
  const placed = (values: Tensor): Tensor => {
    const copy = values.detach().clone().to(dtype);
    return copy.shape.length === 4 ? copy.to({ memoryFormat: format }) : copy;
  };
  const input = placed(one.input);
  const [weight, bias] = [one.weight, one.bias].map((each) =>
    each
      .detach()
      .clone()
      .to(dtype === 'float64' ? 'float64' : 'float32'),
  ) as [Tensor, Tensor];
  for (const leaf of [input, weight, bias]) leaf.requiresGrad = true;
  const output = norm(input, weight, bias);
  const found = grad([output], [input, weight, bias], { gradients: [placed(one.gradient)] });
  return { output, input: found[0]!, weight: found[1]!, bias: found[2]! };
}

/** Mean and biased variance over the dimensions that follow when the maps are seen as `shape`, spread over them again. */
function standardised(input: Tensor, shape: readonly number[], dims: readonly number[]) {
  const maps = input.reshape([...shape]);
  const mean = ops.mean(maps, dims, { keepdim: true });
  const centred = ops.sub(maps, mean);
  const variance = ops.mean(ops.mul(centred, centred), dims, { keepdim: true });
  return { mean, variance, values: ops.mul(centred, ops.rsqrt(ops.add(variance, EPS))).reshape([...input.shape]) };
}

function scaled(values: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const sides = [-1, ...new Array<number>(values.shape.length - 2).fill(1)];
  return ops.add(ops.mul(values, weight.reshape(sides)), bias.reshape(sides));
}

/** The definition by elementary operators, and with it its gradients; meant for float64. */
function definedBatchNorm(input: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const [images = 0, channels = 0] = input.shape;
  return scaled(standardised(input, [images, channels, -1], [0, 2]).values, weight, bias);
}

const definedGroupNorm =
  (groups: number) =>
  (input: Tensor, weight: Tensor, bias: Tensor): Tensor =>
    scaled(standardised(input, [input.shape[0]!, groups, -1], [2]).values, weight, bias);

const ours = (input: Tensor, weight: Tensor, bias: Tensor): Tensor => {
  const [, channels = 0] = input.shape;
  const running = { runningMean: zeros([channels]), runningVar: ones([channels]) };
  return batchNormTraining(input, { weight, bias, ...running }, { momentum: 0.1, eps: EPS });
};

/** The root mean square of the difference, as a part of that of `wanted`. */
function relativeError(actual: Tensor, wanted: Tensor): number {
  const size = (values: Tensor): number => Math.sqrt(ops.sum(ops.mul(values, values)).item());
  return size(ops.sub(actual.to('float64'), wanted)) / size(wanted);
}

function assertAlike(own: Result, exact: Result, within: number): void {
  for (const key of ['output', 'input', 'weight', 'bias'] as const) {
    const error = relativeError(own[key], exact[key]);
    assert.ok(error <= within, `${key}: off by ${error}`);
  }
}

const side = fc.integer({ min: 1, max: 7 });
const shapes = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 }), side, side)
  .filter(([images, , height, width]) => images * height * width > 1);

/** A norm, its definition, and what it is called. */
const NORMS = [
  ['batchNormTraining', ours, definedBatchNorm],
  ['groupNorm', (input, weight, bias) => groupNorm(input, 4, weight, bias, EPS), definedGroupNorm(4)],
] as const satisfies readonly (readonly [string, typeof ours, typeof ours])[];

for (const [name, norm, definition] of NORMS) {
  describe(name, () => {
    const fitting = name === 'groupNorm' ? shapes.map(([n, c, h, w]) => [n, 4 * Math.ceil(c / 4), h, w]) : shapes;
    test('is its definition, with the gradients of it, in either memory format', () => {
      fc.assert(
        fc.property(fitting, fc.constantFrom(...FORMATS), fc.constantFrom(0, 3, 1000), (shape, format, mean) =>
          scope(() => {
            const one = makeCase(shape, { mean });
            const own = run(one, norm, { format });
            const exact = run(one, definition, { dtype: 'float64' });
            assertClose(own.output, exact.output.to('float32'), { relative: 1e-6, absolute: 1e-6 });
            for (const key of ['input', 'weight', 'bias'] as const) {
              const size = exact[key].abs().max().item() as number;
              // Over two or three values the gradient is a difference of equal numbers, up to 1 / sqrt(eps) large.
              assertClose(own[key], exact[key].to('float32'), { relative: 1e-5, absolute: 1e-5 * Math.max(1, size) });
            }
          }),
        ),
        { numRuns: 80 },
      );
    });

    test('keeps float32 digits over large maps, far from zero too, in either memory format', () => {
      for (const { shape, mean, deviation } of [
        { shape: [2, 32, 160, 160], mean: 2.5, deviation: 3 },
        { shape: [1, 40, 90, 110], mean: 1000, deviation: 1 },
      ]) {
        for (const format of FORMATS) {
          scope(() => {
            const one = makeCase(shape, { mean, deviation });
            assertAlike(run(one, norm, { format }), run(one, definition, { dtype: 'float64' }), 1.2e-7);
          });
        }
      }
    });

    test('takes inputs of other numbers of dimensions', () =>
      scope(() => {
        for (const shape of [
          [7, 40],
          [3, 20, 11],
          [2, 12, 3, 4, 5],
        ]) {
          const one = makeCase(shape);
          assertAlike(run(one, norm), run(one, definition, { dtype: 'float64' }), 1e-6);
        }
      }));

    test('gives the same bits on any number of threads', () => {
      for (const format of FORMATS) {
        const bytes = (threads: number): Buffer[] =>
          scope(() => {
            setThreads(threads);
            const { output, input, weight, bias } = run(makeCase([2, 36, 70, 61]), norm, { format });
            return [output, input, weight, bias].map((each) => Buffer.from(each.contiguous().toBytes()));
          });
        const one = bytes(1);
        for (const threads of [2, 3]) {
          assert.ok(bytes(threads).every((each, i) => each.equals(one[i]!)));
        }
        setThreads(1);
      }
    });

    test('takes bfloat16 maps with float32 parameters and rounds at the end alone', () =>
      scope(() => {
        for (const format of FORMATS) {
          const one = makeCase([2, 36, 30, 31], { mean: 1 });
          const half: Case = { ...one, input: one.input.to('bfloat16'), gradient: one.gradient.to('bfloat16') };
          const own = run(half, norm, { format, dtype: 'bfloat16' });
          const exact = run(half, definition, { dtype: 'float64' });
          assert.deepEqual(
            [own.output, own.input, own.weight, own.bias].map(({ dtype }) => dtype),
            ['bfloat16', 'bfloat16', 'float32', 'float32'],
          );
          assertClose(own.output, exact.output.to('float32'), { relative: 1.001 * 2 ** -8, absolute: 1e-6 });
          assert.ok(relativeError(own.input, exact.input) < 2 ** -8);
          assert.ok(relativeError(own.weight, exact.weight) < 2e-7);
          assert.ok(relativeError(own.bias, exact.bias) < 2e-7);
        }
      }));

    test('is the same inside autocast()', () =>
      scope(() => {
        const one = makeCase([2, 8, 5, 5]);
        const outside = run(one, norm).output;
        const inside = autocast('bfloat16', () => norm(one.input, one.weight, one.bias));
        assert.deepEqual(inside.toNumbers(), outside.toNumbers());
      }));

    test('has derivatives of derivatives', () =>
      scope(() => {
        const second = (way: typeof norm, dtype: DType): Tensor[] => {
          const one = makeCase([2, 4, 3, 3]);
          const leaves = [one.input, one.weight, one.bias].map((each) => each.to(dtype).detach());
          for (const leaf of leaves) leaf.requiresGrad = true;
          const output = way(...(leaves as [Tensor, Tensor, Tensor]));
          const [first] = grad([ops.sum(ops.pow(output, 3))], [leaves[0]!], { createGraph: true });
          return grad([ops.sum(ops.mul(first!, first!))], leaves.slice(0, 2)) as Tensor[];
        };
        const exact = second(definition, 'float64');
        for (const [i, own] of second(norm, 'float32').entries()) {
          const size = exact[i]!.abs().max().item() as number;
          assertClose(own, exact[i]!.to('float32'), { absolute: 5e-6 * size });
        }
      }));

    test('gives gradients to what wants them alone, and records nothing without', () =>
      scope(() => {
        const { input, weight, bias } = makeCase([2, 8, 4, 5]);
        weight.requiresGrad = true;
        const output = norm(input, weight, bias);
        ops.sum(ops.mul(output, output)).backward();
        assert.ok(weight.grad);
        assert.equal(input.grad, undefined);
        assert.equal(noGrad(() => norm(input, weight, bias)).requiresGrad, false);
      }));

    test('takes maps that lie in neither format', () =>
      scope(() => {
        const { input, weight, bias } = makeCase([3, 8, 6, 10]);
        const strided = ops.narrow(input.permute([0, 1, 3, 2]), 2, 1, 8);
        const copied = norm(strided.contiguous(), weight, bias);
        assertClose(norm(strided, weight, bias), copied, { absolute: 0, relative: 0 });
      }));

    test('is the engine for float64', () =>
      scope(() => {
        const one = makeCase([2, 8, 4, 5]);
        const wide = [one.input, one.weight, one.bias].map((each) => each.to('float64')) as [Tensor, Tensor, Tensor];
        const own =
          name === 'groupNorm'
            ? norm(...wide)
            : batchNormTraining(
                wide[0],
                {
                  weight: wide[1],
                  bias: wide[2],
                  runningMean: zeros([8], { dtype: 'float64' }),
                  runningVar: ones([8], { dtype: 'float64' }),
                },
                { momentum: 0.1, eps: EPS },
              );
        assertClose(own, definition(...wide), { relative: 1e-12, absolute: 1e-12 });
      }));
  });
}

describe('the statistics of batchNormTraining', () => {
  /** What the running values become in one step of the whole way. */
  const statisticsOf = (input: Tensor): { mean: Tensor; variance: Tensor } => {
    const channels = input.shape[1]!;
    const [runningMean, runningVar] = [zeros([channels]), ones([channels])];
    const affine = { weight: ones([channels]), bias: zeros([channels]) };
    batchNormTraining(input, { ...affine, runningMean, runningVar }, { momentum: 1, eps: EPS });
    return { mean: runningMean, variance: runningVar };
  };
  const exactOf = (input: Tensor) => {
    const [images = 0, channels = 0] = input.shape;
    const wide = input.to('float64');
    const { mean, variance } = standardised(wide, [images, channels, -1], [0, 2]);
    const count = input.length / channels;
    return { mean: mean.flatten(), variance: ops.mul(variance.flatten(), count / (count - 1)) };
  };

  test('are the mean and the unbiased variance, to the last digit of a float', () =>
    scope(() => {
      for (const [mean, deviation] of [
        [2.5, 3],
        [0, 1],
        [1000, 1],
        [-30000, 0.1],
      ] as const) {
        for (const format of FORMATS) {
          const { input } = makeCase([2, 33, 100, 101], { mean, deviation });
          const own = statisticsOf(input.to({ memoryFormat: format }));
          const exact = exactOf(input);
          assertClose(own.mean, exact.mean.to('float32'), { relative: 6e-8, absolute: 1e-9 });
          assertClose(own.variance, exact.variance.to('float32'), { relative: 1.2e-7, absolute: 0 });
        }
      }
    }));

  test('stand an outlier where the sums begin', () =>
    scope(() => {
      const { input } = makeCase([1, 20, 60, 60], { mean: 1 });
      ops.narrow(ops.narrow(input, 2, 0, 1), 3, 0, 1).fill_(5000);
      for (const format of FORMATS) {
        const own = statisticsOf(input.to({ memoryFormat: format }));
        assertClose(own.variance, exactOf(input).variance.to('float32'), { relative: 1.2e-7, absolute: 0 });
      }
    }));

  test('are those of bfloat16 values within what float32 holds', () =>
    scope(() => {
      const input = makeCase([2, 33, 100, 101], { mean: 2.5, deviation: 3 }).input.to('bfloat16');
      const own = statisticsOf(input.to({ memoryFormat: 'channels_last' }));
      assertClose(own.mean, exactOf(input).mean.to('float32'), { relative: 1e-6 });
      assertClose(own.variance, exactOf(input).variance.to('float32'), { relative: 1e-6 });
    }));

  test('move the running values by the momentum, in place', () =>
    scope(() => {
      const { input, weight, bias } = makeCase([2, 5, 4, 4], { mean: 3 });
      const [runningMean, runningVar] = [randn([5]), randn([5]).abs()].map(
        (values) => new Parameter(values, { requiresGrad: false }),
      ) as [Parameter, Parameter];
      const { mean, variance } = exactOf(input);
      const moved = (old: Tensor, now: Tensor): number[] =>
        old.toNumbers().map((value, c) => 0.99 * value + 0.01 * now.toNumbers()[c]!);
      const wanted = [moved(runningMean, mean), moved(runningVar, variance)] as const;
      const versions = [runningMean.version, runningVar.version];
      batchNormTraining(input, { weight, bias, runningMean, runningVar }, { momentum: 0.01, eps: EPS });
      // Computed in float64 and rounded once.
      assertClose(runningMean, wanted[0], { relative: 2 ** -23 });
      assertClose(runningVar, wanted[1], { relative: 2 ** -23 });
      assert.notDeepEqual([runningMean.version, runningVar.version], versions);
    }));

  test('show an input that is not a number', () =>
    scope(() => {
      const { input } = makeCase([2, 3, 4, 4]);
      ops.narrow(ops.narrow(input, 1, 1, 1), 0, 0, 1).fill_(Number.NaN);
      const output = ours(input.to({ memoryFormat: 'channels_last' }), ones([3]), zeros([3]));
      const broken = ops.isnan(output).permute([1, 0, 2, 3]).reshape([3, -1]).all(1).toNumbers();
      assert.deepEqual(broken.map(Boolean), [false, true, false]);
    }));
});

describe('batchNormTraining', () => {
  test('does with an empty batch what the engine does', () =>
    scope(() => {
      const input = zeros([0, 4, 5, 5]);
      const [mean, variance] = [zeros([4]), ones([4])];
      assert.deepEqual(ours(input, ones([4]), zeros([4])).shape, [0, 4, 5, 5]);
      batchNormTraining(
        input,
        { weight: ones([4]), bias: zeros([4]), runningMean: mean, runningVar: variance },
        { momentum: 0.1, eps: EPS },
      );
      assert.deepEqual([mean.toNumbers(), variance.toNumbers()], [new Array(4).fill(0), new Array(4).fill(1)]);
    }));

  test('refuses one value a channel, as PyTorch does, and tensors that do not fit', () =>
    scope(() => {
      assert.throws(() => ours(zeros([1, 4, 1, 1]), ones([4]), zeros([4])), /one value a channel has no variance/);
      assert.throws(() => ours(zeros([2, 4, 3, 3]), ones([5]), zeros([4])), /must be \[4\] for input \[2, 4, 3, 3\]/);
      assert.throws(() => ours(zeros([4]), ones([4]), zeros([4])), /input must be \[N, C, \.\.\.\]/);
    }));

  test('is the whole of its halves: processes that exchange sums between them normalise as one', () =>
    scope(() => {
      for (const format of FORMATS) {
        const one = makeCase([5, 19, 12, 13], { mean: 2 });
        const whole = run(one, ours, { format });
        const pieces = [
          [0, 2],
          [2, 3],
        ].map(([from = 0, count = 0]) => ({
          input: ops.narrow(one.input, 0, from, count).to({ memoryFormat: format }),
          gradient: ops.narrow(one.gradient, 0, from, count).to({ memoryFormat: format }),
          count: (one.input.length / 5 / 19) * count,
        }));
        const count = pieces.reduce((sum, piece) => sum + piece.count, 0);
        const statistics = pooled(
          pieces.map((piece) => ({
            statistics: callTensorOp('goshawk::batch_norm_statistics', piece.input),
            count: piece.count,
          })),
        );
        const sums = pieces
          .map((piece) => callTensorOp('goshawk::batch_norm_gradient_sums', piece.gradient, piece.input, statistics))
          .reduce((a, b) => ops.add(a, b));
        const outputs = pieces.map(({ input }) =>
          callTensorOp('goshawk::batch_norm_apply', input, one.weight, one.bias, statistics, count, EPS),
        );
        const gradients = pieces.map(({ input, gradient }) =>
          callTensorOp('goshawk::batch_norm_gradient', gradient, input, one.weight, statistics, sums, count, EPS),
        );
        assertClose(ops.cat(outputs), whole.output, { relative: 1e-6, absolute: 1e-6 });
        assertClose(ops.cat(gradients), whole.input, { relative: 1e-6, absolute: 1e-6 });
        assertClose(sums.select(0, 0), whole.bias.to('float64'), { relative: 1e-6 });
      }
    }));

  /** The statistics of values whose parts have these (Chan et al. 1979). */
  function pooled(parts: readonly { statistics: Tensor; count: number }[]): Tensor {
    const total = parts.reduce((sum, { count }) => sum + count, 0);
    const mean = parts
      .map(({ statistics, count }) => ops.mul(statistics.select(0, 0), count / total))
      .reduce((a, b) => ops.add(a, b));
    const squares = parts
      .map(({ statistics, count }) => {
        const distance = ops.sub(statistics.select(0, 0), mean);
        return ops.add(statistics.select(0, 1), ops.mul(ops.mul(distance, distance), count));
      })
      .reduce((a, b) => ops.add(a, b));
    return ops.stack([mean, squares]);
  }

  test('refuses statistics and sums of another shape', () =>
    scope(() => {
      const input = randn([2, 4, 3, 3]);
      assert.throws(
        () => callTensorOp('goshawk::batch_norm_apply', input, ones([4]), zeros([4]), zeros([2, 3]), 18, EPS),
        /must be \[2, C\] float64/,
      );
      assert.throws(
        () => callTensorOp('goshawk::batch_norm_statistics', input.to('float64')),
        /float32 or bfloat16, got \[2, 4, 3, 3\] Double/,
      );
    }));
});

describe('groupNorm', () => {
  test('says which shape does not fit', () =>
    scope(() => {
      assert.throws(() => groupNorm(zeros([1, 6, 2, 2]), 4, ones([6]), zeros([6]), EPS), /a multiple of 4 groups/);
      assert.throws(() => groupNorm(zeros([1, 8, 2, 2]), 4, ones([6]), zeros([8]), EPS), /weight and bias \[C\]/);
      assert.deepEqual(groupNorm(zeros([0, 8, 2, 2]), 4, ones([8]), zeros([8]), EPS).shape, [0, 8, 2, 2]);
    }));

  test('normalises each image by itself', () =>
    scope(() => {
      const one = tensor([1, 2, 3, 4], { shape: [1, 2, 2] });
      const both = ops.cat([one, ops.mul(one, 100)]);
      const output = groupNorm(both, 1, ones([2]), zeros([2]), 0);
      assertClose(output.select(0, 0), output.select(0, 1));
    }));
});
