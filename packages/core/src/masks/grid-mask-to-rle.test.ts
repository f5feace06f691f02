import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '../random/index.js';
import { gridMaskToRle } from './grid-mask-to-rle.js';
import { decodeMask } from './rle-encode.js';

/** One bilinear resize by definition: pixel centres at halves, borders repeated. */
function resize(map: readonly (readonly number[])[], height: number, width: number): number[][] {
  const taps = (length: number, from: number) =>
    Array.from({ length }, (_, i) => {
      const place = Math.max(0, ((i + 0.5) * from) / length - 0.5);
      const low = Math.min(Math.floor(place), from - 1);
      return { low, high: Math.min(low + 1, from - 1), share: place - low };
    });
  const rows = taps(height, map.length);
  const columns = taps(width, map[0]!.length);
  return rows.map((row) =>
    columns.map((column) => {
      const along = (line: readonly number[]): number =>
        line[column.low]! * (1 - column.share) + line[column.high]! * column.share;
      return along(map[row.low]!) * (1 - row.share) + along(map[row.high]!) * row.share;
    }),
  );
}

describe('gridMaskToRle', () => {
  for (const [what, network, image] of [
    ['enlarged', { left: 0, top: 0, width: 61, height: 43 }, { width: 150, height: 97 }],
    ['at its own size', { left: 0, top: 0, width: 64, height: 48 }, { width: 64, height: 48 }],
    ['reduced', { left: 0, top: 0, width: 57, height: 47 }, { width: 20, height: 16 }],
    ['a single pixel', { left: 0, top: 0, width: 64, height: 48 }, { width: 1, height: 1 }],
    ['in a frame', { left: 9, top: 5, width: 40, height: 37 }, { width: 130, height: 111 }],
  ] as const) {
    test(`is two bilinear resizes with a cut between them: a picture ${what}`, () => {
      const random = createRandom(7);
      const [rows, columns, stride] = [12, 16, 4];
      for (let turn = 0; turn < 20; turn++) {
        const probabilities = Array.from({ length: rows }, (_, y) =>
          Array.from({ length: columns }, (__, x) => {
            const far = Math.hypot(x - 7, y - 6) / 4;
            return Math.min(1, Math.max(0, 1 - far / 2 + 0.5 * (random.uniform() - 0.5)));
          }),
        );
        const threshold = 0.3 + 0.4 * random.uniform();
        const large = resize(probabilities, rows * stride, columns * stride);
        const { left, top } = network;
        const cut = large.slice(top, top + network.height).map((line) => line.slice(left, left + network.width));
        const final = resize(cut, image.height, image.width);
        const rle = gridMaskToRle(probabilities.flat(), { rows, columns, stride, network, image, threshold });
        assert.deepEqual(rle.size, [image.height, image.width]);
        const pixels = decodeMask(rle);
        final.forEach((line, y) => {
          line.forEach((value, x) => {
            // Where rounding cannot decide.
            if (Math.abs(value - threshold) > 1e-5)
              assert.equal(pixels[y * image.width + x], value > threshold ? 1 : 0, `turn ${turn}: ${x}, ${y}`);
          });
        });
      }
    });
  }

  test('a mask over everything and one over nothing are single runs', () => {
    const grid = {
      rows: 2,
      columns: 3,
      stride: 4,
      network: { left: 0, top: 0, width: 12, height: 8 },
      image: { width: 24, height: 16 },
      threshold: 0.5,
    };
    assert.deepEqual([...gridMaskToRle(new Float32Array(6).fill(0.9), grid).counts], [0, 384]);
    assert.deepEqual([...gridMaskToRle(new Float32Array(6).fill(0.5), grid).counts], [384]);
  });
});
