import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { manualSeed, ops, randn, scope, tensor } from '@goshawk/torch';
import { bestOf } from './best-of.js';

describe('bestOf', () => {
  test('gives the first of equal ones, zeros of both signs, infinities and negative ones among them', () => {
    const values = [0, -1, 2, -0, 2, -Infinity, -1, 2, Infinity, 1e-45];
    scope(() => {
      const [best, places] = bestOf(tensor(values), values.length);
      assert.deepEqual(places.toNumbers(), [8, 2, 4, 7, 9, 0, 3, 1, 6, 5]);
      assert.deepEqual(
        best.toNumbers().map((value) => value + 0),
        [Infinity, 2, 2, 2, Math.fround(1e-45), 0, 0, -1, -1, -Infinity],
      );
    });
  });

  test('gives what a stable sort of each row gives', () => {
    manualSeed(1);
    scope(() => {
      // Of few different values.
      const scores = ops.floor(ops.mul(randn([3, 4000]), 5));
      const [values, places] = bestOf(scores, 700);
      const [sorted, order] = ops.sort(scores, { stable: true, descending: true });
      assert.deepEqual(values.toNumbers(), ops.narrow(sorted, 1, 0, 700).contiguous().toNumbers());
      assert.deepEqual(places.toNumbers(), ops.narrow(order, 1, 0, 700).contiguous().toNumbers());
    });
  });
});
