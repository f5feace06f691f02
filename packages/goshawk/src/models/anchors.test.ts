import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { liveTensors, scope } from '@goshawk/torch';
import { AnchorGenerator, cellAnchors } from './anchors.js';

// Printed by torchvision 0.29: AnchorGenerator().generate_anchors((size,), (0.5, 1.0, 2.0)).
const TORCHVISION_CELLS: readonly (readonly [number, readonly number[]])[] = [
  [32, [-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23]],
  [64, [-45, -23, 45, 23, -32, -32, 32, 32, -23, -45, 23, 45]],
  [128, [-91, -45, 91, 45, -64, -64, 64, 64, -45, -91, 45, 91]],
  [256, [-181, -91, 181, 91, -128, -128, 128, 128, -91, -181, 91, 181]],
  [512, [-362, -181, 362, 181, -256, -256, 256, 256, -181, -362, 181, 362]],
];

describe('cellAnchors', () => {
  for (const [size, expected] of TORCHVISION_CELLS) {
    test(`gives torchvision's three boxes of size ${size}`, () => {
      assert.deepEqual([...cellAnchors([size], [0.5, 1, 2])], expected);
    });
  }

  test('lists the sizes of the first ratio, then those of the next', () => {
    // generate_anchors((16, 24), (0.5, 1.0)) of torchvision 0.29.
    const expected = [-11, -6, 11, 6, -17, -8, 17, 8, -8, -8, 8, 8, -12, -12, 12, 12];
    assert.deepEqual([...cellAnchors([16, 24], [0.5, 1])], expected);
  });

  test('rounds halves to the even neighbour', () => {
    // Half of 5 is 2.5, of 7 is 3.5; torch.round gives 2 and 4.
    assert.deepEqual([...cellAnchors([5, 7], [1])].map(Math.abs), [2, 2, 2, 2, 4, 4, 4, 4]);
  });
});

describe('AnchorGenerator', () => {
  const options = { sizes: [[8], [16]], ratios: [1] };

  test('goes through the cells row by row, a stride apart', () =>
    scope(() => {
      const [fine] = new AnchorGenerator(options).forGrids([[2, 3]], [64, 96]);
      const centres = [0, 32].flatMap((y) => [0, 32, 64].map((x) => [x, y] as const));
      assert.deepEqual(
        fine!.toNumbers(),
        centres.flatMap(([x, y]) => [x - 4, y - 4, x + 4, y + 4]),
      );
    }));

  test('takes the stride of each axis from the padded size, without its fraction', () =>
    scope(() => {
      const [anchors] = new AnchorGenerator(options).forGrids([[4, 2]], [66, 48]);
      const corners = anchors!.toNumbers();
      // The second cell of the first row, and the first cell of the second row: 48 / 2 and floor(66 / 4).
      assert.deepEqual(corners.slice(4, 6), [24 - 4, -4]);
      assert.deepEqual(corners.slice(8, 10), [-4, 16 - 4]);
    }));

  test('gives every level its own sizes', () =>
    scope(() => {
      const levels = new AnchorGenerator(options).forGrids(
        [
          [1, 1],
          [1, 1],
        ],
        [8, 8],
      );
      assert.deepEqual(
        levels.map((level) => level.toNumbers()),
        [
          [-4, -4, 4, 4],
          [-8, -8, 8, 8],
        ],
      );
    }));

  test('counts the anchors of a cell', () => {
    assert.equal(new AnchorGenerator({ sizes: [[8, 12]], ratios: [0.5, 1, 2] }).perCell, 6);
  });

  test('keeps few grids however many shapes come, and never frees one that it just gave', () => {
    const generator = new AnchorGenerator(options);
    const before = liveTensors();
    for (let side = 1; side <= 100; side++) {
      const levels = generator.forGrids(
        [
          [side, side],
          [1, side],
        ],
        [side * 4, side * 4],
      );
      assert.deepEqual(
        levels.map((level) => level.toNumbers().length),
        [side * side * 4, side * 4],
      );
    }
    assert.ok(liveTensors() - before <= 50, `${liveTensors() - before} grids are alive`);
  });
});
