import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, full, manualSeed, ops, randn, roiPool, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { roiCrop } from './roi-crop.js';
import { assignLevels, poolRois, roisOf } from './roi-pooler.js';

const boxes = (rows: readonly (readonly number[])[]) => tensor(rows.flat(), { shape: [rows.length, 4] });
const squares = (sides: readonly number[]) => boxes(sides.map((side) => [0, 0, side, side]));

describe('assignLevels', () => {
  // Levels P2..P5: index 0 is P2.
  const indexOf = (sides: readonly number[]): number[] => assignLevels(squares(sides), 2, 4).toNumbers();

  test('puts a box of 224 pixels on level 4', () =>
    scope(() => {
      assert.deepEqual(indexOf([224]), [2]);
    }));

  test('keeps sizes that are exact powers of two of it on the upper level, and just below them on the lower', () =>
    scope(() => {
      assert.deepEqual(indexOf([112, 224, 448]), [1, 2, 3]);
      assert.deepEqual(indexOf([111.9, 223.9, 447.9]), [0, 1, 2]);
    }));

  test('puts smaller boxes on the finest level and larger ones on the coarsest', () =>
    scope(() => {
      assert.deepEqual(indexOf([0, 1, 56, 896, 5000]), [0, 0, 0, 3, 3]);
    }));

  test('goes by the area of oblong boxes', () =>
    scope(() => {
      const oblong = boxes([
        [10, 20, 10 + 112, 20 + 448],
        [0, 0, 56, 223],
      ]);
      assert.deepEqual(assignLevels(oblong, 2, 4).toNumbers(), [2, 0]);
    }));

  test('gives no levels for no boxes', () =>
    scope(() => {
      const none = assignLevels(tensor([], { shape: [0, 4] }), 2, 4);
      assert.deepEqual([none.dtype, ...none.shape], ['int64', 0]);
    }));
});

describe('roisOf', () => {
  test('puts the image index before each box', () =>
    scope(() => {
      const rois = roisOf([boxes([[1, 2, 3, 4]]), tensor([], { shape: [0, 4] }), boxes([[5, 6, 7, 8]])]);
      assert.deepEqual(rois.toNumbers(), [0, 1, 2, 3, 4, 2, 5, 6, 7, 8]);
    }));
});

describe('assignLevels with boxes that include their last pixel', () => {
  const rules = CONVENTIONS.detectron;

  test('adds a pixel to each side', () =>
    scope(() => {
      // 111 + 1 pixels are level 3's; without the added one level 2's.
      assert.deepEqual(assignLevels(boxes([[0, 0, 111, 111]]), 2, 4, rules).toNumbers(), [1]);
      assert.deepEqual(assignLevels(boxes([[0, 0, 111, 111]]), 2, 4).toNumbers(), [0]);
    }));

  test('puts boxes without an area, or that are no numbers, on the finest level', () =>
    scope(() => {
      const odd = boxes([
        [5, 5, 3, 9],
        [Number.NaN, 0, 400, 400],
      ]);
      assert.deepEqual(assignLevels(odd, 2, 4, rules).toNumbers(), [0, 0]);
    }));
});

describe('poolRois', () => {
  const options = { poolSize: 2, pooling: 'align', samplingRatio: 2 } as const;
  const STRIDES = [4, 8, 16, 32];

  test('reads each box from its level, in the order of the boxes', () =>
    scope(() => {
      // Every level is filled with its own stride; strides 4..32 of a batch of 1024 pixels.
      const features = [4, 8, 16, 32].map((stride) => full([1, 1, 1024 / stride, 1024 / stride], stride));
      const pooled = poolRois(features, [squares([500, 30, 224, 130])], STRIDES, options);
      assert.deepEqual(pooled.shape, [4, 1, 2, 2]);
      assertClose(
        pooled,
        [32, 4, 16, 8].flatMap((stride) => [stride, stride, stride, stride]),
      );
    }));

  test('reads each box from its own image', () =>
    scope(() => {
      const feature = tensor([...new Array<number>(64).fill(1), ...new Array<number>(64).fill(2)], {
        shape: [2, 1, 8, 8],
      });
      const pooled = poolRois([feature], [squares([16]), squares([16, 20])], [4], {
        ...options,
        poolSize: 1,
        samplingRatio: 0,
      });
      assertClose(pooled, [1, 2, 2]);
    }));

  test('averages a bin at coordinates that are the image divided by the stride, without a half-pixel shift', () =>
    scope(() => {
      // Feature values are x + 100 y, so a bin's mean is the value at its centre.
      const ramp = tensor(
        Array.from({ length: 256 }, (_, i) => (i % 16) + 100 * Math.floor(i / 16)),
        { shape: [1, 1, 16, 16] },
      );
      const pooled = poolRois([ramp], [boxes([[8, 16, 40, 32]])], [4], options);
      const expected = [5, 7].flatMap((y) => [4, 8].map((x) => x + 100 * y));
      assertClose(pooled, expected);
    }));

  test('gives an empty batch for no boxes', () =>
    scope(() => {
      const pooled = poolRois([ops.ones([1, 3, 8, 8])], [tensor([], { shape: [0, 4] })], [4], options);
      assert.deepEqual(pooled.shape, [0, 3, 2, 2]);
    }));
});

