import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, scope, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { atLeast, clipBoxes, decodeBoxes, encodeBoxes } from './box-coder.js';

const RCNN_WEIGHTS = [10, 10, 5, 5] as const;

const boxes = (rows: readonly (readonly number[])[]) => tensor(rows.flat(), { shape: [rows.length, 4] });

const box = fc
  .tuple(
    fc.double({ min: 0, max: 900, noNaN: true }),
    fc.double({ min: 0, max: 900, noNaN: true }),
    fc.double({ min: 2, max: 400, noNaN: true }),
    fc.double({ min: 2, max: 400, noNaN: true }),
  )
  .map(([x, y, width, height]) => [x, y, x + width, y + height]);

describe('encodeBoxes', () => {
  test('gives the offsets of the R-CNN paper, weighted', () =>
    scope(() => {
      // The reference has centre (5, 10), width 10, height 20; the box centre (15, 5), width 20, height 10.
      const offsets = encodeBoxes(boxes([[5, 0, 25, 10]]), boxes([[0, 0, 10, 20]]), RCNN_WEIGHTS);
      assertClose(offsets, [10 * 1, 10 * -0.25, 5 * Math.LN2, 5 * -Math.LN2]);
    }));

  test('gives zeros for a box that is its reference', () =>
    scope(() => {
      const same = boxes([[3, 4, 30, 50]]);
      assert.deepEqual(encodeBoxes(same, same, RCNN_WEIGHTS).toNumbers().map(Math.abs), [0, 0, 0, 0]);
    }));
});

/** Logarithms up to 4 in offsets of float32 say a side of a thousand pixels to 2.4e-7 of it. */
const there = { absolute: 5e-4 };

describe('decodeBoxes', () => {
  test('undoes encodeBoxes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(box, box), { minLength: 1, maxLength: 8 }), (pairs) =>
        scope(() => {
          const goals = boxes(pairs.map(([goal]) => goal));
          // At most a factor of 62.5 between the two: beyond it the growth is bounded.
          const references = boxes(
            pairs.map(([, reference]) => reference.map((side, i) => (i < 2 ? side : side + 10))),
          );
          const decoded = decodeBoxes(encodeBoxes(goals, references, RCNN_WEIGHTS), references, RCNN_WEIGHTS);
          assertClose(decoded, goals.toNumbers(), there);
        }),
      ),
      { numRuns: 50 },
    );
  });

  test('reads four offsets for each class', () =>
    scope(() => {
      const decoded = decodeBoxes(
        tensor([0, 0, 0, 0, 10, 0, 5 * Math.LN2, 0], { shape: [1, 8] }),
        boxes([[0, 0, 10, 20]]),
        RCNN_WEIGHTS,
      );
      assert.deepEqual(decoded.shape, [1, 2, 4]);
      // The second: centre one width to the right, twice as wide.
      assertClose(decoded, [0, 0, 10, 20, 5, 0, 25, 20]);
    }));

  test('lets no box grow beyond 62.5 times its reference', () =>
    scope(() => {
      const decoded = decodeBoxes(
        tensor([0, 0, 1000, 1000], { shape: [1, 4] }),
        boxes([[0, 0, 2, 4]]),
        [1, 1, 1, 1],
      ).toNumbers();
      assertClose([decoded[2]! - decoded[0]!, decoded[3]! - decoded[1]!], [2 * 62.5, 4 * 62.5]);
    }));

  test('gives no boxes for no references', () =>
    scope(() => {
      const none = decodeBoxes(tensor([], { shape: [0, 12] }), tensor([], { shape: [0, 4] }), RCNN_WEIGHTS);
      assert.deepEqual(none.shape, [0, 3, 4]);
    }));
});

describe('encodeBoxes and decodeBoxes of boxes that include their last pixel', () => {
  const inclusive = { convention: 'inclusive' } as const;

  test('count one pixel more on each side', () =>
    scope(() => {
      // Reference: 10 x 20 pixels around (5, 10); box: 20 x 10 pixels around (15, 5).
      const reference = boxes([[0, 0, 9, 19]]);
      const offsets = encodeBoxes(boxes([[5, 0, 24, 9]]), reference, RCNN_WEIGHTS, 'inclusive');
      assertClose(offsets, [10 * 1, 10 * -0.25, 5 * Math.LN2, 5 * -Math.LN2]);
      assertClose(decodeBoxes(offsets, reference, RCNN_WEIGHTS, inclusive), [5, 0, 24, 9]);
    }));

  test('undo each other', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(box, box), { minLength: 1, maxLength: 8 }), (pairs) =>
        scope(() => {
          const goals = boxes(pairs.map(([goal]) => goal));
          const references = boxes(
            pairs.map(([, reference]) => reference.map((side, i) => (i < 2 ? side : side + 10))),
          );
          const offsets = encodeBoxes(goals, references, RCNN_WEIGHTS, 'inclusive');
          const decoded = decodeBoxes(offsets, references, RCNN_WEIGHTS, inclusive);
          assertClose(decoded, goals.toNumbers(), there);
        }),
      ),
      { numRuns: 50 },
    );
  });

  test('let no box shrink below 16 / 1000 of its reference where that is bounded', () =>
    scope(() => {
      const sidesOf = (boundsShrinking: boolean): number[] => {
        const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = decodeBoxes(
          tensor([0, 0, -100, -100], { shape: [1, 4] }),
          boxes([[0, 0, 999, 499]]),
          [1, 1, 1, 1],
          { ...inclusive, boundsShrinking },
        ).toNumbers();
        return [x2 - x1 + 1, y2 - y1 + 1];
      };
      assertClose(sidesOf(true), [16, 8]);
      // A corner at 500 and one beside it.
      assertClose(sidesOf(false), [0, 0], { absolute: 500 * 2 ** -23 });
    }));
});

describe('clipBoxes', () => {
  test('cuts boxes that include their last pixel to the last pixels of the image', () =>
    scope(() => {
      const clipped = clipBoxes(boxes([[-5, -6, 300, 300]]), [100, 200], 'inclusive');
      assert.deepEqual(clipped.toNumbers(), [0, 0, 199, 99]);
    }));

  test('cuts boxes to the image, height and width each by its own axis', () =>
    scope(() => {
      const clipped = clipBoxes(
        boxes([
          [-5, -6, 300, 300],
          [10, 20, 30, 40],
          [150, 250, 160, 260],
        ]),
        [100, 200],
      );
      assert.deepEqual(clipped.toNumbers(), [0, 0, 200, 100, 10, 20, 30, 40, 150, 100, 160, 100]);
    }));
});

describe('atLeast', () => {
  test('counts the last pixel of inclusive boxes', () =>
    scope(() => {
      const found = atLeast(boxes([[0, 0, 4, 4]]), 5, 'inclusive');
      assert.deepEqual([found.toNumbers(), atLeast(boxes([[0, 0, 4, 4]]), 5).toNumbers()], [[1], [0]]);
    }));

  test('wants both sides to be as long', () =>
    scope(() => {
      const found = atLeast(
        boxes([
          [0, 0, 5, 5],
          [0, 0, 4, 9],
          [0, 0, 9, 4],
          [3, 3, 3, 3],
        ]),
        5,
      );
      assert.deepEqual(found.toNumbers(), [1, 0, 0, 0]);
    }));
});
