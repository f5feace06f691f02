// relu(input * scale + shift + residual) as one operator, against the engine's operators one after another.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { gradientCheck } from '../checks/gradient-check.js';
import { enableGrad, grad, noGrad } from '../tensor/autograd.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { scope, type Tensor, tensor } from '../tensor/index.js';
import { wave } from '../testing/wave.js';

const tight = { absolute: 1e-13, relative: 1e-12 };

function scaleShift(input: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | undefined, relu: boolean): Tensor {
  return callTensorOp('goshawk::scale_shift', input, scale, shift, residual, relu);
}

/** One operator after another. */
function apart(input: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | undefined, relu: boolean): Tensor {
  const ofChannels = (values: Tensor): Tensor => callTensorOp('aten::view', values, [-1, 1, 1]);
  const scaled = input.mul(ofChannels(scale)).add(ofChannels(shift));
  const sum = residual ? scaled.add(residual) : scaled;
  return relu ? callTensorOp('aten::relu', sum) : sum;
}

test('is a factor, an offset, a sum and a ReLU, with their gradients', () => {
  scope(() => {
    for (const relu of [false, true])
      for (const adds of [false, true]) {
        const input = wave([2, 3, 4, 5], 0.3);
        const residual = adds ? wave([2, 3, 4, 5], 1.4) : undefined;
        const wanted = residual ? [input, residual] : [input];
        for (const each of wanted) each.requiresGrad = true;
        const args = [input, wave([3], 1), wave([3], 2), residual, relu] as const;
        const [found, expected] = [scaleShift(...args), apart(...args)];
        assertClose(found, expected, tight);
        const gradients = [wave(found.shape, 0.9)];
        const expectedGradients = grad([expected], wanted, { gradients });
        for (const [i, gradient] of grad([found], wanted, { gradients }).entries())
          assertClose(gradient!, expectedGradients[i]!, tight);
        const named = Object.fromEntries(wanted.map((each, i) => [['input', 'residual'][i]!, each]));
        gradientCheck(() => scaleShift(...args), named);
        // The gradient is linear in the one that comes in, which a product makes depend on the input.
        const slope = () =>
          enableGrad(() => {
            const squares = callTensorOp('aten::pow.Tensor_Scalar', scaleShift(...args), 2);
            return grad([callTensorOp('aten::sum', squares)], wanted, { createGraph: true })[0]!;
          });
        gradientCheck(slope, named);
      }
  });
});

test('half types are computed in float32 and rounded once, in the memory format that they come in', () => {
  scope(() => {
    for (const [dtype, step] of [
      ['float16', 2 ** -11],
      ['bfloat16', 2 ** -8],
    ] as const) {
      const input = wave([2, 8, 3, 3], 0.3).to({ dtype, memoryFormat: 'channels_last' });
      const residual = wave([2, 8, 3, 3], 1).to({ dtype, memoryFormat: 'channels_last' });
      const [scale, shift] = [wave([8], 1).to('float32'), wave([8], 2).to('float32')];
      const found = scaleShift(input, scale, shift, residual, true);
      assert.equal(found.dtype, dtype);
      assert.ok(found.isContiguous('channels_last'));
      const expected = apart(input.to('float32'), scale, shift, residual.to('float32'), true);
      assertClose(found, expected, { absolute: 1e-7, relative: step });
    }
  });
});

test('NaN stays NaN behind the ReLU', () => {
  scope(() => {
    const input = tensor([[Number.NaN, -1, 2]]);
    const found = scaleShift(input, tensor([1, 1, 1]), tensor([0, 0, 0]), undefined, true);
    assert.deepEqual(found.toNumbers(), [Number.NaN, 0, 2]);
  });
});

test('refuses factors that learn, and what does not fit', () => {
  scope(() => {
    const input = wave([1, 3, 2, 2], 0.3).to('float32');
    const [scale, shift] = [wave([3], 1).to('float32'), wave([3], 2).to('float32')];
    shift.requiresGrad = true;
    assert.throws(() => scaleShift(input, scale, shift, undefined, true), /scale and shift get no gradient/);
    noGrad(() => scaleShift(input, scale, shift, undefined, true));
    assert.throws(() => scaleShift(input, scale, wave([3], 2), undefined, true), /must be \[3\] Float for input/);
    assert.throws(() => scaleShift(input, scale, wave([2], 2).to('float32'), undefined, true), /must be \[3\] Float/);
    assert.throws(() => scaleShift(input, scale, scale, wave([1, 3, 2, 2], 0), true), /residual must be as the input/);
  });
});
