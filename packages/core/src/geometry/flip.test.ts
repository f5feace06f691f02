import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flipImageInPlace, flipPolygon } from './flip.js';

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

test('a polygon is mirrored point by point', () => {
  assert.deepEqual(flipPolygon([0, 1, 4, 1, 4, 3], 10), [10, 1, 6, 1, 6, 3]);
});

test('with pixel centres the mirror is width - 1', () => {
  assert.deepEqual(flipPolygon([0, 1, 9, 2], 10, { pixelCentres: true }), [9, 1, 0, 2]);
});
