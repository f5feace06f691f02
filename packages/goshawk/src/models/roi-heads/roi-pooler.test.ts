import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, full, ops, scope, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { assignLevels, poolRois, roisOf } from './roi-pooler.js';

const boxes = (rows: readonly (readonly number[])[]) => tensor(rows.flat(), { shape: [rows.length, 4] });
const squares = (sides: readonly number[]) => boxes(sides.map((side) => [0, 0, side, side]));

describe('assignLevels', () => {
  // Levels P2..P5: index 0 is P2.
  const indexOf = (sides: readonly number[]): number[] => assignLevels(squares(sides), 2, 4).toNumbers();

  test('puts a box of 224 pixels on level 4', () =>
    scope(() => {
      assert.deepEqual(indexOf([224]), [2]);
    }));

  test('keeps sizes that are exact powers of two of it on the upper level, and just below them on the lower', () =>
    scope(() => {
      assert.deepEqual(indexOf([112, 224, 448]), [1, 2, 3]);
      assert.deepEqual(indexOf([111.9, 223.9, 447.9]), [0, 1, 2]);
    }));

  test('puts smaller boxes on the finest level and larger ones on the coarsest', () =>
    scope(() => {
      assert.deepEqual(indexOf([0, 1, 56, 896, 5000]), [0, 0, 0, 3, 3]);
    }));

  test('goes by the area of oblong boxes', () =>
    scope(() => {
      const oblong = boxes([
        [10, 20, 10 + 112, 20 + 448],
        [0, 0, 56, 223],
      ]);
      assert.deepEqual(assignLevels(oblong, 2, 4).toNumbers(), [2, 0]);
    }));

  test('gives no levels for no boxes', () =>
    scope(() => {
      const none = assignLevels(tensor([], { shape: [0, 4] }), 2, 4);
      assert.deepEqual([none.dtype, ...none.shape], ['int64', 0]);
    }));
});

describe('roisOf', () => {
  test('puts the image index before each box', () =>
    scope(() => {
      const rois = roisOf([boxes([[1, 2, 3, 4]]), tensor([], { shape: [0, 4] }), boxes([[5, 6, 7, 8]])]);
      assert.deepEqual(rois.toNumbers(), [0, 1, 2, 3, 4, 2, 5, 6, 7, 8]);
    }));
});

describe('assignLevels with boxes that include their last pixel', () => {
  const rules = CONVENTIONS.detectron;

  test('adds a pixel to each side', () =>
    scope(() => {
      // 111 + 1 pixels are level 3's; without the added one level 2's.
      assert.deepEqual(assignLevels(boxes([[0, 0, 111, 111]]), 2, 4, rules).toNumbers(), [1]);
      assert.deepEqual(assignLevels(boxes([[0, 0, 111, 111]]), 2, 4).toNumbers(), [0]);
    }));

  test('puts boxes without an area, or that are no numbers, on the finest level', () =>
    scope(() => {
      const odd = boxes([
        [5, 5, 3, 9],
        [Number.NaN, 0, 400, 400],
      ]);
      assert.deepEqual(assignLevels(odd, 2, 4, rules).toNumbers(), [0, 0]);
    }));
});

describe('poolRois', () => {
  const options = { poolSize: 2, pooling: 'align', samplingRatio: 2 } as const;
  const STRIDES = [4, 8, 16, 32];

  test('reads each box from its level, in the order of the boxes', () =>
    scope(() => {
      // Every level is filled with its own stride; strides 4..32 of a batch of 1024 pixels.
      const features = [4, 8, 16, 32].map((stride) => full([1, 1, 1024 / stride, 1024 / stride], stride));
      const pooled = poolRois(features, [squares([500, 30, 224, 130])], STRIDES, options);
      assert.deepEqual(pooled.shape, [4, 1, 2, 2]);
      assertClose(
        pooled,
        [32, 4, 16, 8].flatMap((stride) => [stride, stride, stride, stride]),
      );
    }));

  test('reads each box from its own image', () =>
    scope(() => {
      const feature = tensor([...new Array<number>(64).fill(1), ...new Array<number>(64).fill(2)], {
        shape: [2, 1, 8, 8],
      });
      const pooled = poolRois([feature], [squares([16]), squares([16, 20])], [4], {
        ...options,
        poolSize: 1,
        samplingRatio: 0,
      });
      assertClose(pooled, [1, 2, 2]);
    }));

  test('averages a bin at coordinates that are the image divided by the stride, without a half-pixel shift', () =>
    scope(() => {
      // Feature values are x + 100 y, so a bin's mean is the value at its centre.
      const ramp = tensor(
        Array.from({ length: 256 }, (_, i) => (i % 16) + 100 * Math.floor(i / 16)),
        { shape: [1, 1, 16, 16] },
      );
      const pooled = poolRois([ramp], [boxes([[8, 16, 40, 32]])], [4], options);
      const expected = [5, 7].flatMap((y) => [4, 8].map((x) => x + 100 * y));
      assertClose(pooled, expected);
    }));

  test('gives an empty batch for no boxes', () =>
    scope(() => {
      const pooled = poolRois([ops.ones([1, 3, 8, 8])], [tensor([], { shape: [0, 4] })], [4], options);
      assert.deepEqual(pooled.shape, [0, 3, 2, 2]);
    }));
});
