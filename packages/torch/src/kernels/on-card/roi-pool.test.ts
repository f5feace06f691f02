// RoIPool on a card against the CPU's: the same maxima of the same pixels; gradients summed in another order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../checks/assert-close.js';
import { callOp, callTensorOp } from '../../tensor/dispatch.js';
import { scope, type Tensor, tensor, zeros } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';
import { wave } from '../../testing/wave.js';

const formats = ['contiguous_format', 'channels_last'] as const;
const anotherOrder = {
  float32: { absolute: 1e-6, relative: 1e-5 },
  float64: { absolute: 1e-14, relative: 1e-13 },
  float16: { absolute: 1e-6, relative: 2 ** -10 },
  bfloat16: { absolute: 1e-6, relative: 2 ** -7 },
} as const;

const BOXES = [
  [0, 3.3, 5.1, 40.7, 61.2],
  [1, 0, 0, 15, 15],
  [1, 2, 2, 17, 14],
  [0, 70, 60, 110, 99],
  [1, -30.5, -12, 9, 20],
  [0, 20, 30, 20, 30],
  [1, 40, 50, 12, 9],
  [0, -500, -400, 900, 1000],
  [0, 1e30, 1e30, 3e30, 3e30],
  [0, Number.NaN, 0, 30, 30],
  [1, 0, 0, Number.POSITIVE_INFINITY, 9],
];

/** Values of few kinds have many equal maxima; NaN and the least values are no maxima. */
function withTies(shape: readonly number[]): Tensor {
  const values = callTensorOp('aten::round', wave(shape, 0.3).mul(2));
  const numbers = values.toNumbers();
  for (let i = 5; i < numbers.length; i += 41) numbers[i] = Number.NaN;
  for (let i = 9; i < numbers.length; i += 17) numbers[i] = Number.NEGATIVE_INFINITY;
  return tensor(Float64Array.from(numbers), { shape });
}

test('a card takes the same pixels, of equal ones the first, and returns the gradient to them', () => {
  for (const [turn, dtype] of (['float32', 'float64', 'float16', 'bfloat16'] as const).entries())
    for (const format of formats)
      scope(() => {
        const channels = [3, 1, 8, 33][turn]!;
        const input = callTensorOp('aten::contiguous', withTies([2, channels, 12, 13]).to(dtype), format);
        const rois = tensor(BOXES);
        const args = [input, rois, 0.25, 3, 2] as const;
        const [output, argmax] = callOnEmulatedCard('roi_pool', ...args) as [Tensor, Tensor];
        const [expected, expectedPlace] = callOp('goshawk::roi_pool', ...args) as [Tensor, Tensor];
        assert.deepEqual(output.toNumbers(), expected.toNumbers());
        assert.deepEqual(argmax.toNumbers(), expectedPlace.toNumbers());
        assert.deepEqual([output.strides, argmax.strides], [expected.strides, expectedPlace.strides]);

        const gradient = wave(output.shape, 0.9).to(dtype);
        const back = [gradient, argmax, rois, input.shape, format === 'channels_last'] as const;
        const wanted = callTensorOp('goshawk::roi_pool_backward', ...back);
        for (const deterministic of [false, true]) {
          const sums = callOnEmulatedCard('roi_pool_backward', ...back, deterministic) as Tensor;
          assert.equal(sums.dtype, dtype);
          assert.ok(sums.isContiguous(format));
          assertClose(sums, wanted, anotherOrder[dtype]);
        }
      });
});

test('an image that is not there gives zeros on a card, and no RoIs nothing', () => {
  scope(() => {
    const input = wave([2, 3, 6, 6], 0.1).to('float32');
    const rois = tensor([
      [2, 0, 0, 5, 5],
      [-1, 0, 0, 5, 5],
      [Number.NaN, 0, 0, 5, 5],
    ]);
    const [output, argmax] = callOnEmulatedCard('roi_pool', input, rois, 1, 2, 2) as [Tensor, Tensor];
    assertClose(output, new Array(36).fill(0));
    assertClose(argmax, new Array(36).fill(-1));
    const beyond = callTensorOp('aten::full_like', argmax, 36);
    const sums = callOnEmulatedCard('roi_pool_backward', output, beyond, rois, input.shape, false) as Tensor;
    assertClose(sums, new Array(216).fill(0));
    const [empty, places] = callOnEmulatedCard('roi_pool', input, zeros([0, 5]), 1, 2, 2) as [Tensor, Tensor];
    assert.deepEqual(
      [empty.shape, places.shape],
      [
        [0, 3, 2, 2],
        [0, 3, 2, 2],
      ],
    );
    const nothing = callOnEmulatedCard('roi_pool_backward', empty, places, zeros([0, 5]), input.shape, true) as Tensor;
    assertClose(nothing, new Array(216).fill(0));
  });
});
