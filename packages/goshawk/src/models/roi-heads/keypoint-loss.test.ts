import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, manualSeed, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { hasKeypointInside, keypointCells, keypointLoss } from './keypoint-loss.js';

type Box = readonly [number, number, number, number];
type Point = readonly [x: number, y: number, visibility: number];

const boxesOf = (rows: readonly Box[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });
const pointsOf = (rows: readonly (readonly Point[])[]): Tensor =>
  tensor(rows.flat(2), { shape: [rows.length, rows[0]?.length ?? 0, 3] });

/** The cell of one point, or undefined where it is not to be learned: Detectron's rule in plain numbers. */
function cellByDefinition([x, y, visibility]: Point, [x1, y1, x2, y2]: Box, side: number): number | undefined {
  const along = (value: number, from: number, to: number): number =>
    value === to ? side - 1 : Math.floor(((value - from) * side) / (to - from));
  const [column, row] = [along(x, x1, x2), along(y, y1, y2)];
  const isInside = column >= 0 && row >= 0 && column < side && row < side;
  return isInside && visibility > 0 ? row * side + column : undefined;
}

describe('keypointCells', () => {
  const box: Box = [10, 20, 24, 48];
  const cellsOf = (points: readonly Point[], side = 56): (number | undefined)[] =>
    scope(() => {
      const { cells, valid } = keypointCells(pointsOf([points]), boxesOf([box]), side);
      const isValid = valid.toNumbers();
      return cells.toNumbers().map((cell, i) => (isValid[i] ? cell : undefined));
    });

  test('counts cells row by row, a box being `side` cells wide and high', () => {
    // Cells are 14 / 56 = 1/4 wide and 28 / 56 = 1/2 high.
    assert.deepEqual(
      cellsOf([
        [10, 20, 2],
        [10.25, 20, 2],
        [10, 20.5, 1],
        [17.1, 34.9, 1],
      ]),
      [0, 1, 56, 29 * 56 + 28],
    );
  });

  test('gives a point on the right or lower border to the last cell, and one on the left or upper to the first', () => {
    assert.deepEqual(
      cellsOf([
        [24, 48, 2],
        [24, 20, 2],
        [10, 48, 2],
      ]),
      [56 * 56 - 1, 55, 55 * 56],
    );
  });

  test('leaves out points outside of the box and unseen ones', () => {
    assert.deepEqual(
      cellsOf([
        [9.9, 30, 2],
        [24.1, 30, 2],
        [12, 19.9, 2],
        [12, 48.1, 2],
        [12, 30, 0],
      ]),
      [undefined, undefined, undefined, undefined, undefined],
    );
  });

  test('follows the definition', () => {
    const place = fc.integer({ min: 0, max: 40 });
    const anyBox = fc
      .tuple(place, place, fc.constantFrom(4, 7, 16, 28), fc.constantFrom(4, 7, 16, 28))
      .map(([x, y, width, height]): Box => [x, y, x + width, y + height]);
    const anyPoint = fc
      .tuple(place, place, fc.constantFrom(0, 1, 2))
      .map(([x, y, visibility]): Point => [x + 0.5, y, visibility]);
    fc.assert(
      fc.property(anyBox, fc.array(anyPoint, { minLength: 1, maxLength: 6 }), (own, points) =>
        scope(() => {
          const { cells, valid } = keypointCells(pointsOf([points]), boxesOf([own]), 28);
          const expected = points.map((point) => cellByDefinition(point, own, 28));
          assert.deepEqual(
            valid.toNumbers(),
            expected.map((cell) => (cell === undefined ? 0 : 1)),
          );
          assert.deepEqual(
            cells.toNumbers(),
            expected.map((cell) => cell ?? 0),
          );
        }),
      ),
      { numRuns: 100 },
    );
  });

  test('gives a cell that exists for a box without a width', () =>
    scope(() => {
      const { cells } = keypointCells(
        pointsOf([
          [
            [5, 5, 2],
            [6, 5, 2],
          ],
        ]),
        boxesOf([[5, 5, 5, 9]]),
        4,
      );
      assert.ok(cells.toNumbers().every((cell) => cell >= 0 && cell < 16));
    }));
});

describe('hasKeypointInside', () => {
  test('wants one visible point in the box, its borders included', () =>
    scope(() => {
      const box: Box = [10, 20, 30, 40];
      const rows: Point[][] = [
        [
          [10, 20, 1],
          [0, 0, 2],
        ],
        [
          [30, 40, 2],
          [30.1, 40, 2],
        ],
        [
          [20, 30, 0],
          [0, 0, 2],
        ],
        [
          [9.9, 30, 2],
          [20, 40.1, 2],
        ],
      ];
      const found = hasKeypointInside(pointsOf(rows), boxesOf(rows.map(() => box)));
      assert.deepEqual(found.toNumbers(), [1, 1, 0, 0]);
    }));
});

describe('keypointLoss', () => {
  const side = 3;
  const goalsOf = (cells: readonly number[], valid: readonly number[], shape: [number, number]) => ({
    cells: tensor(BigInt64Array.from(cells, BigInt), { shape }),
    valid: tensor([...valid], { shape, dtype: 'bool' }),
  });

  /** -log of the softmax over a heatmap's cells, summed over the valid keypoints; float64. */
  function sumByDefinition(logits: readonly number[], cells: readonly number[], valid: readonly number[]): number {
    return cells.reduce((sum, cell, keypoint) => {
      const map = logits.slice(keypoint * side * side, (keypoint + 1) * side * side);
      const total = Math.log(map.reduce((all, logit) => all + Math.exp(logit), 0));
      return sum + (valid[keypoint] ? total - map[cell]! : 0);
    }, 0);
  }

  const [cells, valid] = [
    [0, 8, 4, 2],
    [1, 0, 1, 1],
  ];

  test('is the cross entropy over the cells of each heatmap, a mean over the visible keypoints', () =>
    scope(() => {
      manualSeed(1);
      const logits = randn([2, 2, side, side]);
      const expected = sumByDefinition(logits.toNumbers(), cells!, valid!) / 3;
      assertClose([keypointLoss(logits, goalsOf(cells!, valid!, [2, 2])).item()], [expected]);
    }));

  test('is divided by the capacity of a batch where one is given', () =>
    scope(() => {
      manualSeed(1);
      const logits = randn([2, 2, side, side]);
      const expected = sumByDefinition(logits.toNumbers(), cells!, valid!) / 40;
      assertClose([keypointLoss(logits, goalsOf(cells!, valid!, [2, 2]), 40).item()], [expected]);
    }));

  test('is 0 with gradients of 0 where no keypoint is visible, and where there are no boxes', () =>
    scope(() => {
      for (const [shape, goals] of [
        [[1, 2, side, side], goalsOf([0, 0], [0, 0], [1, 2])],
        [[0, 2, side, side], goalsOf([], [], [0, 2])],
      ] as const) {
        const logits = ops.ones([...shape]);
        logits.requiresGrad = true;
        const loss = keypointLoss(logits, goals);
        loss.backward();
        assert.equal(loss.item(), 0);
        assert.ok(logits.grad!.toNumbers().every((value) => value === 0));
      }
    }));
});
