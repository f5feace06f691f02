import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { networkSize, paddedSize, type SizeRule } from './size-rules.js';

interface SizeCase {
  image: [number, number];
  minSize: number;
  maxSize: number;
  torchvision: number[];
  float32: number[];
  mmdet: number[];
  detectron: number[];
  maskrcnnBenchmark: number[];
}
const cases: SizeCase[] = JSON.parse(
  readFileSync(new URL('../../src/geometry/fixtures/geometry.json', import.meta.url), 'utf8'),
).sizes;

const rules: [SizeRule, (expected: SizeCase) => number[]][] = [
  ['torchvision', (expected) => expected.torchvision],
  ['torchvision-float32', (expected) => expected.float32],
  ['mmdet', (expected) => expected.mmdet],
  ['detectron', (expected) => expected.detectron],
  ['maskrcnn-benchmark', (expected) => expected.maskrcnnBenchmark],
];

for (const [rule, expectedOf] of rules) {
  test(`${rule} sizes are the original's on ${cases.length} pictures`, () => {
    for (const expected of cases) {
      const size = networkSize(...expected.image, rule, expected);
      assert.deepEqual([size.width, size.height], expectedOf(expected), `${expected.image} at ${expected.minSize}`);
    }
  });

  test(`${rule} never gives a side of zero, nor one far beyond the limit`, () => {
    const side = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(side, side, (width, height) => {
        const size = networkSize(width, height, rule, { minSize: 192, maxSize: 320 });
        assert.ok(size.width >= 1 && size.height >= 1);
        // maskrcnn-benchmark rounds the short side of a very thin picture and takes the long one from that.
        const most = rule === 'maskrcnn-benchmark' ? 2 * 320 : 321;
        assert.ok(size.width <= most && size.height <= most);
      }),
    );
  });
}

test('a 4000 x 8 picture keeps a row', () => {
  assert.equal(networkSize(4000, 8, 'torchvision', { minSize: 192, maxSize: 320 }).height, 1);
});

test('Detectron and mmdetection scale boxes by the factor, the others by the ratio of the sides', () => {
  const limits = { minSize: 100, maxSize: 1000 };
  assert.equal(networkSize(333, 97, 'detectron', limits).scaleX, 100 / 97);
  assert.equal(networkSize(333, 97, 'mmdet', limits).scaleX, 100 / 97);
  assert.equal(networkSize(333, 97, 'torchvision', limits).scaleX, 343 / 333);
});

test('OpenCV copies where a factor near one changes no side, so the step is one', () => {
  assert.equal(networkSize(80, 60, 'detectron', { minSize: 60.2, maxSize: 1000 }).stepX, 1);
});

test('padding reaches the next multiple and not beyond', () => {
  assert.deepEqual(
    [1, 32, 33, 800].map((size) => paddedSize(size, 32)),
    [32, 32, 64, 800],
  );
});
