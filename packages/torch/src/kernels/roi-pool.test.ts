// RoIPool against its definition by hand, torchvision (fixtures/make.py) and finite differences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { gradientCheck } from '../checks/gradient-check.js';
import { ones, tensor } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { torchvision } from '../testing/torchvision-cases.js';
import { wave } from '../testing/wave.js';
import { roiPool } from './index.js';

const tight = { absolute: 1e-14, relative: 1e-13 };
const formats = ['contiguous_format', 'channels_last'] as const;

test('takes the maximum of each bin, end pixels included', () => {
  scope(() => {
    const map = tensor([
      [
        [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
          [9, 1, 2, 3],
          [4, 5, 6, 0],
        ],
      ],
    ]);
    assert.deepEqual(roiPool(map, tensor([[0, 0, 0, 3, 3]]), { outputSize: 2 }).toNumbers(), [6, 8, 9, 6]);
    // 3 x 3 pixels into 2 x 2 bins: the middle row and column belong to both.
    assert.deepEqual(roiPool(map, tensor([[0, 1, 1, 3, 3]]), { outputSize: 2 }).toNumbers(), [7, 8, 6, 6]);
    assert.deepEqual(roiPool(map, tensor([[0, 9, 9, 12, 12]]), { outputSize: 2 }).toNumbers(), [0, 0, 0, 0]);
    assert.deepEqual(roiPool(map, tensor([[0, Number.NaN, 0, 3, 3]]), { outputSize: 1 }).toNumbers(), [0]);
  });
});

test('agrees with torchvision, output and gradient, in both memory formats', () => {
  scope(() => {
    const rois = tensor(torchvision.rois, { dtype: 'float64' });
    for (const format of formats) {
      const input = callTensorOp('aten::contiguous', wave([2, 3, 6, 7], 0.3), format);
      input.requiresGrad = true;
      const pooled = roiPool(input, rois, { spatialScale: 0.25, outputSize: [3, 2] });
      // The sines themselves differ in the last bit between the two programs.
      assertClose(pooled, torchvision.roiPool.output, tight);
      pooled.backward({ gradient: wave(pooled.shape, 0.9) });
      assertClose(input.grad!, torchvision.roiPool.gradient, tight);
      assert.ok(pooled.isContiguous(format) && input.grad?.isContiguous(format));
    }
  });
});

test('has the gradient of finite differences', () => {
  scope(() => {
    const input = wave([1, 2, 5, 5], 0.1);
    input.requiresGrad = true;
    const rois = tensor(
      [
        [0, 1, 0, 9, 7],
        [0, 2, 2, 6, 9],
      ],
      { dtype: 'float64' },
    );
    gradientCheck(() => roiPool(input, rois, { spatialScale: 0.5, outputSize: 2 }), { input });
  });
});

test('gives the same bits for any number of threads', () => {
  assertSameOnAnyThreads(() => {
    const input = wave([1, 70, 8, 9], 0.2).to('float32');
    input.requiresGrad = true;
    const rois = tensor(Array.from({ length: 30 }, (_, k) => [0, k % 3, (k * 3) % 5, 6 + (k % 4), 7]));
    const pooled = roiPool(input, rois, { outputSize: 3 });
    pooled.backward({ gradient: wave(pooled.shape, 0.5).to('float32') });
    return [pooled.toBytes(), input.grad!.toBytes()];
  });
});

test('names what does not fit', () => {
  scope(() => {
    const input = ones([1, 1, 4, 4]);
    assert.throws(() => roiPool(input, ones([2, 4]), { outputSize: 2 }), /rois must be \[K, 5\], got \[2, 4\]/);
    assert.throws(
      () => roiPool(input, tensor([[1, 0, 0, 1, 1]]), { outputSize: 2 }),
      /batch index 1, but the input has 1 image/,
    );
  });
});
