import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BoxXyxy, boxXyxy } from '../boxes/box.js';
import { createRandom } from '../random/random.js';
import { aspectWindow, type PixelWindow, randomWindow, windowOver } from './pixel-window.js';

const bounds = { low: 0.5, high: 2 };
const draws = <T>(count: number, draw: (random: ReturnType<typeof createRandom>) => T): T[] =>
  Array.from({ length: count }, (_, i) => draw(createRandom(17, i)));
const rangeOf = (values: readonly number[]) => [Math.min(...values), Math.max(...values), new Set(values).size];

function holds(window: PixelWindow, [x1, y1, x2, y2]: BoxXyxy): boolean {
  return x1 >= window.x && y1 >= window.y && x2 <= window.x + window.width && y2 <= window.y + window.height;
}

describe('a random window', () => {
  test('lies at every place of the picture, and takes a short side whole', () => {
    const windows = draws(400, (random) => randomWindow({ width: 9, height: 4 }, { width: 6, height: 8 }, random));
    assert.deepEqual(rangeOf(windows.map(({ x }) => x)), [0, 3, 4]);
    assert.ok(windows.every(({ y, width, height }) => y === 0 && width === 6 && height === 4));
  });
});

describe('a window that mends the aspect ratio', () => {
  test('is none for a picture inside of the bounds', () => {
    for (const [width, height] of [
      [10, 20],
      [20, 10],
      [3, 3],
    ] as const)
      assert.equal(aspectWindow({ width, height }, [], bounds, createRandom(1)), undefined);
  });

  test('shortens the longer side to the bound, rounded up', () => {
    const tall = aspectWindow({ width: 7, height: 30 }, [], { low: 0.6, high: 2 }, createRandom(1))!;
    assert.deepEqual([tall.x, tall.width, tall.height], [0, 7, 12]);
    const wide = aspectWindow({ width: 50, height: 9 }, [], bounds, createRandom(1))!;
    assert.deepEqual([wide.y, wide.width, wide.height], [0, 18, 9]);
  });

  test('keeps all objects where they fit together, at every place that does', () => {
    const boxes = [boxXyxy(2, 30, 8, 36), boxXyxy(1, 40, 5, 45)];
    const windows = draws(300, (random) => aspectWindow({ width: 10, height: 100 }, boxes, bounds, random)!);
    assert.ok(windows.every((window) => boxes.every((box) => holds(window, box))));
    // 20 rows that hold rows 30 to 45 begin at 25 to 30.
    assert.deepEqual(rangeOf(windows.map(({ y }) => y)), [25, 30, 6]);
  });

  test('keeps one of the objects where they do not fit together, each at times', () => {
    const boxes = [boxXyxy(1.5, 0, 9.5, 10), boxXyxy(80, 2, 99, 8)];
    const windows = draws(300, (random) => aspectWindow({ width: 100, height: 10 }, boxes, bounds, random)!);
    const kept = windows.map((window) => boxes.map((box) => holds(window, box)));
    assert.ok(kept.every(([first, second]) => first !== second));
    assert.equal(new Set(kept.map(String)).size, 2);
  });

  test('lies inside of an object that is longer', () => {
    const windows = draws(
      200,
      (random) => aspectWindow({ width: 100, height: 10 }, [boxXyxy(10.5, 0, 80, 9)], bounds, random)!,
    );
    assert.deepEqual(rangeOf(windows.map(({ x }) => x)), [11, 60, 50]);
  });

  test('is at the nearest place where whole pixels cannot hold the object exactly', () => {
    const window = aspectWindow({ width: 100, height: 10 }, [boxXyxy(10.5, 0, 30.5, 9)], bounds, createRandom(1))!;
    assert.deepEqual([window.x, window.width], [10, 20]);
  });
});

test('a window over a box holds it, and stays in the picture', () => {
  const box = boxXyxy(90, 1, 100, 4);
  const windows = draws(100, (random) =>
    windowOver({ width: 100, height: 50 }, { width: 20, height: 80 }, box, random),
  );
  assert.ok(windows.every((window) => holds(window, box) && window.x + window.width <= 100));
  assert.deepEqual(rangeOf(windows.map(({ x }) => x)), [80, 80, 1]);
});
