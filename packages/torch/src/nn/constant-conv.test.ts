// Convolutions by weights that do not learn, and what is behind them, against the engine's in float64.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { autocast } from '../amp/autocast.js';
import { assertClose } from '../checks/assert-close.js';
import { setExactConvolutions, winogradConvByKernels, winogradConvInto, winogradKernels } from '../kernels/index.js';
import { ops } from '../ops/index.js';
import { noGrad } from '../tensor/autograd.js';
import { hasOperator, interceptOperators } from '../tensor/dispatch.js';
import { liveTensors, randn, scope, type Tensor } from '../tensor/index.js';
import { native } from '../tensor/native.js';
import { manualSeed, setThreads } from '../tensor/runtime.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { BatchNorm2d, type BehindNorm, Conv2d, convNormRelu, convNormReluInto, convRelu } from './index.js';

before(() => setThreads(1));
after(() => setExactConvolutions(false));

/** Of values up to 9: Winograd's transforms leave some 5e-6 of the largest. */
const near = { absolute: 1e-4 };

/** By the definition, in float64. */
function defined(input: Tensor, conv: Conv2d, { residual, relu = false }: BehindNorm = {}): Tensor {
  const { stride, padding, dilation, groups } = conv.geometry;
  const double = (tensor: Tensor): Tensor => tensor.detach().to('float64');
  let sum = ops.conv2d(double(input), double(conv.weight), {
    bias: conv.bias ? double(conv.bias) : null,
    stride,
    padding,
    dilation,
    groups,
  });
  if (residual) sum = ops.add(sum, double(residual));
  return (relu ? ops.relu(sum) : sum).to('float32');
}

function operatorsOf(body: () => void): string[] {
  const names: string[] = [];
  interceptOperators((name, args, proceed) => {
    names.push(name);
    return proceed(args);
  }, body);
  return names;
}

const LAYERS = [
  ['3x3', { kernel: 3, options: { padding: 1 } }],
  ['3x3 without a bias', { kernel: 3, options: { padding: 1, bias: false } }],
  ['1x1', { kernel: 1, options: {} }],
  ['3x3 of stride 2', { kernel: 3, options: { padding: 1, stride: 2 } }],
  ['5x3 in groups', { kernel: [5, 3], options: { padding: [2, 1], groups: 4, dilation: 1 } }],
] as const;

