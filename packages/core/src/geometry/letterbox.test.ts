import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fillPadding, letterboxSize, padValuesOf, placeInFrame, torchvisionPreprocess } from './index.js';

describe('the letterbox', () => {
  test("fits pictures into the middle of a square as sparse_rcnnv1's parity cases say", () => {
    // 500 x 333 and 1000 x 605 at 320; 160 x 129 at 192, which is enlarged.
    for (const [width, height, side, resized, left, top] of [
      [500, 333, 320, [320, 213], 0, 53],
      [1000, 605, 320, [320, 194], 0, 63],
      [160, 129, 192, [192, 155], 0, 18],
    ] as const) {
      const size = letterboxSize(width, height, { maxSize: side });
      assert.deepEqual([size.width, size.height], resized);
      assert.deepEqual(size.frame, { width: side, height: side, left, top });
      assert.equal(size.scaleX, side / Math.max(width, height));
      assert.equal(size.scaleY, size.scaleX);
    }
  });

  test('leaves a picture of its own size as it is', () => {
    const { width, height, scaleX, frame } = letterboxSize(64, 64, { maxSize: 64 });
    assert.deepEqual([width, height, scaleX, frame], [64, 64, 1, { width: 64, height: 64, left: 0, top: 0 }]);
  });

  test('is filled with its colour on all sides, and with nothing inside', () => {
    const values = padValuesOf({
      ...torchvisionPreprocess,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      valueScale: 1,
      padColour: [1, 2, 3],
    });
    assert.deepEqual(values, [1, 2, 3]);
    const frame = { width: 4, height: 4, left: 1, top: 1 };
    const slot = { data: new Float32Array(4 * 4 * 3), offset: 0, rowStride: 12 };
    fillPadding(slot, { width: 2, height: 2, frame }, 4, values);
    const red = Array.from({ length: 16 }, (_, i) => slot.data[i * 3]);
    assert.deepEqual(red, [1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
    assert.equal(placeInFrame(slot, frame).offset, 12 + 3);
  });

  test('takes the colour as red, green and blue whatever the order of the channels', () => {
    const preprocess = { ...torchvisionPreprocess, mean: [0, 0, 0], std: [1, 1, 1], valueScale: 1 } as const;
    assert.deepEqual(padValuesOf({ ...preprocess, channels: 'bgr', padColour: [1, 2, 3] }), [3, 2, 1]);
    assert.deepEqual(padValuesOf({ ...preprocess, padValue: 0.5 }), [0.5, 0.5, 0.5]);
  });
});
