import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../random/random.js';
import { polygonInWindow } from './polygon-in-window.js';

const window = { x: 2, y: 1, width: 4, height: 3 };

/** Twice the signed area. */
function areaOf(points: readonly number[]): number {
  return points.reduce((sum, _, i) => {
    if (i % 2 === 1) return sum;
    const next = (i + 2) % points.length;
    return sum + points[i]! * points[next + 1]! - points[next]! * points[i + 1]!;
  }, 0);
}

/** By the even-odd rule. */
function encloses(points: readonly number[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0; i < points.length; i += 2) {
    const [x1, y1] = [points[i]!, points[i + 1]!];
    const [x2, y2] = [points[(i + 2) % points.length]!, points[(i + 3) % points.length]!];
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)) inside = !inside;
  }
  return inside;
}

test('a polygon inside moves, one around it becomes the window, one outside vanishes', () => {
  assert.deepEqual(polygonInWindow([3, 2, 5, 2, 4, 3], window), [1, 1, 3, 1, 2, 2]);
  const around = polygonInWindow([0, 0, 9, 0, 9, 9, 0, 9], window);
  assert.equal(Math.abs(areaOf(around)), 2 * 12);
  assert.deepEqual(polygonInWindow([0, 0, 1, 0, 1, 9, 0, 9], window), []);
  // It touches the border alone.
  assert.deepEqual(polygonInWindow([0, 0, 2, 0, 2, 9, 0, 9], window), []);
});

test('an edge is cut where it crosses the border', () => {
  // A right triangle, its long side from (2, 4) to (8, 1): at x = 6 it is at y = 2.
  const cut = polygonInWindow([2, 4, 8, 1, 8, 4], window);
  assert.deepEqual(cut.toSorted(), [0, 3, 4, 1, 4, 3].toSorted());
});

test('points of the window are enclosed as before, by polygons of any shape', () => {
  const random = createRandom(9);
  for (let round = 0; round < 200; round++) {
    const points = Array.from({ length: 2 * (3 + random.integer(6)) }, () => random.uniform() * 10 - 1);
    const part = polygonInWindow(points, window);
    for (let probe = 0; probe < 40; probe++) {
      const [x, y] = [random.uniform() * window.width, random.uniform() * window.height];
      assert.equal(encloses(part, x, y), encloses(points, x + window.x, y + window.y), `round ${round}`);
    }
    assert.ok(part.every((value, i) => value >= -1e-12 && value <= (i % 2 === 0 ? 4 : 3) + 1e-12));
  }
});
