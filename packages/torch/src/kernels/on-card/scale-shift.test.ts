// relu(input * scale + shift + residual) and its gradient on a card against the CPU's, bit for bit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callOp, callTensorOp } from '../../tensor/dispatch.js';
import { type MemoryFormat, scope, type Tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';
import { wave } from '../../testing/wave.js';

const formats: readonly MemoryFormat[] = ['contiguous_format', 'channels_last'];

/** Vectors of 16 bytes or values one by one; nothing at all; other counts of dimensions. */
const shapes: readonly (readonly number[])[] = [
  [2, 16, 5, 7],
  [1, 24, 3, 3],
  [3, 7, 4, 5],
  [0, 8, 2, 2],
  [5, 8],
];

test('a card scales, shifts, adds and cuts as the CPU does, and so its gradient', () => {
  for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const)
    for (const shape of shapes)
      for (const format of shape.length === 4 ? formats : formats.slice(0, 1))
        for (const relu of [false, true])
          for (const adds of [false, true])
            scope(() => {
              const made = (phase: number, as: MemoryFormat = format): Tensor =>
                callTensorOp('aten::contiguous', wave(shape, phase).to(dtype), as);
              const wide = dtype === 'float64' ? 'float64' : 'float32';
              const [scale, shift] = [wave([shape[1]!], 1).to(wide), wave([shape[1]!], 2).to(wide)];
              // The residual may lie otherwise.
              const residual = adds ? made(1.4, 'contiguous_format') : undefined;
              const args = [made(0.3), scale, shift, residual, relu] as const;
              const output = callOnEmulatedCard('scale_shift', ...args) as Tensor;
              const expected = callTensorOp('goshawk::scale_shift', ...args);
              assert.equal(output.dtype, dtype);
              if (shape[0]! > 0) assert.deepEqual(output.strides, expected.strides);
              assert.deepEqual(output.toNumbers(), expected.toNumbers());

              const back = [made(0.7), relu ? output : undefined, scale, adds] as const;
              const found = callOnEmulatedCard('scale_shift_gradient', ...back) as Tensor[];
              const wanted = callOp('goshawk::scale_shift_gradient', ...back) as Tensor[];
              for (const [i, gradient] of found.entries()) {
                assert.deepEqual(gradient.shape, wanted[i]!.shape);
                assert.deepEqual(gradient.toNumbers(), wanted[i]!.toNumbers());
              }
            });
});

test('values that do not begin at a multiple of 16 bytes are scaled one by one', () => {
  scope(() => {
    const whole = wave([2 * 8 * 3 * 3 + 1], 0.2).to('float32');
    const input = callTensorOp('aten::as_strided', whole, [2, 8, 3, 3], [72, 1, 24, 8], 1);
    const factors = wave([8], 1).to('float32');
    const found = callOnEmulatedCard('scale_shift', input, factors, factors, undefined, true) as Tensor;
    const expected = callTensorOp('goshawk::scale_shift', input, factors, factors, undefined, true);
    assert.deepEqual(found.toNumbers(), expected.toNumbers());
  });
});
