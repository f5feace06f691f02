import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { autocast } from '../amp/index.js';
import { assertClose, recordOperators } from '../checks/index.js';
import { Conv2d } from '../nn/index.js';
import { ops } from '../ops/index.js';
import { grad, manualSeed, noGrad, randn, scope, setThreads, type Tensor } from '../tensor/index.js';
import { native } from '../tensor/native.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { allowWinograd, winogradConv3x3 } from './winograd-conv.js';

before(() => setThreads(1));
after(() => allowWinograd(true));

/** Images, channels in and out, height, width. */
const SHAPES = [
  [1, 16, 16, 4, 4],
  [2, 33, 41, 9, 14],
  [1, 3, 50, 17, 1],
  [3, 48, 20, 6, 31],
  [1, 8, 7, 40, 45],
] as const;

const direct = (x: Tensor, w: Tensor, b?: Tensor): Tensor => ops.conv2d(x, w, { bias: b ?? null, padding: [1, 1] });

/** The same values in float64, or the same as they are, that want gradients. */
const leaves = (tensors: readonly Tensor[], double: boolean): Tensor[] =>
  tensors.map((each) => {
    const own = double ? each.to('float64') : each.detach().clone();
    own.requiresGrad = true;
    return own;
  });

describe('winogradConv3x3', () => {
  for (const [images, inChannels, outChannels, height, width] of SHAPES) {
    for (const format of ['channels_last', 'contiguous_format'] as const) {
      test(`is the convolution, with its gradients, for ${images} x ${inChannels} x ${height} x ${width} to ${outChannels}, ${format}`, () =>
        scope(() => {
          manualSeed(1);
          const values = [
            randn([images, inChannels, height, width]).to({ memoryFormat: format }),
            ops.mul(randn([outChannels, inChannels, 3, 3]), 1 / Math.sqrt(9 * inChannels)).to({ memoryFormat: format }),
            randn([outChannels]),
          ];
          const factor = randn([images, outChannels, height, width]);
          const own = leaves(values, false);
          const exact = leaves(values, true);
          const output = winogradConv3x3(own[0]!, own[1]!, own[2]);
          const wanted = direct(exact[0]!, exact[1]!, exact[2]);
          assertClose(output, wanted.to('float32'), { relative: 1e-4, absolute: 1e-4 });
          ops.sum(ops.mul(output, factor)).backward();
          ops.sum(ops.mul(wanted, factor.to('float64'))).backward();
          own.forEach((leaf, i) => {
            const goal = exact[i]!.grad!;
            // Sums of thousands of products: measured against the size of the largest. The transforms make ten times as much of
            // float32's rounding.
            const size = goal.abs().max().item() as number;
            assertClose(leaf.grad!, goal.to('float32'), { absolute: 3e-5 * size });
          });
        }));
    }
  }

  test('does without a bias, and without gradients', () =>
    scope(() => {
      const x = randn([1, 20, 12, 12]);
      const w = ops.mul(randn([18, 20, 3, 3]), 0.1);
      assertClose(winogradConv3x3(x, w), direct(x, w), { relative: 1e-4, absolute: 1e-4 });
      w.requiresGrad = true;
      const output = winogradConv3x3(x, w);
      ops.sum(output).backward();
      const exact = w.detach().clone();
      exact.requiresGrad = true;
      ops.sum(direct(x, exact)).backward();
      // Of a size of 23.
      assertClose(w.grad!, exact.grad!, { absolute: 2e-4 });
      assert.equal(noGrad(() => winogradConv3x3(x, w)).requiresGrad, false);
    }));

  test('has derivatives of derivatives', () =>
    scope(() => {
      const values = [randn([1, 4, 6, 6]), randn([5, 4, 3, 3])];
      const second = (conv: (x: Tensor, w: Tensor) => Tensor): Tensor => {
        const [x, w] = leaves(values, false) as [Tensor, Tensor];
        const [first] = grad([ops.sum(ops.pow(conv(x, w), 3))], [x], { createGraph: true });
        const [mixed] = grad([ops.sum(ops.mul(first!, first!))], [w]);
        return mixed!;
      };
      const wanted = second(direct);
      const size = wanted.abs().max().item() as number;
      // By the engine's operators: float32's rounding alone.
      assertClose(second(winogradConv3x3), wanted, { absolute: 5e-6 * size });
    }));

  test('gives the same bits on any number of threads', () =>
    scope(() => {
      const w = randn([24, 40, 3, 3]);
      // Of few tiles the threads share the kernels, of many the tiles.
      for (const sides of [
        [9, 14],
        [37, 33],
        [61, 53],
      ]) {
        const x = randn([2, 40, ...sides]).to({ memoryFormat: 'channels_last' });
        assertSameOnAnyThreads(() => winogradConv3x3(x, w).contiguous().toFloat32Array());
      }
    }));

  test('says which shape does not fit', () => {
    assert.throws(
      () => scope(() => winogradConv3x3(randn([1, 4, 5, 5]), randn([2, 3, 3, 3]))),
      /input must be \[N, C, H, W\]/,
    );
    assert.throws(
      () => scope(() => winogradConv3x3(randn([1, 4, 5, 5]), randn([2, 4, 5, 5]))),
      /weight \[out, C, 3, 3\]/,
    );
    assert.throws(
      () => scope(() => winogradConv3x3(randn([1, 4, 5, 5]), randn([2, 4, 3, 3]), randn([3]))),
      /bias must be \[2\]/,
    );
  });
});

describe('Conv2d', () => {
  test('takes the short way for large maps in float32, and the engine where that is not allowed or not faster', () =>
    scope(() => {
      manualSeed(3);
      const conv = new Conv2d(32, 32, 3, { padding: 1 });
      const x = randn([1, 32, 40, 40]).to({ memoryFormat: 'channels_last' });
      const isDirect = (input: Tensor): boolean => {
        let own: Tensor | undefined;
        // By name: what else computes a convolution may give its bits or others.
        const counted = recordOperators(() => {
          own = noGrad(() => conv.forward(input));
        });
        assertClose(
          own!,
          noGrad(() => direct(input, conv.weight, conv.bias)),
          { relative: 1e-4, absolute: 1e-4 },
        );
        return ![...counted.keys()].some((name) => name.startsWith('goshawk::winograd'));
      };
      assert.equal(isDirect(x), !native.isWinogradFaster());
      assert.equal(isDirect(x.contiguous()), true);
      assert.equal(isDirect(ops.narrow(x, 2, 0, 2)), true);
      allowWinograd(false);
      assert.equal(isDirect(x), true);
      allowWinograd(true);
      const half = autocast('bfloat16', () => conv.forward(x));
      assert.equal(half.dtype, 'bfloat16');
    }));
});
