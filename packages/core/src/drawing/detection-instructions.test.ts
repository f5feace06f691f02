import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Category } from '../formats/dataset.js';
import { encodeMask } from '../masks/rle-encode.js';
import { blockText } from '../testing/block-text.js';
import { type DrawnItem, detectionInstructions, type InstructionOptions } from './detection-instructions.js';
import { drawDetections } from './draw-detections.js';
import type { DrawInstruction, LabelInstruction, Rectangle } from './instructions.js';
import { leaderOf, placeLabel } from './label-layout.js';
import { distinctColor, readableOn } from './palette.js';
import { fitText } from './text-measure.js';

const categories: Category[] = [
  { id: 1, name: 'thing' },
  {
    id: 7,
    name: 'person',
    keypoints: ['nose', 'left_hand', 'right_hand'],
    skeleton: [
      [1, 2],
      [1, 3],
    ],
  },
];
const instructions = (items: readonly DrawnItem[], options: Partial<InstructionOptions> = {}): DrawInstruction[] =>
  detectionInstructions(items, { width: 640, height: 480, categories, measure: blockText, ...options });
const labelsOf = (list: readonly DrawInstruction[]): LabelInstruction[] => list.filter((one) => one.kind === 'label');
const areClear = (a: Rectangle, b: Rectangle): boolean =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
const pairs = <T>(list: readonly T[]): [T, T][] => list.flatMap((a, i) => list.slice(0, i).map((b): [T, T] => [a, b]));

describe('instructions', () => {
  const [red, blue] = [distinctColor(0), distinctColor(1)];

  test('of a box are its frame and its name with the score, a line above it', () => {
    // A letter is 0.6 x 12 pixels wide; a line of size 12 is 13 + 4 high.
    assert.deepEqual(instructions([{ categoryId: 1, bbox: [100.4, 60, 200, 90], score: 0.5 }]), [
      { kind: 'box', x: 100, y: 60, width: 200, height: 90, color: red, widthPx: 2 },
      {
        kind: 'label',
        text: 'thing 0.50',
        sizePx: 12,
        place: { x: 100, y: 43, width: 76, height: 17 },
        radiusPx: 2,
        start: [102, 56],
        color: readableOn(red),
        background: red,
      },
    ]);
  });

  test('of a mask are lines around its pixels, of holes too, whether it came as a polygon or as run lengths', () => {
    const mask = new Uint8Array(20 * 10);
    for (let y = 2; y < 8; y++) mask.fill(1, y * 20 + 3, y * 20 + 9);
    mask[4 * 20 + 5] = 0;
    const rle = encodeMask(mask, [10, 20]);
    const options = { width: 20, height: 10, showLabels: false };
    const [drawn] = instructions([{ categoryId: 1, segmentation: { kind: 'rle', rle } }], options);
    assert.ok(drawn?.kind === 'mask');
    const [around, hole, ...rest] = drawn.outlines;
    assert.deepEqual(rest, []);
    // Outlines stay within half a pixel of the border.
    for (const [outline, [left, top, right, bottom]] of [
      [around!, [3, 2, 9, 8]],
      [hole!, [5, 4, 6, 5]],
    ] as const) {
      assert.ok(outline.length >= 6);
      for (let i = 0; i < outline.length; i += 2) {
        const [x, y] = [outline[i]!, outline[i + 1]!];
        const apart = [Math.abs(x - left), Math.abs(x - right), Math.abs(y - top), Math.abs(y - bottom)];
        assert.ok(Math.min(...apart) <= 0.5, `${x}, ${y}`);
        assert.ok(x >= left && x <= right && y >= top && y <= bottom, `${x}, ${y}`);
      }
    }
    const whole = mask.slice();
    whole[4 * 20 + 5] = 1;
    const polygons = [[3, 2, 9, 2, 9, 8, 3, 8]];
    assert.deepEqual(
      instructions([{ categoryId: 1, segmentation: { kind: 'polygons', polygons } }], options),
      instructions([{ categoryId: 1, segmentation: { kind: 'rle', rle: encodeMask(whole, [10, 20]) } }], options),
    );
  });

  test('of keypoints are the limbs between those that are there, left ones unlike right ones', () => {
    const keypoints = [32, 10, 2, 50, 30, 2, 14, 30, 0];
    const [drawn, ...rest] = instructions([{ categoryId: 7, keypoints }], { showLabels: false });
    assert.ok(drawn?.kind === 'skeleton' && rest.length === 0);
    assert.deepEqual(
      drawn.joints.map(({ at }) => at),
      [
        [32, 10],
        [50, 30],
      ],
    );
    assert.deepEqual(
      drawn.limbs.map(({ from, to }) => [from, to]),
      [
        [
          [32, 10],
          [50, 30],
        ],
      ],
    );
    const all = instructions([{ categoryId: 7, keypoints: [32, 10, 2, 50, 30, 2, 14, 30, 1] }], { showLabels: false });
    assert.ok(all[0]?.kind === 'skeleton');
    assert.notDeepEqual(all[0].joints[1]!.color, all[0].joints[2]!.color);
    const none = [32, 10, 0, 50, 30, 0, 14, 30, 0];
    assert.deepEqual(instructions([{ categoryId: 7, keypoints: none }]), []);
  });

  test('have large objects below small ones, and the labels of the first items on top', () => {
    const list = instructions([
      { categoryId: 1, bbox: [10, 40, 30, 30] },
      { categoryId: 7, bbox: [10, 40, 300, 300] },
    ]);
    assert.deepEqual(
      list.map((one) => (one.kind === 'box' ? one.width : one.kind === 'label' ? one.text : one.kind)),
      [300, 30, 'person', 'thing'],
    );
  });

  test('name a category that is not listed by its id', () => {
    assert.deepEqual(
      labelsOf(instructions([{ categoryId: 99, bbox: [20, 40, 30, 30] }])).map(({ text }) => text),
      ['category 99'],
    );
  });

  test('show an object of a film in its own colour wherever it stands in the list', () => {
    const item = (trackId: number, x: number): DrawnItem => ({ categoryId: 1, bbox: [x, 8, 12, 20], trackId });
    const colors = (items: readonly DrawnItem[]) =>
      instructions(items, { showLabels: false }).map((one) => (one.kind === 'box' ? one.color : undefined));
    assert.deepEqual(colors([item(1, 4), item(2, 40)]), [red, blue]);
    assert.deepEqual(colors([item(2, 30), item(3, 50)]), [blue, distinctColor(2)]);
  });

  test('refuse a mask of another picture', () => {
    const segmentation = { kind: 'rle', rle: encodeMask(new Uint8Array(12), [3, 4]) } as const;
    assert.throws(
      () => instructions([{ categoryId: 1, segmentation }]),
      /a mask is 4 x 3, but the picture is 640 x 480/,
    );
  });

  test('are finite, and labels within the picture, for any box in any picture', () => {
    const coordinate = fc.oneof(fc.double(), fc.integer({ min: -100, max: 100 }));
    const side = fc.integer({ min: 1, max: 200 });
    fc.assert(
      fc.property(side, side, fc.tuple(coordinate, coordinate, coordinate, coordinate), (width, height, bbox) => {
        for (const one of instructions([{ categoryId: 1, bbox, score: 1 }], { width, height })) {
          const { x, y, ...size } = one.kind === 'label' ? one.place : (one as Rectangle);
          assert.ok([x, y, size.width, size.height].every(Number.isInteger));
          if (one.kind !== 'label') continue;
          assert.ok(x >= 0 && y >= 0 && x + size.width <= width && y + size.height <= height, `${x}, ${y}`);
        }
      }),
    );
  });
});

