import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMask } from '@goshawk/core';
import { maskPath } from './mask-paths.js';

test('the path of a rectangle has its corners', () => {
  const mask = new Uint8Array(20 * 10);
  for (let y = 2; y < 8; y++) mask.fill(1, y * 20 + 3, y * 20 + 9);
  const path = maskPath({ kind: 'rle', rle: encodeMask(mask, [10, 20]) }, 20);
  assert.match(path, /^M\d+ \dl(-?\d+ -?\d+ ?){3}z$/);
  assert.equal(areaOf(path), 36);
  assert.equal(areaOf(maskPath({ kind: 'polygons', polygons: [[3.5, 2, 9, 2, 9, 8, 3.5, 8]] }, 20)), 33);
});

test('holes are lines of their own, and an empty mask is none', () => {
  const mask = new Uint8Array(30 * 30);
  for (let y = 2; y < 28; y++) mask.fill(1, y * 30 + 2, y * 30 + 28);
  for (let y = 10; y < 20; y++) mask.fill(0, y * 30 + 10, y * 30 + 20);
  assert.equal(areaOf(maskPath({ kind: 'rle', rle: encodeMask(mask, [30, 30]) }, 30)), 26 * 26 - 10 * 10);
  assert.equal(maskPath({ kind: 'rle', rle: encodeMask(new Uint8Array(9), [3, 3]) }, 3), '');
});

test('a disc keeps its area within two hundredths, in few letters', () => {
  const side = 800;
  const mask = new Uint8Array(side * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) if (Math.hypot(x + 0.5 - 400, y + 0.5 - 400) < 250) mask[y * side + x] = 1;
  const path = maskPath({ kind: 'rle', rle: encodeMask(mask, [side, side]) }, side);
  const wanted = Math.PI * 250 ** 2;
  assert.ok(Math.abs(areaOf(path) - wanted) < 0.02 * wanted, `${areaOf(path)} for ${wanted}`);
  assert.ok(path.length < 400, path);
});

/** What a path surrounds, lines in opposite direction taken off. */
function areaOf(path: string): number {
  let twice = 0;
  for (const ring of path.split('z').filter((one) => one !== '')) {
    const [start, steps] = ring.slice(1).split('l') as [string, string];
    const points = [start.split(' ').map(Number)];
    const numbers = steps.split(' ').map(Number);
    for (let i = 0; i < numbers.length; i += 2) {
      const [x, y] = points.at(-1) as [number, number];
      points.push([x + numbers[i]!, y + numbers[i + 1]!]);
    }
    points.forEach(([x, y], i) => {
      const [nextX, nextY] = points[(i + 1) % points.length]!;
      twice += x! * nextY! - nextX! * y!;
    });
  }
  return Math.abs(twice) / 2;
}