describe('a convolution that does not learn', () => {
  for (const [name, { kernel, options }] of LAYERS) {
    test(`is the convolution with all that is behind it: ${name}`, () =>
      noGrad(() =>
        scope(() => {
          manualSeed(2);
          const conv = new Conv2d(36, 44, kernel, options);
          for (const side of [7, 13, 40]) {
            const input = randn([2, 36, side, side + 1]).to({ memoryFormat: 'channels_last' });
            assertClose(conv.forward(input), defined(input, conv), near);
            const plain = defined(input, conv);
            const residual = randn([...plain.shape]).to({ memoryFormat: 'channels_last' });
            assertClose(convRelu(input, conv), defined(input, conv, { relu: true }), near);
            assertClose(convRelu(input, conv, { residual }), defined(input, conv, { residual }), near);
            const all = { residual, relu: true };
            assertClose(convRelu(input, conv, all), defined(input, conv, all), near);
          }
        }),
      ));
  }

  test('autocasting to bfloat16, or of that type itself, sums in float32 and rounds to it', () =>
    noGrad(() =>
      scope(() => {
        manualSeed(5);
        const rounded = (tensor: Tensor): Tensor => tensor.to('bfloat16').to('float32');
        for (const [, { kernel, options }] of LAYERS) {
          const conv = new Conv2d(36, 44, kernel, options);
          for (const each of [conv.weight, conv.bias]) each?.assign(rounded(each));
          for (const side of [7, 40]) {
            const input = rounded(randn([2, 36, side, side + 1])).to({ memoryFormat: 'channels_last' });
            const residual = rounded(randn([...defined(input, conv).shape])).to({ memoryFormat: 'channels_last' });
            for (const behind of [{}, { relu: true }, { residual }, { residual, relu: true }]) {
              const wanted = defined(input, conv, behind);
              const close = (found: Tensor): void => {
                assert.equal(found.dtype, 'bfloat16');
                assertClose(found.to('float32'), wanted, { relative: 2 ** -7, absolute: 2 ** -7 });
              };
              close(autocast('bfloat16', () => convRelu(input, conv, behind)));
              const half = new Conv2d(36, 44, kernel, options);
              half.weight.assign(conv.weight);
              if (conv.bias) half.bias!.assign(conv.bias);
              half.to({ dtype: 'bfloat16' });
              const added = 'residual' in behind ? { ...behind, residual: residual.to('bfloat16') } : behind;
              close(convRelu(input.to('bfloat16'), half, added));
              // And in float32 again: no weight that was rounded is taken for another.
              assertClose(convRelu(input, conv, behind), wanted, near);
            }
          }
        }
      }),
    ));

  test('follows its weight and bias when they change, and keeps nothing new while they do not', () =>
    noGrad(() =>
      scope(() => {
        const conv = new Conv2d(32, 32, 3, { padding: 1 });
        const [large, small] = [40, 6].map((side) => randn([1, 32, side, side]).to({ memoryFormat: 'channels_last' }));
        const check = (): void =>
          scope(() => {
            for (const input of [large!, small!, large!]) assertClose(conv.forward(input), defined(input, conv), near);
          });
        check();
        const alive = liveTensors();
        check();
        assert.equal(liveTensors(), alive);
        scope(() => conv.weight.assign(ops.mul(randn([32, 32, 3, 3]), 0.1)));
        check();
        scope(() => conv.bias!.assign(randn([32])));
        check();
        assert.equal(liveTensors(), alive);
        conv.train();
        assert.ok(liveTensors() < alive, 'what was kept is freed where training begins');
      }),
    ));

  test('learns as ever where a gradient is wanted of it, of its input or of what is added', () =>
    scope(() => {
      const conv = new Conv2d(32, 32, 3, { padding: 1 });
      const input = randn([1, 32, 40, 40]).to({ memoryFormat: 'channels_last' });
      assert.equal(conv.forward(input).requiresGrad, true);
      conv.freeze();
      assert.equal(conv.forward(input).requiresGrad, false);
      const residual = randn([1, 32, 40, 40]);
      residual.requiresGrad = true;
      assert.equal(convRelu(input, conv, { residual }).requiresGrad, true);
      input.requiresGrad = true;
      assert.equal(conv.forward(input).requiresGrad, true);
    }));

  test('is no number where its input is none, behind a ReLU too', () =>
    noGrad(() =>
      scope(() => {
        const conv = new Conv2d(32, 32, 3, { padding: 1 });
        const input = ops.full([1, 32, 16, 16], Number.NaN).to({ memoryFormat: 'channels_last' });
        assert.ok(convRelu(input, conv).toFloat32Array().every(Number.isNaN));
      }),
    ));
});