describe('poolRois by pool and crop', () => {
  const STRIDES = [4, 8];
  const features = (): Tensor[] => {
    manualSeed(4);
    return STRIDES.map((stride) => randn([2, 3, 256 / stride, 256 / stride]));
  };
  // Large and small boxes by turns.
  const perImage = (): Tensor[] => [
    boxes([
      [3, 5, 250, 253],
      [10, 20, 60, 50],
      [0, 0, 255, 255],
    ]),
    boxes([
      [100, 100, 131, 120],
      [1, 1, 240, 241],
    ]),
  ];
  const LEVELS = [1, 0, 1, 0, 1];
  // Levels 2 and 3: the coarser one begins at 112 pixels.
  const rules = CONVENTIONS.torchvision;

  for (const pooling of ['pool', 'crop'] as const) {
    test(`reads each box by ${pooling} from its level and image, in the order of the boxes`, () =>
      scope(() => {
        const maps = features();
        const pooled = poolRois(maps, perImage(), STRIDES, { poolSize: 3, pooling, samplingRatio: 2 }, rules);
        const rois = roisOf(perImage());
        const one = pooling === 'pool' ? roiPool : roiCrop;
        const expected = LEVELS.map((level, roi) =>
          one(maps[level]!, ops.narrow(rois, 0, roi, 1), { spatialScale: 1 / STRIDES[level]!, outputSize: 3 }),
        );
        assertClose(pooled, ops.cat(expected), { absolute: 1e-5 });
      }));

    test(`gives an empty batch for no boxes by ${pooling}`, () =>
      scope(() => {
        const none = [ops.zeros([0, 4]), ops.zeros([0, 4])];
        const options = { poolSize: 3, pooling, samplingRatio: 2 };
        assert.deepEqual(poolRois(features(), none, STRIDES, options, rules).shape, [0, 3, 3, 3]);
        assert.deepEqual(poolRois(features().slice(0, 1), none, [4], options, rules).shape, [0, 3, 3, 3]);
      }));
  }
});

describe('poolRois with RoIs that end one pixel behind their corner', () => {
  const [SIDE, CELLS, SAMPLES] = [9, 3, 2];

  /** mmdetection 1.1's RoIAlign in a plain loop: no smallest size, 2 x 2 samples a cell, 0 beyond a cell from the border. */
  function alignByDefinition(
    value: (x: number, y: number) => number,
    [x1 = 0, y1 = 0, x2 = 0, y2 = 0]: readonly number[],
    scale: number,
  ): number[] {
    const read = (x: number, y: number): number => {
      if (x < -1 || y < -1 || x > SIDE || y > SIDE) return 0;
      const [left, top] = [Math.max(x, 0), Math.max(y, 0)].map((place) => Math.min(place, SIDE - 1)) as [
        number,
        number,
      ];
      const [column, row] = [Math.floor(left), Math.floor(top)];
      const [right, below] = [Math.min(column + 1, SIDE - 1), Math.min(row + 1, SIDE - 1)];
      const [dx, dy] = [left - column, top - row];
      const upper = value(column, row) * (1 - dx) + value(right, row) * dx;
      const lower = value(column, below) * (1 - dx) + value(right, below) * dx;
      return upper * (1 - dy) + lower * dy;
    };
    const [startX, startY] = [x1 * scale, y1 * scale];
    const cellWidth = Math.max((x2 + 1) * scale - startX, 0) / CELLS;
    const cellHeight = Math.max((y2 + 1) * scale - startY, 0) / CELLS;
    const cells: number[] = [];
    for (let row = 0; row < CELLS; row++)
      for (let column = 0; column < CELLS; column++) {
        let sum = 0;
        for (let j = 0; j < SAMPLES; j++)
          for (let i = 0; i < SAMPLES; i++)
            sum += read(
              startX + (column + (i + 0.5) / SAMPLES) * cellWidth,
              startY + (row + (j + 0.5) / SAMPLES) * cellHeight,
            );
        cells.push(sum / SAMPLES ** 2);
      }
    return cells;
  }

  const rows = [
    [3, 5, 30, 25],
    [0, 0, 71, 71],
    [10, 10, 10, 10],
    [12.25, 8.5, 13, 30.75],
    [-20, -9, 20, 30],
    [50, 60, 90, 120],
    [20, 20, 19, 19],
  ];

  for (const stride of [4, 8]) {
    test(`reads what mmdetection 1.1 reads at stride ${stride}, also of boxes smaller than a cell or beyond the border`, () =>
      scope(() => {
        manualSeed(stride);
        const feature = randn([1, 1, SIDE, SIDE]);
        const values = feature.toNumbers();
        const expected = rows.flatMap((row) => alignByDefinition((x, y) => values[y * SIDE + x]!, row, 1 / stride));
        const options = { poolSize: CELLS, pooling: 'align', samplingRatio: SAMPLES } as const;
        const pooled = poolRois([feature], [boxes(rows)], [stride], options, CONVENTIONS.mmdetection);
        assertClose(pooled, expected, { absolute: 2e-5 });
      }));
  }

  test('goes by the stride of the level that a box is read from', () =>
    scope(() => {
      // Values are x + 100 y. Boxes of 55 + 1 pixels are the first level's by a rule of 56 pixels, 111 + 1 the second's.
      const ramp = (side: number): Tensor =>
        tensor(
          Array.from({ length: side * side }, (_, i) => (i % side) + 100 * Math.floor(i / side)),
          { shape: [1, 1, side, side] },
        );
      const pooled = poolRois(
        [ramp(32), ramp(16)],
        [
          boxes([
            [8, 16, 63, 71],
            [16, 32, 127, 143],
          ]),
        ],
        [8, 16],
        { poolSize: 1, pooling: 'align', samplingRatio: 2 },
        CONVENTIONS.mmdetection,
      );
      // The middle of the box with its last pixel, in cells.
      assertClose(pooled, [(8 + 64) / 16 + (100 * (16 + 72)) / 16, (16 + 128) / 32 + (100 * (32 + 144)) / 32]);
    }));
});
