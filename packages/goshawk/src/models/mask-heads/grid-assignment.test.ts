import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AssignedCell, assignCells } from './grid-assignment.js';
import { objectMasks } from './object-masks.js';

type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/** Objects whose masks are whole boxes, inclusive ends, in a picture of 160 x 160. */
function cellsOf(boxes: readonly Box[], options: Partial<Parameters<typeof assignCells>[2]> = {}): AssignedCell[] {
  const sizes = boxes.map(([x1, y1, x2, y2]) => [x2 - x1 + 1, y2 - y1 + 1] as const);
  let offset = 0;
  const crops = boxes.flatMap(([x1, y1], i) => {
    const [width, height] = sizes[i]!;
    offset += width * height;
    return [offset - width * height, x1, y1, width, height];
  });
  const masks = objectMasks(new Uint8Array(offset).fill(1), crops);
  return assignCells({ boxes: Float32Array.from(boxes.flat()), masks }, [160, 160], {
    grids: [40, 16],
    scaleRanges: [
      [1, 50],
      [40, 160],
    ],
    centreShare: 0.2,
    leastArea: 1,
    ...options,
  });
}

const places = (cells: readonly AssignedCell[], level: number) =>
  cells.filter((cell) => cell.level === level).map(({ row, column }) => [row, column]);

describe('assignCells', () => {
  test('takes the cells of a fifth of the box around the centre, on every level whose range holds the size', () => {
    // 41 pixels a side around 30.5: the middle fifth goes from 26.5 to 34.5, cells of 4 pixels 6 to 8, of 10 pixels 2 to 3.
    const cells = cellsOf([[10, 10, 51, 51]]);
    assert.deepEqual(
      places(cells, 0),
      [6, 7, 8].flatMap((row) => [6, 7, 8].map((column) => [row, column])),
    );
    assert.deepEqual(
      places(cells, 1),
      [2, 3].flatMap((row) => [2, 3].map((column) => [row, column])),
    );
  });

  test('spreads by one cell at most', () => {
    // The middle fifth of 141 pixels is 28 long: seven cells of 4, of which three remain.
    const cells = cellsOf([[8, 8, 148, 148]], {
      scaleRanges: [
        [1, 200],
        [1, 200],
      ],
    });
    assert.equal(places(cells, 0).length, 9);
  });

  test('both ends of a range belong to it', () => {
    assert.equal(places(cellsOf([[0, 0, 50, 50]]), 0).length > 0, true);
    assert.equal(places(cellsOf([[0, 0, 40, 40]]), 1).length > 0, true);
    assert.equal(places(cellsOf([[0, 0, 51, 51]]), 0).length, 0);
  });

  test('puts the middle of the picture into the cell before it, as 0.5 // (1 / 40) is 19 in Python', () => {
    const cells = cellsOf([[79, 79, 81, 81]], { centreShare: 0 });
    assert.deepEqual(places(cells, 0), [[19, 19]]);
  });

  test('stays in the grid at the borders', () => {
    const cells = cellsOf([[0, 0, 4, 4]]);
    assert.deepEqual(places(cells, 0), [[0, 0]]);
    assert.deepEqual(places(cellsOf([[155, 155, 159, 159]]), 0), [[39, 39]]);
  });

  test('lists a cell for each object that claims it, the later ones later', () => {
    const cells = cellsOf([
      [20, 20, 40, 40],
      [22, 22, 42, 42],
    ]);
    const shared = cells.filter(({ level, row, column }) => level === 0 && row === 7 && column === 7);
    assert.deepEqual(
      shared.map(({ object }) => object),
      [0, 1],
    );
  });

  test('leaves out objects of too few pixels', () => {
    assert.deepEqual(cellsOf([[10, 10, 12, 12]], { leastArea: 10 }), []);
  });
});
