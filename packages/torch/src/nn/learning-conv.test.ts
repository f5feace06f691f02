// Convolutions that learn, of one map and of several, against the engine's operators one after another in float64.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { autocast } from '../amp/autocast.js';
import { assertClose } from '../checks/assert-close.js';
import { ops } from '../ops/index.js';
import { grad } from '../tensor/autograd.js';
import { interceptOperators } from '../tensor/dispatch.js';
import { randn, scope, type Tensor } from '../tensor/index.js';
import { manualSeed, setThreads } from '../tensor/runtime.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { type BehindNorm, Conv2d, convNormRelu, convRelu, FrozenBatchNorm2d } from './index.js';

before(() => setThreads(1));

/** Of values up to 3: Winograd's transforms leave some 5e-6 of the largest. */
const near = { absolute: 5e-5 };

/** Channels last, wanting gradients. */
function leaf(shape: readonly number[]): Tensor {
  const made = randn([...shape]).to({ memoryFormat: 'channels_last' });
  made.requiresGrad = true;
  return made;
}

function doubled(tensor: Tensor): Tensor {
  const made = tensor.detach().to('float64');
  made.requiresGrad = true;
  return made;
}

/** To what bfloat16 holds. */
function rounded(tensor: Tensor): Tensor {
  return tensor.to('bfloat16').to('float32');
}

/** By the definition, of tensors of any type. */
function defined(
  input: Tensor,
  { weight, bias }: { weight: Tensor; bias: Tensor | undefined },
  { geometry: { stride, padding, dilation, groups } }: Conv2d,
  { residual, relu = false }: BehindNorm,
): Tensor {
  const sum = ops.conv2d(input, weight, { bias: bias ?? null, stride, padding, dilation, groups });
  const all = residual ? ops.add(sum, residual) : sum;
  return relu ? ops.relu(all) : all;
}

/** Values, and the gradients of all that they were made from, against those in float64. */
function compare(conv: Conv2d, inputs: readonly Tensor[], behind: BehindNorm, run: () => readonly Tensor[]): void {
  const { weight, bias } = conv;
  const exact = { weight: doubled(weight), bias: bias && doubled(bias) };
  const doubles = inputs.map(doubled);
  const residual = behind.residual && doubled(behind.residual);
  const found = run();
  const wanted = doubles.map((input) => defined(input, exact, conv, { ...behind, residual }));
  const factors = wanted.map((each) => randn([...each.shape]));
  const sources = [...inputs, weight, bias, behind.residual].filter((each) => each !== undefined);
  const goals = [...doubles, exact.weight, exact.bias, residual].filter((each) => each !== undefined);
  const got = grad(found as Tensor[], sources, { gradients: factors });
  const right = grad(wanted, goals, { gradients: factors.map((each) => each.to('float64')) });
  for (const [i, output] of found.entries()) assertClose(output, wanted[i]!.to('float32'), near);
  for (const [i, goal] of right.entries()) {
    // Sums of thousands of products: measured against the size of the largest.
    const size = goal!.abs().max().item() as number;
    assertClose(got[i]!, goal!.to('float32'), { absolute: 5e-5 * size });
  }
}

const LAYERS = [
  ['3x3', 3, { padding: 1 }],
  ['3x3 without a bias', 3, { padding: 1, bias: false }],
  ['1x1', 1, {}],
  ['3x3 of stride 2', 3, { padding: 1, stride: 2 }],
  ['3x3 in groups, dilated', 3, { padding: 2, dilation: 2, groups: 4 }],
] as const;

