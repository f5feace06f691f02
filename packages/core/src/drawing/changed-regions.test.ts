import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockText } from '../testing/block-text.js';
import { changedRegions } from './changed-regions.js';
import { detectionInstructions } from './detection-instructions.js';
import type { DrawInstruction, Rectangle } from './instructions.js';
import { instructionExtents } from './paint-instructions.js';

const boxes = (list: readonly (readonly [number, number, number, number])[], size: Rectangle): DrawInstruction[] =>
  detectionInstructions(
    list.map((bbox) => ({ categoryId: 1, bbox })),
    { ...size, categories: [{ id: 1, name: 'thing' }], measure: blockText },
  );

test('regions hold all that changes, once, and nothing outside of the picture', () => {
  const side = fc.integer({ min: 1, max: 300 });
  const coordinate = fc.integer({ min: -50, max: 300 });
  const box = fc.tuple(coordinate, coordinate, side, side);
  fc.assert(
    fc.property(side, side, fc.array(box, { maxLength: 6 }), (width, height, list) => {
      const instructions = boxes(list, { x: 0, y: 0, width, height });
      const times = new Uint8Array(width * height);
      for (const { x, y, width: across, height: down } of changedRegions(instructions, { width, height })) {
        assert.ok(x >= 0 && y >= 0 && across > 0 && down > 0 && x + across <= width && y + down <= height);
        for (let row = y; row < y + down; row++)
          for (let column = x; column < x + across; column++) times[row * width + column]!++;
      }
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

test('the inside of a large box stays out of them', () => {
  const size = { x: 0, y: 0, width: 1920, height: 1080 };
  const regions = changedRegions(boxes([[100, 100, 1500, 800]], size), size);
  const moved = regions.reduce((sum, { width, height }) => sum + width * height, 0);
  assert.ok(moved < 0.25 * 1500 * 800, String(moved));
});
