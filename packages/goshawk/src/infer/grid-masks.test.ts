// The engine's masks from coarse maps against those of core, which are tested against two plain resizes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, gridMaskTaps, gridMaskToRle } from '@goshawk/core';
import { gridMasksToRle, tensor } from '@goshawk/torch';

const PLACES = [
  { network: { left: 0, top: 0, width: 61, height: 43 }, image: { width: 150, height: 97 } },
  { network: { left: 0, top: 0, width: 64, height: 48 }, image: { width: 64, height: 48 } },
  { network: { left: 9, top: 5, width: 40, height: 37 }, image: { width: 23, height: 111 } },
  { network: { left: 0, top: 0, width: 64, height: 48 }, image: { width: 1, height: 1 } },
];

test('masks of coarse maps are those of gridMaskToRle, to the pixel', () => {
  const random = createRandom(11);
  const [rows, columns, stride, count] = [12, 16, 4, 9];
  for (const place of PLACES) {
    for (const threshold of [0.5, 0.3]) {
      // Noise, a blob in it, all, nothing.
      const maps = Float32Array.from({ length: count * rows * columns }, (_, at) => {
        const mask = Math.floor(at / (rows * columns));
        if (mask === 0) return 1;
        if (mask === 1) return 0.1;
        const [x, y] = [at % columns, Math.floor(at / columns) % rows];
        return mask % 2 === 0 ? random.uniform() : 1 / (1 + ((x - mask) ** 2 + (y - 6) ** 2) / 20);
      });
      const grid = { rows, columns, stride, ...place };
      const found = gridMasksToRle(tensor(maps, { shape: [count, rows, columns] }), {
        ...gridMaskTaps(grid),
        threshold,
      });
      assert.equal(found.length, count);
      for (const [mask, runs] of found.entries()) {
        const cells = maps.subarray(mask * rows * columns, (mask + 1) * rows * columns);
        assert.deepEqual(runs, gridMaskToRle(cells, { ...grid, threshold }).counts, `mask ${mask} at ${threshold}`);
      }
    }
  }
});

test('taps beside the maps are refused', () => {
  const maps = tensor(new Float32Array(4), { shape: [1, 2, 2] });
  const inside = { first: Int32Array.of(0), weights: Float64Array.of(1, 0, 0) };
  const outside = { ...inside, first: Int32Array.of(2) };
  assert.throws(
    () => gridMasksToRle(maps, { across: outside, down: inside, threshold: 0.5 }),
    /across: pixel 0 reads cell 2 of 2/,
  );
});
