import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gaussianMean, rangesOf, thinned } from './curve-points.js';
import { drawCurves } from './draw-curves.js';

const line = (y: (x: number) => number, count = 101) => Array.from({ length: count }, (_, x) => [x, y(x)] as const);
const shown = (points: ReturnType<typeof line>) => [{ raw: points, smooth: points }];

describe('what a chart shows', () => {
  test('of smoothed values takes away what alternates and keeps the level', () => {
    const smooth = gaussianMean(
      line((x) => 2 + (x % 2 === 0 ? 1 : -1)),
      0.9,
    );
    for (const [, y] of smooth.slice(10, 90)) assert.ok(Math.abs(y - 2) < 0.01, String(y));
  });

  test('of a long curve are means of neighbours, and gaps stay', () => {
    assert.deepEqual(
      thinned(
        line((x) => x, 4),
        2,
      ),
      [
        [0.5, 0.5],
        [2.5, 2.5],
      ],
    );
    assert.ok(
      Number.isNaN(
        thinned(
          line(() => Number.NaN, 4),
          2,
        )[0]![1],
      ),
    );
  });

  test('starts at 0 where that costs little, and is not flattened by one large value at the start', () => {
    assert.equal(rangesOf(shown(line((x) => 0.1 + x / 100)), {}).y.from, 0);
    assert.ok(rangesOf(shown(line((x) => (x === 0 ? 1000 : 1 + x / 100), 201)), {}).y.to < 4);
    assert.deepEqual(rangesOf(shown(line(() => 0.5)), { y: { from: 0, to: 1 } }).y, { from: 0, to: 1 });
    assert.deepEqual(rangesOf([], {}).y, { from: 0, to: 1.05 });
  });
});

describe('drawCurves', () => {
  type Chart = Awaited<ReturnType<typeof drawCurves>>;
  const isBlue = (data: Uint8Array, at: number): boolean => data[at]! < 60 && data[at + 2]! > 150;
  /** The middle of the rows where the first curve's colour stands in column x; NaN where it does not. */
  function blueRow({ data, width, height }: Chart, x: number): number {
    const rows = Array.from({ length: height }, (_, y) => y).filter((y) => isBlue(data, (y * width + x) * 3));
    return rows.reduce((sum, row) => sum + row, 0) / rows.length;
  }
  const size = { width: 400, height: 300 };

  test('of a rising line rises evenly', async () => {
    const image = await drawCurves([{ label: '', points: line((x) => x) }], size);
    const [a, b, c] = [120, 220, 320].map((x) => blueRow(image, x));
    assert.ok(a! > b! + 50 && Math.abs(a! + c! - 2 * b!) < 3, `${a}, ${b}, ${c}`);
  });

  test('on a logarithmic axis makes a line of an exponential', async () => {
    const points = line((x) => Math.exp(-x / 20));
    const image = await drawCurves([{ label: '', points }], { ...size, logarithmic: true });
    const [a, b, c] = [120, 220, 320].map((x) => blueRow(image, x));
    assert.ok(c! > b! + 30 && Math.abs(a! + c! - 2 * b!) < 3, `${a}, ${b}, ${c}`);
  });

  test('has a gap, and never a line, where values are not finite', async () => {
    const image = await drawCurves([{ label: '', points: line((x) => (x > 30 && x < 70 ? Number.NaN : 1)) }], size);
    assert.ok(Number.isNaN(blueRow(image, 215)));
    assert.ok(blueRow(image, 100) > 0 && blueRow(image, 350) > 0);
    await drawCurves([{ label: 'nothing', points: line(() => Number.POSITIVE_INFINITY) }], size);
    const empty = await drawCurves([], size);
    assert.equal(empty.data.length, 400 * 300 * 3);
    assert.equal(empty.data[0], 255);
  });

  test('names the curves, and draws a hundred thousand points at once', async () => {
    const points = line((x) => Math.sin(x), 100_000);
    const before = process.cpuUsage();
    const named = await drawCurves([{ label: 'long', points }], { smoothing: 0.9 });
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 3e6);
    const plain = await drawCurves([{ label: '', points }], { smoothing: 0.9 });
    assert.notDeepEqual(named.data, plain.data);
  });

  test('of sizes and smoothing out of range is an error', async () => {
    await assert.rejects(drawCurves([], { width: 10 }), /too small/);
    await assert.rejects(drawCurves([], { smoothing: 1 }), /smoothing 1 is not within 0 and 1/);
  });
});