describe('labels', () => {
  const crowd = (width: number, height: number): DrawnItem[] =>
    Array.from({ length: 20 }, (_, i) => ({
      categoryId: 1,
      score: 0.5,
      bbox: [width * (0.3 + 0.004 * i), height * (0.3 + 0.003 * i), width / 4, height / 4],
    }));

  test('of twenty objects over each other do not cover each other, in pictures of any size', () => {
    for (const [width, height] of [
      [160, 120],
      [640, 480],
      [4000, 3000],
    ] as const) {
      const labels = labelsOf(instructions(crowd(width, height), { width, height }));
      assert.equal(labels.length, 20);
      for (const [a, b] of pairs(labels)) assert.ok(areClear(a.place, b.place), `${width} x ${height}`);
    }
  });

  test('do without scores where they would hide a small picture', () => {
    const texts = (width: number, height: number) =>
      new Set(labelsOf(instructions(crowd(width, height), { width, height })).map(({ text }) => text));
    assert.deepEqual(texts(160, 120), new Set(['thing']));
    assert.deepEqual(texts(640, 480), new Set(['thing 0.50']));
  });

  test('have a line to their object where they stand apart from it', () => {
    const box = { x: 50, y: 50, width: 20, height: 20 };
    assert.equal(leaderOf({ x: 50, y: 38, width: 30, height: 12 }, box), undefined);
    assert.deepEqual(leaderOf({ x: 10, y: 10, width: 30, height: 12 }, box), { from: [40, 22], to: [50, 50] });
  });
});

describe('placeLabel', () => {
  const picture = { width: 100, height: 100 };
  const size = { width: 30, height: 10 };

  test('stands on the box where there is room, in it otherwise', () => {
    assert.deepEqual(placeLabel({ x: 20, y: 40, width: 50, height: 40 }, size, picture, []), { x: 20, y: 30, ...size });
    assert.deepEqual(placeLabel({ x: 20, y: 4, width: 50, height: 40 }, size, picture, []), { x: 20, y: 4, ...size });
  });
  test('stays in the picture', () => {
    assert.deepEqual(placeLabel({ x: 90, y: 40, width: 40, height: 40 }, size, picture, []), { x: 70, y: 30, ...size });
  });
  test('fourteen labels of one box do not cover each other', () => {
    const placed: Rectangle[] = [];
    for (let i = 0; i < 14; i++) placed.push(placeLabel({ x: 5, y: 30, width: 70, height: 40 }, size, picture, placed));
    for (const [a, b] of pairs(placed)) assert.ok(areClear(a, b));
  });
});

test('text that is too long ends in an ellipsis', () => {
  assert.equal(fitText(blockText, 'traffic light', 10, 1000), 'traffic light');
  const cut = fitText(blockText, 'traffic light', 10, 60);
  assert.ok(cut.endsWith('…') && blockText(cut, 10) <= 60, cut);
  assert.equal(fitText(blockText, 'traffic light', 10, 8), '');
});

test('nothing is drawn without a canvas, and so no box without its name', () => {
  const image = { data: new Uint8Array(3), width: 1, height: 1 };
  // @ts-expect-error canvas is missing
  assert.throws(() => drawDetections(image, [{ categoryId: 1 }], { categories }));
});

describe('colours', () => {
  test('of the first 16 any two are well apart', () => {
    for (let a = 0; a < 16; a++) {
      for (let b = 0; b < a; b++) {
        const d = Math.hypot(...distinctColor(a).map((value, c) => value - distinctColor(b)[c]!));
        assert.ok(d > 35, `${a} and ${b}: ${d}`);
      }
    }
  });
  test('text is dark on light colours and light on dark ones', () => {
    assert.ok(readableOn([255, 255, 255])[0] < 50);
    assert.ok(readableOn([20, 20, 120])[0] > 200);
  });
});
