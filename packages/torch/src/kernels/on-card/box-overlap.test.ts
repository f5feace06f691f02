// Overlaps on a card against the CPU's, bit for bit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rand, scope, type Tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';
import { boxIou } from '../box-overlap.js';

test('a card finds the IoU of every pair', () => {
  scope(() => {
    for (const dtype of ['float32', 'float64'] as const)
      for (const plusOne of [false, true])
        for (const [rows, columns] of [
          [37, 300],
          [1, 1],
          [0, 5],
          [5, 0],
        ] as const) {
          const boxes = (count: number): Tensor => rand([count, 4], { dtype }).mul(50);
          const [a, b] = [boxes(rows), boxes(columns)];
          const found = callOnEmulatedCard('box_iou', a, b, plusOne) as Tensor;
          const expected = boxIou(a, b, { plusOne });
          assert.deepEqual(found.shape, expected.shape);
          assert.equal(found.dtype, dtype);
          assert.deepEqual(found.toNumbers(), expected.toNumbers());
        }
  });
});
