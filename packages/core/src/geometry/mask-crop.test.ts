import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { maskInWindow, nearestMaskCrop } from './mask-crop.js';

interface MaskCase {
  size: [number, number];
  counts: number[];
  target: [number, number];
  plain: string;
  plainArea: number;
  flipped: string;
}
const cases: MaskCase[] = JSON.parse(
  readFileSync(new URL('../../src/geometry/fixtures/geometry.json', import.meta.url), 'utf8'),
).masks;

function fullSize(crop: ReturnType<typeof nearestMaskCrop>, width: number, height: number): Uint8Array {
  const full = new Uint8Array(width * height);
  for (let y = 0; y < crop.height; y++) {
    full.set(crop.data.subarray(y * crop.width, (y + 1) * crop.width), (crop.y + y) * width + crop.x);
  }
  return full;
}

for (const { size, counts, target, plain, plainArea, flipped } of cases) {
  const rle = { size, counts: Uint32Array.from(counts) };
  test(`the crop holds all of torchvision's resized mask, ${size[1]}x${size[0]} to ${target.join('x')}`, () => {
    const crop = nearestMaskCrop(rle, ...target);
    assert.equal(
      crop.data.reduce((sum, value) => sum + value, 0),
      plainArea,
    );
    assert.ok(crop.width * crop.height < target[0] * target[1]);
    assert.equal(
      createHash('sha256')
        .update(fullSize(crop, ...target))
        .digest('hex'),
      plain,
    );
  });
  test(`flipping comes before resizing, ${size[1]}x${size[0]} to ${target.join('x')}`, () => {
    const crop = nearestMaskCrop(rle, ...target, { flip: true });
    assert.equal(
      createHash('sha256')
        .update(fullSize(crop, ...target))
        .digest('hex'),
      flipped,
    );
  });
}

test('an empty mask, and one that vanishes when the picture shrinks, have no pixels', () => {
  assert.equal(nearestMaskCrop({ size: [8, 8], counts: Uint32Array.of(64) }, 16, 16).data.length, 0);
  // One pixel at column 1, row 1: at half size only even rows and columns are read.
  const single = { size: [8, 8] as const, counts: Uint32Array.of(9, 1, 54) };
  assert.deepEqual(nearestMaskCrop(single, 4, 4), { x: 0, y: 0, width: 0, height: 0, data: new Uint8Array(0) });
});

test('a run over several columns fills their whole height', () => {
  const rle = { size: [3, 4] as const, counts: Uint32Array.of(4, 6, 2) };
  const crop = nearestMaskCrop(rle, 4, 3);
  assert.deepEqual([crop.x, crop.y, crop.width, crop.height], [1, 0, 3, 3]);
  assert.deepEqual([...crop.data], [0, 1, 1, 1, 1, 0, 1, 1, 0]);
});

test('a mask in a window is that part of the full picture, wherever they overlap', () => {
  const data = Uint8Array.of(1, 0, 1, 1, 1, 0);
  const mask = { x: 3, y: 2, width: 3, height: 2, data };
  const full = fullSize(mask, 8, 8);
  for (let x = 0; x < 7; x++) {
    for (let y = 0; y < 7; y++) {
      const window = { x, y, width: Math.min(3, 8 - x), height: Math.min(2, 8 - y) };
      const part = fullSize(maskInWindow(mask, window), window.width, window.height);
      part.forEach((value, i) => {
        const at = (y + Math.floor(i / window.width)) * 8 + x + (i % window.width);
        assert.equal(value, full[at], `window ${x}, ${y}: value ${i}`);
      });
    }
  }
});
