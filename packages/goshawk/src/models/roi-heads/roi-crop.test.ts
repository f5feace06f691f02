// The expected cells were computed with torch 2.14: F.affine_grid of the RoI's theta (with H and W the features' sides and
// the corners divided by 4: [[(x2-x1)/(W-1), 0, (x1+x2-W+1)/(W-1)], [0, (y2-y1)/(H-1), (y1+y2-H+1)/(H-1)]]) to 6 x 6,
// F.grid_sample, both with align_corners=True, and F.max_pool2d(2).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import { roiCrop } from './roi-crop.js';

/** [2, 2, 9, 11] of sin(0.53 i). */
const features = (): Tensor =>
  tensor(
    Array.from({ length: 2 * 2 * 9 * 11 }, (_, i) => Math.sin(0.53 * i)),
    { shape: [2, 2, 9, 11] },
  );

// Image, x1, y1, x2, y2: inside, all of the features, beyond them, and without a size.
const ROIS = [
  [0, 3, 5, 30, 25],
  [1, 0, 0, 43, 35],
  [0, 8.5, 2.25, 50, 60],
  [1, 10, 10, 10, 10],
] as const;

const EXPECTED = [
  [0.50319, 0.95825, 0.7563, -0.3414, 0.84365, 0.94138, -0.62309, 0.161, 0.94632],
  [0.95521, 0.12032, -0.58687, 0.95312, 0.81369, -0.37135, 0.78113, 0.94367, 0.47102],
  [-0.44676, 0.96509, 0.9, 0.87872, -0.03991, 0.83889, 0.94472, 0.01968, 0.06271],
  [0.97713, 0.92449, -0.15186, -0.11318, 0.92806, 0.55834, 0.03823, 0.5258, 0.95616],
  [0.87893, 0.93068, 0, 0, 0.94603, 0.36731, 0, 0, 0],
  [0.9418, 0.08455, 0.46108, 0.95539, 0.44252, 0, 0, 0, 0],
  new Array<number>(9).fill(-0.9346),
  new Array<number>(9).fill(0.46924),
];

describe('roiCrop', () => {
  const options = { spatialScale: 1 / 4, outputSize: 3 };

  test('gives what an affine grid, bilinear samples and a 2x2 maximum give, in the order of the RoIs', () =>
    scope(() => {
      const cropped = roiCrop(features(), tensor(ROIS.flat(), { shape: [4, 5] }), options);
      assert.deepEqual(cropped.shape, [4, 2, 3, 3]);
      assertClose(cropped, EXPECTED.flat(), { absolute: 2e-5 });
    }));

  test('passes gradients to the features', () =>
    scope(() => {
      const input = features();
      input.requiresGrad = true;
      ops.sum(roiCrop(input, tensor(ROIS.flat(), { shape: [4, 5] }), options)).backward();
      const gradient = input.grad!.toNumbers();
      // Every cell of the first two RoIs lies inside, so its maximum is a mean of features: 18 + 18; the last two add less.
      const total = gradient.reduce((sum, value) => sum + value, 0);
      assert.ok(total > 36 && gradient.every(Number.isFinite), `${total}`);
    }));

  test('gives an empty batch for no RoIs', () =>
    scope(() => {
      assert.deepEqual(roiCrop(features(), ops.zeros([0, 5]), options).shape, [0, 2, 3, 3]);
    }));
});
