import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockText } from '../testing/block-text.js';
import { changedParts } from './changed-parts.js';
import { type DrawnItem, detectionInstructions } from './detection-instructions.js';
import type { DrawInstruction, MaskInstruction, Rectangle } from './instructions.js';
import { instructionExtents } from './paint-instructions.js';

type Size = Pick<Rectangle, 'width' | 'height'>;

const instructionsOf = (items: readonly DrawnItem[], size: Size): DrawInstruction[] =>
  detectionInstructions(items, { ...size, categories: [{ id: 1, name: 'thing' }], measure: blockText });
const boxes = (list: readonly (readonly [number, number, number, number])[], size: Size): DrawInstruction[] =>
  instructionsOf(
    list.map((bbox) => ({ categoryId: 1, bbox })),
    size,
  );
/** A ring of many corners, some of them deep. */
const ring = (x: number, y: number, radius: number, depth: number): DrawnItem => {
  const corners = Array.from({ length: 24 }, (_, k) => {
    const [angle, reach] = [(k * Math.PI) / 12, radius * (k % 3 === 0 ? 1 - depth : 1)];
    return [x + reach * Math.cos(angle), y + reach * Math.sin(angle)];
  });
  return { categoryId: 1, segmentation: { kind: 'polygons', polygons: [corners.flat()] } };
};

/** How often each pixel lies in a rectangle. */
function timesIn(rectangles: readonly Rectangle[], { width, height }: Size): Uint8Array {
  const times = new Uint8Array(width * height);
  for (const { x, y, width: across, height: down } of rectangles) {
    assert.ok(x >= 0 && y >= 0 && across > 0 && down > 0 && x + across <= width && y + down <= height);
    for (let row = y; row < y + down; row++)
      for (let column = x; column < x + across; column++) times[row * width + column]!++;
  }
  return times;
}

test('parts hold all that changes, once, and nothing outside of the picture', () => {
  const side = fc.integer({ min: 1, max: 300 });
  const coordinate = fc.integer({ min: -50, max: 300 });
  const box = fc.tuple(coordinate, coordinate, side, side);
  fc.assert(
    fc.property(side, side, fc.array(box, { maxLength: 6 }), (width, height, list) => {
      const instructions = boxes(list, { width, height });
      const { detailed, even } = changedParts(instructions, { width, height });
      const times = timesIn([...detailed, ...even.flat()], { width, height });
      assert.ok(times.every((count) => count <= 1));
      for (const part of instructions.flatMap(instructionExtents)) {
        const [left, top] = [Math.max(0, Math.floor(part.x)), Math.max(0, Math.floor(part.y))];
        for (let row = top; row < Math.min(height, Math.ceil(part.y + part.height)); row++)
          for (let column = left; column < Math.min(width, Math.ceil(part.x + part.width)); column++)
            assert.equal(times[row * width + column], 1, `${column}, ${row}`);
      }
    }),
    { numRuns: 60 },
  );
});

/** By definition: how many outlines a ray to the right meets, and how near the next line is. */
function placeIn(
  { outlines }: MaskInstruction,
  x: number,
  y: number,
): { readonly isIn: boolean; readonly apart: number } {
  let isIn = false;
  let apart = Number.POSITIVE_INFINITY;
  for (const points of outlines) {
    for (let i = 0; i < points.length; i += 2) {
      const next = (i + 2) % points.length;
      const [x0, y0, x1, y1] = [points[i]!, points[i + 1]!, points[next]!, points[next + 1]!];
      if (y0 > y !== y1 > y && x < x0 + ((y - y0) * (x1 - x0)) / (y1 - y0)) isIn = !isIn;
      const along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2 || 1);
      const share = Math.min(Math.max(along, 0), 1);
      apart = Math.min(apart, Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)));
    }
  }
  return { isIn, apart };
}

test('of masks too: where they are even the same masks lie, and no line or label', () => {
  const size = { width: 310, height: 230 };
  const coordinate = fc.integer({ min: -20, max: 320 });
  const mask = fc.tuple(
    coordinate,
    coordinate,
    fc.integer({ min: 1, max: 160 }),
    fc.double({ min: 0, max: 0.9, noNaN: true }),
  );
  let found = 0;
  fc.assert(
    fc.property(fc.array(mask, { minLength: 1, maxLength: 4 }), (list) => {
      const instructions = instructionsOf(
        list.map((one) => ring(...one)),
        size,
      );
      const masks = instructions.filter((one) => one.kind === 'mask');
      const { detailed, even } = changedParts(instructions, size);
      found += even.length;
      const times = timesIn([...detailed, ...even.flat()], size);
      assert.ok(times.every((count) => count <= 1));
      const others = timesIn(detailed, size);
      for (let row = 1; row < size.height; row += 3)
        for (let column = 1; column < size.width; column += 3) {
          const places = masks.map((one) => placeIn(one, column + 0.5, row + 0.5));
          const isTouched = places.some(({ isIn }, i) => isIn || places[i]!.apart < masks[i]!.outlinePx / 2);
          if (isTouched) assert.equal(times[row * size.width + column], 1, `${column}, ${row}`);
        }
      for (const part of instructions.filter(({ kind }) => kind !== 'mask').flatMap(instructionExtents)) {
        const [x, y] = [Math.max(0, Math.floor(part.x)), Math.max(0, Math.floor(part.y))];
        if (x < size.width && y < size.height && part.x + part.width > 0 && part.y + part.height > 0)
          assert.equal(others[y * size.width + x], 1);
      }
      for (const group of even) {
        const kinds = new Set(
          group.flatMap(({ x, y, width, height }) =>
            [0.5, width / 2, width - 0.5].flatMap((dx) =>
              [0.5, height / 2, height - 0.5].map((dy) =>
                masks
                  .map((one) => {
                    const { isIn, apart } = placeIn(one, x + dx, y + dy);
                    assert.ok(apart > one.outlinePx / 2 + 1);
                    return isIn;
                  })
                  .join(),
              ),
            ),
          ),
        );
        assert.equal(kinds.size, 1);
        assert.ok([...kinds][0]!.includes('true'));
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(found > 30, `${found} even parts`);
});

test('the insides of a large box and of a large mask stay out of what is read in detail', () => {
  const size = { width: 1920, height: 1080 };
  const read = (instructions: readonly DrawInstruction[]): number =>
    changedParts(instructions, size).detailed.reduce((sum, { width, height }) => sum + width * height, 0);
  assert.ok(read(boxes([[100, 100, 1500, 800]], size)) < 0.25 * 1500 * 800);
  assert.ok(read(instructionsOf([ring(800, 500, 450, 0)], size)) < 0.25 * Math.PI * 450 ** 2);
});
