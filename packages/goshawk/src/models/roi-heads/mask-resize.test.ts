// The pictures were made with OpenCV 5.0: x1, y1, x2, y2 = box.astype(int); w = max(x2 - x1 + 1, 1), h likewise;
// cv2.resize(mask[y1:y1+h, x1:x1+w], (14, 14), interpolation=cv2.INTER_LINEAR), printed with # for 1.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resizeMasksInside } from './mask-resize.js';

const [WIDTH, HEIGHT] = [30, 24];

/** A disc with a bar at its upper right. */
const mask = Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => {
  const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
  const isInDisc = ((x - 14) / 9) ** 2 + ((y - 11) / 7) ** 2 <= 1;
  return isInDisc || (y >= 3 && y < 6 && x >= 20 && x < 28) ? 1 : 0;
});

function rowsOf(goals: Float32Array, side: number): string[] {
  return Array.from({ length: side }, (_, row) =>
    Array.from(goals.subarray(row * side, row * side + side), (cell) => (cell === 1 ? '#' : '.')).join(''),
  );
}

const CASES = [
  {
    what: 'a box that is reduced',
    box: [3, 2, 27, 20],
    rows: [
      '..............',
      '..........####',
      '....#####.####',
      '...#######....',
      '..#########...',
      '..#########...',
      '..#########...',
      '..#########...',
      '..#########...',
      '..#########...',
      '...#######....',
      '....#####.....',
      '..............',
      '..............',
    ],
  },
  {
    what: 'a box that is enlarged, cut to whole pixels',
    box: [5.9, 4.9, 9.2, 7.1],
    rows: [
      ...new Array<string>(7).fill('..............'),
      ...new Array<string>(3).fill('.........#####'),
      '.......#######',
      ...new Array<string>(3).fill('......########'),
    ],
  },
  {
    what: 'the whole picture',
    box: [0, 0, 29, 23],
    rows: [
      '..............',
      '..............',
      '.........####.',
      '....#########.',
      '...#######....',
      '...########...',
      '..#########...',
      '...########...',
      '...########...',
      '....######....',
      '.....####.....',
      '..............',
      '..............',
      '..............',
    ],
  },
  {
    what: 'a box of nearly the size of its goal',
    box: [10, 3, 25, 18],
    rows: [
      '.........#####',
      '.........#####',
      '########.#####',
      '##########....',
      '###########...',
      '###########...',
      '###########...',
      '############..',
      '###########...',
      '###########...',
      '###########...',
      '##########....',
      '########......',
      '..............',
    ],
  },
  {
    what: 'a box one pixel wide',
    box: [20, 2, 20, 6],
    rows: [...new Array<string>(3).fill('..............'), ...new Array<string>(11).fill('##############')],
  },
];

describe('resizeMasksInside', () => {
  for (const { what, box, rows } of CASES) {
    test(`resizes as OpenCV does with bytes ${what}`, () => {
      const goals = resizeMasksInside(Float32Array.from(box), [0], mask, [0, 0, 0, WIDTH, HEIGHT], 14);
      assert.deepEqual(rowsOf(goals, 14), rows);
    });
  }

  test("reads each box's own object, which is 0 outside of its cut-out", () => {
    // The second object's cut-out is the disc's middle, stored behind the first.
    const crop = { x: 5, y: 4, width: 18, height: 14 };
    const cut = Uint8Array.from({ length: crop.width * crop.height }, (_, i) => {
      const [x, y] = [crop.x + (i % crop.width), crop.y + Math.floor(i / crop.width)];
      return mask[y * WIDTH + x]!;
    });
    const whole = mask.map((value, i) => {
      const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
      const isCut = x >= crop.x && y >= crop.y && x < crop.x + crop.width && y < crop.y + crop.height;
      return isCut ? value : 0;
    });
    const box = [0, 0, 29, 23];
    const own = resizeMasksInside(
      Float32Array.from([...box, ...box]),
      [1, 0],
      Uint8Array.from([...mask, ...cut]),
      [0, 0, 0, WIDTH, HEIGHT, mask.length, crop.x, crop.y, crop.width, crop.height],
      14,
    );
    const expected = resizeMasksInside(Float32Array.from(box), [0], whole, [0, 0, 0, WIDTH, HEIGHT], 14);
    assert.deepEqual(rowsOf(own.subarray(0, 196), 14), rowsOf(expected, 14));
    assert.deepEqual(rowsOf(own.subarray(196), 14), CASES[2]!.rows);
  });
});
