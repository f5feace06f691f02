import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ops, scope, tensor } from '@goshawk/torch';
import { fillBatch, withoutFillers } from './filled-batch.js';

describe('fillBatch', () => {
  const some = (count: number) => ops.ones([count, 4]);

  test('fills the last image up to the next multiple', () =>
    scope(() => {
      const filled = fillBatch([some(3), some(2)], 4);
      assert.deepEqual(
        filled.boxes.map((own) => own.size(0)),
        [3, 5],
      );
      assert.equal(filled.count, 5);
    }));

  test('adds nothing to a multiple', () =>
    scope(() => {
      const filled = fillBatch([some(3), some(5)], 4);
      assert.deepEqual(
        filled.boxes.map((own) => own.size(0)),
        [3, 5],
      );
    }));

  test('fills up no boxes too', () =>
    scope(() => {
      for (const multiple of [1, 4]) {
        const filled = fillBatch([some(0), some(0)], multiple);
        assert.deepEqual([filled.boxes[1]!.size(0), filled.count], [multiple, 0]);
      }
    }));
});

describe('withoutFillers', () => {
  test('keeps the rows of real boxes', () =>
    scope(() => {
      const filled = fillBatch([ops.ones([2, 4])], 4);
      assert.deepEqual(withoutFillers(tensor([1, 2, 3, 4]), filled).toNumbers(), [1, 2]);
    }));
});
