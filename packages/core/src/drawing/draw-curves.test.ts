import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { blockText } from '../testing/block-text.js';
import { linearTicks, logarithmicTicks } from './axis-ticks.js';
import { type Curve, type CurvesOptions, drawCurves as drawCurvesWith } from './draw-curves.js';

const drawCurves = (curves: readonly Curve[], options: Omit<CurvesOptions, 'text'> = {}) =>
  drawCurvesWith(curves, { ...options, text: blockText });

const labels = (ticks: readonly { readonly label: string }[]): string[] => ticks.map(({ label }) => label);

describe('ticks', () => {
  test('stand at round numbers', () => {
    assert.deepEqual(labels(linearTicks(0, 1, 5)), ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']);
    assert.deepEqual(labels(linearTicks(0.13, 0.31, 4)), ['0.15', '0.20', '0.25', '0.30']);
    assert.deepEqual(labels(linearTicks(-30, 30, 3)), ['-20', '0', '20']);
    assert.deepEqual(labels(linearTicks(0, 90_000, 3)), ['0', '50k']);
    assert.deepEqual(labels(linearTicks(0, 5e6, 5)), ['0', '1M', '2M', '3M', '4M', '5M']);
  });

  test('of a logarithmic axis are powers of ten, with 2 and 5 times them where there is room', () => {
    assert.deepEqual(labels(logarithmicTicks(0.4, 12)), ['0.5', '1', '2', '5', '10']);
    assert.deepEqual(labels(logarithmicTicks(1e-3, 1e3)), ['0.001', '0.01', '0.1', '1', '10', '100', '1000']);
  });

  test('are within the range, rising and not too many', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        (from, span, most) => {
          const values = linearTicks(from, from + span, most).map(({ value }) => value);
          assert.ok(values.length <= most + 1);
          const slack = 1e-6 * (Math.abs(from) + span);
          assert.ok(values.every((value) => value >= from - slack && value <= from + span + slack));
          assert.ok(values.every((value, i) => i === 0 || value > values[i - 1]!));
        },
      ),
    );
  });
});

describe('drawCurves', () => {
  const isBlue = (data: Uint8Array, at: number): boolean => data[at]! < 60 && data[at + 2]! > 150;
  /** Rows of the picture where the first curve's colour stands in column x. */
  function blueRows({ data, width, height }: ReturnType<typeof drawCurves>, x: number): number[] {
    return Array.from({ length: height }, (_, y) => y).filter((y) => isBlue(data, (y * width + x) * 3));
  }
  const line = (y: (x: number) => number, count = 101) => Array.from({ length: count }, (_, x) => [x, y(x)] as const);
  const size = { width: 400, height: 300 };

  test('a rising line rises evenly, from corner to corner of the axes', () => {
    // Axes: from x 74 to 380, from y 14 to 272, where y also has 5 % above.
    const image = drawCurves([{ label: '', points: line((x) => x) }], size);
    for (const share of [0.1, 0.5]) {
      const rows = blueRows(image, Math.round(74 + share * 306));
      const wanted = 272 - (share / 1.05) * 258;
      assert.ok(rows.length > 0 && rows.every((row) => Math.abs(row - wanted) < 4), `${rows} ${wanted}`);
    }
  });

  test('a logarithmic axis makes a line of an exponential', () => {
    const image = drawCurves([{ label: '', points: line((x) => Math.exp(-x / 20)) }], { ...size, logarithmic: true });
    const middle = (share: number): number => blueRows(image, Math.round(74 + share * 306))[0]!;
    assert.ok(Math.abs(2 * middle(0.4) - middle(0.2) - middle(0.6)) <= 2);
  });

  test('smoothing takes away what alternates and keeps the level', () => {
    const points = line((x) => 2 + (x % 2 === 0 ? 1 : -1));
    const image = drawCurves([{ label: '', points }], { ...size, smoothing: 0.9, y: { from: 0, to: 4 } });
    // 2 of 4 is in the middle.
    const rows = blueRows(image, 227);
    assert.ok(rows.length > 0 && rows.every((row) => Math.abs(row - 143) <= 3), String(rows));
  });

  test('what is not finite is a gap, and never a line', () => {
    const points = line((x) => (x > 40 && x < 60 ? Number.NaN : 1));
    const image = drawCurves([{ label: '', points }], size);
    assert.equal(blueRows(image, 74 + 153).length, 0);
    assert.ok(blueRows(image, 74 + 60).length > 0);
    drawCurves([{ label: 'nothing', points: line(() => Number.POSITIVE_INFINITY) }], size);
    drawCurves([], size);
  });

  test('one large value at the start does not flatten the rest', () => {
    const image = drawCurves([{ label: '', points: line((x) => (x === 0 ? 1000 : 1 + x / 100), 201) }], size);
    const rows = [blueRows(image, 100)[0]!, blueRows(image, 350)[0]!];
    assert.ok(rows[0]! - rows[1]! > 50, String(rows));
  });

  test('a hundred thousand points are drawn at once', () => {
    const started = performance.now();
    drawCurves([{ label: 'long', points: line((x) => Math.sin(x), 100_000) }], { smoothing: 0.9 });
    assert.ok(performance.now() - started < 3000);
  });

  test('sizes and smoothing out of range are errors', () => {
    assert.throws(() => drawCurves([], { width: 10 }), /too small/);
    assert.throws(() => drawCurves([], { smoothing: 1 }), /smoothing 1 is not within 0 and 1/);
  });
});