describe('a convolution that learns', () => {
  for (const [name, kernel, options] of LAYERS) {
    test(`is the convolution with all that is behind it, and has its gradients: ${name}`, () =>
      scope(() => {
        manualSeed(4);
        for (const side of [6, 40]) {
          const conv = new Conv2d(36, 44, kernel, options);
          const input = leaf([2, 36, side, side + 1]);
          const residual = leaf(conv.forward(input).shape);
          for (const behind of [{ relu: true }, { residual }, { residual, relu: true }])
            compare(conv, [input], behind, () => [convRelu(input, conv, behind)]);
        }
      }));

    test(`takes several maps at once, each as if it were alone: ${name}`, () =>
      scope(() => {
        manualSeed(5);
        const conv = new Conv2d(36, 52, kernel, options);
        const inputs = [
          [37, 41],
          [18, 21],
          [5, 4],
          [1, 1],
        ].map((sides) => leaf([2, 36, ...sides]));
        for (const relu of [false, true]) compare(conv, inputs, { relu }, () => conv.forEach(inputs, { relu }));
      }));
  }

  test('gives gradients to the maps and weights that want some, from the results that have one', () =>
    scope(() => {
      manualSeed(6);
      const conv = new Conv2d(32, 40, 3, { padding: 1 });
      const inputs = [40, 20, 10].map((side) => leaf([1, 32, side, side]));
      inputs[0]!.requiresGrad = false;
      const outputs = conv.forEach(inputs, { relu: true });
      const exact = { weight: doubled(conv.weight), bias: doubled(conv.bias!) };
      const second = doubled(inputs[1]!);
      ops.sum(outputs[1]!).backward();
      ops.sum(defined(second, exact, conv, { relu: true })).backward();
      assert.equal(inputs[0]!.grad, undefined);
      // Of sizes of 2 and of 60.
      assertClose(inputs[1]!.grad!, second.grad!.to('float32'), { absolute: 5e-5 });
      assert.equal(inputs[2]!.grad, undefined);
      assertClose(conv.weight.grad!, exact.weight.grad!.to('float32'), { absolute: 2e-3 });
      // Summed in doubles.
      assertClose(conv.bias!.grad!, exact.bias.grad!.to('float32'), { relative: 2 ** -23 });
    }));

  test('has derivatives of derivatives', () =>
    scope(() => {
      manualSeed(7);
      const conv = new Conv2d(32, 32, 3, { padding: 1 });
      const input = leaf([1, 32, 34, 34]);
      const of = (x: Tensor, weight: Tensor, output: Tensor): Tensor => {
        const [first] = grad([ops.sum(ops.pow(output, 3))], [x], { createGraph: true });
        return grad([ops.sum(ops.mul(first!, first!))], [weight])[0]!;
      };
      const exact = { weight: doubled(conv.weight), bias: doubled(conv.bias!) };
      const double = doubled(input);
      const wanted = of(double, exact.weight, defined(double, exact, conv, { relu: true })).to('float32');
      const size = wanted.abs().max().item() as number;
      assertClose(of(input, conv.weight, convRelu(input, conv)), wanted, { absolute: 5e-5 * size });
    }));

  test('autocasting computes in bfloat16 as the engine does, and weights get their gradients in float32', () =>
    scope(() => {
      manualSeed(8);
      const conv = new Conv2d(32, 40, 3, { padding: 1 });
      const inputs = [20, 9].map((side) => leaf([2, 32, side, side]));
      const gradientsOf = (run: () => Tensor[]): Tensor[] => {
        const outputs = autocast('bfloat16', run);
        for (const output of outputs) assert.equal(output.dtype, 'bfloat16');
        const factors = outputs.map((output) => output.detach());
        return grad(outputs, [...inputs, conv.weight, conv.bias!], { gradients: factors }).map((each) => each!);
      };
      const found = gradientsOf(() => conv.forEach(inputs, { relu: true }));
      const wanted = gradientsOf(() => inputs.map((input) => defined(input, conv, conv, { relu: true })));
      for (const [i, goal] of wanted.entries()) {
        assert.equal(found[i]!.dtype, 'float32');
        const size = goal.abs().max().item() as number;
        assertClose(found[i]!, goal, { relative: 0.02, absolute: 0.01 * size });
      }
    }));

  // Sums of rounded maps and weights, which are rounded once; where the processor has tiles for them gradients of weights are not.
  for (const [name, kernel, options] of [...LAYERS, ['1x1 of stride 2', 1, { stride: 2 }] as const])
    test(`autocasting sums products of bfloat16 in float32: ${name}`, () =>
      scope(() => {
        manualSeed(10);
        for (const side of [5, 40]) {
          const conv = new Conv2d(72, 52, kernel, options);
          const input = rounded(randn([2, 72, side, side + 2]).to({ memoryFormat: 'channels_last' }));
          input.requiresGrad = true;
          const found = autocast('bfloat16', () => convRelu(input, conv));
          const exact = doubled(rounded(conv.weight.detach()));
          const double = doubled(input);
          const bias = conv.bias && doubled(rounded(conv.bias.detach()));
          const wanted = defined(double, { weight: exact, bias }, conv, {});
          assertClose(found.to('float32'), ops.relu(wanted).to('float32'), { relative: 2 ** -7, absolute: 2 ** -7 });
          const slopes = rounded(randn([...found.shape]));
          const passed = ops.mul(slopes, ops.gt(found, 0).to('float32')).to('float64');
          const gradients = { gradients: [slopes.to('bfloat16')] };
          const sources = [input, conv.weight, conv.bias].filter((each) => each !== undefined);
          const goals = [double, exact, bias].filter((each) => each !== undefined);
          const got = grad([found], sources, gradients);
          for (const [i, goal] of grad([wanted], goals, { gradients: [passed] }).entries()) {
            const size = goal!.abs().max().item() as number;
            const share = i === 1 && autocast('bfloat16', () => conv.takesScale(input)) ? 1e-5 : 2 ** -7;
            assertClose(got[i]!, goal!.to('float32'), { relative: share, absolute: share * size });
          }
        }
      }));

  test('gives the same bits on any number of threads, gradients too', () =>
    scope(() => {
      manualSeed(9);
      const conv = new Conv2d(40, 56, 3, { padding: 1 });
      const inputs = [61, 30, 7].map((side) => leaf([2, 40, side, side]));
      const gradients = (outputs: Tensor[]): Float32Array[] => {
        const factors = outputs.map((output) => ops.cos(output.detach()));
        return grad(outputs, [...inputs, conv.weight, conv.bias!], { gradients: factors }).map((each) =>
          each!.toFloat32Array(),
        );
      };
      assertSameOnAnyThreads(() => gradients(conv.forEach(inputs, { relu: true })));
      if (autocast('bfloat16', () => conv.takesScale(inputs[0]!)))
        assertSameOnAnyThreads(() => gradients(autocast('bfloat16', () => conv.forEach(inputs, { relu: true }))));
    }));

  test('shows what is no number behind its ReLU', () =>
    scope(() => {
      for (const kernel of [1, 3]) {
        const conv = new Conv2d(32, 32, kernel, { padding: (kernel - 1) / 2 });
        conv.weight.assign(ops.mul(conv.weight.detach(), Number.NaN));
        const input = leaf([1, 32, 40, 40]);
        const residual = leaf([1, 32, 40, 40]);
        for (const behind of [{ relu: true }, { residual, relu: true }])
          assert.equal(Number.isNaN(ops.sum(convRelu(input, conv, behind)).item()), true);
      }
    }));
});

test('layers that do not learn take the short way inside a training', () =>
  scope(() => {
    const conv = new Conv2d(32, 32, 3, { padding: 1, bias: false });
    const norm = new FrozenBatchNorm2d(32);
    conv.freeze();
    const input = randn([1, 32, 40, 40]).to({ memoryFormat: 'channels_last' });
    const names = (of: Tensor): string[] => {
      const called: string[] = [];
      interceptOperators(
        (name, args, proceed) => {
          if (name !== 'aten::_version') called.push(name);
          return proceed(args);
        },
        () => convNormRelu(of, conv, norm, { relu: true }),
      );
      return called;
    };
    names(input);
    assert.equal(names(input).length, 1, 'one operator, all of it prepared');
    const learning = leaf([1, 32, 40, 40]);
    assert.equal(convNormRelu(learning, conv, norm, { relu: true }).requiresGrad, true);
    assertClose(
      convNormRelu(learning, conv, norm, { relu: true }).detach(),
      convNormRelu(learning.detach(), conv, norm, { relu: true }),
      near,
    );
  }));