describe('a convolution written to a slice of channels', () => {
  const slices = (of: Tensor, width: number): Tensor[] =>
    [0, 1, 2].map((each) => ops.narrow(of, 1, each * width, width));

  for (const [width, side] of [
    [32, 12],
    [52, 15],
    [41, 40],
  ] as const)
    test(`is that of the sum of two, and leaves other channels alone: ${width} channels at ${side} pixels`, () =>
      noGrad(() =>
        scope(() => {
          manualSeed(6);
          const conv = new Conv2d(width, width, 3, { padding: 1, bias: false });
          const norm = new BatchNorm2d(width).eval();
          norm.bias.assign(randn([width]));
          const hidden = randn([2, 3 * width, side, side + 3]).to({ memoryFormat: 'channels_last' });
          const all = ops.mul(ops.ones_like(hidden), 7);
          const [first, second] = slices(hidden, width) as [Tensor, Tensor];
          const [before, into, after] = slices(all, width) as [Tensor, Tensor, Tensor];
          for (const added of [second, undefined]) {
            if (!convNormReluInto(into, { input: first, added }, conv, norm)) {
              assert.ok(!native.isWinogradFaster());
              return;
            }
            const sum = added ? ops.add(first, added) : first;
            assertClose(into, ops.relu(norm.forward(defined(sum, conv))), near);
            for (const other of [before, after]) assert.ok(other.toNumbers().every((value) => value === 7));
          }
          assertSameOnAnyThreads(() => {
            convNormReluInto(into, { input: first, added: second }, conv, norm);
            return into.contiguous().toFloat32Array();
          });
        }),
      ));

  test('is not there for what learns, other strides and autocasting', () =>
    scope(() => {
      const maps = () => randn([1, 32, 16, 16]).to({ memoryFormat: 'channels_last' });
      const [input, into, norm] = [maps(), maps(), new BatchNorm2d(32).eval()];
      const run = (stride: number) => {
        const conv = new Conv2d(32, 32, 3, { padding: 1, stride, bias: false });
        return convNormReluInto(into, { input, added: undefined }, conv, norm);
      };
      assert.equal(run(1), false);
      assert.equal(
        noGrad(() => run(2)),
        false,
      );
      assert.equal(
        noGrad(() => autocast('bfloat16', () => run(1))),
        false,
      );
    }));
});

test('exact convolutions are the very numbers of the engine, and norms steps of their own', () =>
  noGrad(() =>
    scope(() => {
      manualSeed(4);
      const conv = new Conv2d(32, 32, 3, { padding: 1, bias: false });
      const norm = new BatchNorm2d(32).eval();
      norm.runningVar.assign(ops.add(ops.abs(randn([32])), 0.5));
      const input = randn([1, 32, 40, 40]).to({ memoryFormat: 'channels_last' });
      const bytes = (tensor: Tensor): Uint8Array => tensor.contiguous().toBytes();
      const engine = ops.conv2d(input, conv.weight, { padding: [1, 1] });
      const normed = ops.relu(norm.forward(engine));
      assert.equal(setExactConvolutions(true), false);
      assert.deepEqual(
        operatorsOf(() => conv.forward(input)),
        ['aten::conv2d'],
      );
      assert.deepEqual(bytes(conv.forward(input)), bytes(engine));
      assert.deepEqual(bytes(convNormRelu(input, conv, norm, { relu: true })), bytes(normed));
      assert.equal(setExactConvolutions(false), true);
      assertClose(convNormRelu(input, conv, norm, { relu: true }), normed, near);
      if (hasOperator('mkldnn::_convolution_pointwise'))
        assert.ok(!operatorsOf(() => conv.forward(input)).includes('aten::conv2d'));
    }),
  ));

test('kernels, bias and residual that do not fit are named', () =>
  scope(() => {
    const kernels = winogradKernels(randn([5, 4, 3, 3]));
    const input = randn([1, 4, 8, 8]);
    assert.throws(() => winogradConvByKernels(randn([1, 3, 8, 8]), kernels, 20), /winograd_kernels makes of a weight/);
    assert.throws(() => winogradConvByKernels(input, kernels, 5, { bias: randn([4]) }), /bias must be \[5\]/);
    assert.throws(() => winogradConvInto(randn([1, 5, 8, 7]), input, kernels), /maps must be/);
    const [place, slice] = [input, randn([1, 20, 8, 8])].map((map) => map.to({ memoryFormat: 'channels_last' }));
    assert.throws(() => winogradConvInto(slice!, place!, kernels), /winograd_kernels makes of a weight \[20, 4/);
    assert.throws(
      () => winogradConvByKernels(input, kernels, 5, { residual: randn([1, 5, 8, 7]) }),
      /residual must be \[1, 5, 8, 8\]/,
    );
  }));
