import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flipBoxesInPlace, flipImageInPlace, flipKeypointsInPlace, flipPolygon } from './flip.js';

test('pixels change sides and keep their channel order, for odd and even widths', () => {
  for (const width of [1, 2, 3]) {
    const data = Uint8Array.from({ length: width * 2 * 3 }, (_, i) => i);
    const image = { data: data.slice(), width, height: 2 };
    flipImageInPlace(image);
    for (let y = 0; y < 2; y++) {
      for (let x = 0; x < width; x++) {
        const from = (y * width + x) * 3;
        const to = (y * width + width - 1 - x) * 3;
        assert.deepEqual(image.data.slice(to, to + 3), data.slice(from, from + 3));
      }
    }
  }
});

test('a box keeps x1 < x2: width - x2, width - x1', () => {
  const boxes = Float32Array.of(1, 2, 4, 5, 0, 0, 10, 3);
  flipBoxesInPlace(boxes, 10);
  assert.deepEqual([...boxes], [6, 2, 9, 5, 0, 0, 10, 3]);
});

test('with pixel centres the mirror is width - 1', () => {
  const boxes = Float32Array.of(1, 2, 4, 5);
  flipBoxesInPlace(boxes, 10, { pixelCentres: true });
  assert.deepEqual([...boxes], [5, 2, 8, 5]);
  assert.deepEqual(flipPolygon([0, 1, 9, 2], 10, { pixelCentres: true }), [9, 1, 0, 2]);
});

test('a polygon is mirrored point by point', () => {
  assert.deepEqual(flipPolygon([0, 1, 4, 1, 4, 3], 10), [10, 1, 6, 1, 6, 3]);
});

test('left and right keypoints change places; a point without a label stays at 0, 0', () => {
  const keypoints = Float32Array.of(5, 1, 2, 2, 3, 1, 0, 0, 0, 4, 4, 2, 1, 1, 2, 0, 0, 0);
  flipKeypointsInPlace(keypoints, 3, 10, [[1, 2]]);
  assert.deepEqual([...keypoints], [5, 1, 2, 0, 0, 0, 8, 3, 1, 6, 4, 2, 0, 0, 0, 9, 1, 2]);
});
