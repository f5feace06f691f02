import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { RgbImage } from '../geometry/image.js';
import { warpImage } from '../geometry/warp-image.js';
import { blendImages } from './blend.js';
import { blurImage } from './blur.js';
import { changeColor } from './color.js';
import { scaleHsv } from './hsv.js';
import { medianImage } from './median.js';
import { addNoise } from './noise.js';

const fixture = JSON.parse(
  readFileSync(new URL('../../src/photometry/fixtures/opencv.json', import.meta.url), 'utf8'),
) as {
  readonly width: number;
  readonly height: number;
  readonly hsv: readonly { readonly gains: readonly [number, number, number]; readonly pixels: readonly number[] }[];
  readonly gaussian: Readonly<Record<3 | 5, readonly number[]>>;
  readonly box: Readonly<Record<3 | 5, readonly number[]>>;
  readonly median: Readonly<Record<3 | 5, readonly number[]>>;
  readonly warp: {
    readonly smooth: readonly number[];
    readonly map: readonly number[];
    readonly fill: readonly [number, number, number];
    readonly pixels: readonly number[];
  };
};

function noisyPicture(width: number, height: number): RgbImage {
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (31 * i * i + 17 * i) >> 3) };
}
const picture = noisyPicture(fixture.width, fixture.height);

/** Shares of the values that differ by 1 and by more. */
function differences(got: Uint8Array, expected: readonly number[]): { byOne: number; byMore: number } {
  assert.equal(got.length, expected.length);
  const off = expected.map((value, i) => Math.abs(value - got[i]!));
  const share = (is: (value: number) => boolean) => off.filter(is).length / off.length;
  return { byOne: share((value) => value === 1), byMore: share((value) => value > 1) };
}

describe('against OpenCV', () => {
  test('hue, saturation and value are scaled through the same bytes', () => {
    for (const { gains, pixels } of fixture.hsv.slice(0, 2)) {
      const [hue, saturation, value] = gains;
      const { byOne, byMore } = differences(scaleHsv(picture, { hue, saturation, value }).data, pixels);
      // OpenCV's way back from HSV is in float32 or in vectors, by the processor.
      assert.ok(byMore === 0 && byOne < 0.01, `${gains}: ${byOne} by one, ${byMore} by more`);
    }
  });

  for (const side of [3, 5] as const)
    test(`blurs with a kernel of ${side} are equal`, () => {
      assert.deepEqual([...blurImage(picture, 'gaussian', side).data], fixture.gaussian[side]);
      assert.deepEqual([...blurImage(picture, 'box', side).data], fixture.box[side]);
      assert.deepEqual([...medianImage(picture, side).data], fixture.median[side]);
    });

  test('a perspective with its border is the same within the steps of its weights', () => {
    const { smooth, map, fill, pixels } = fixture.warp;
    const source = { ...picture, data: Uint8Array.from(smooth) };
    const warped = warpImage(source, map as never, { width: 15, height: 11 }, fill).data;
    const { byOne, byMore } = differences(warped, pixels);
    assert.ok(byMore === 0 && byOne < 0.01, `${byOne} by one, ${byMore} by more`);
  });
});

describe('what changes nothing gives every byte back', () => {
  test('gains and factors of 1, blurs of one colour, noise of deviation 0', () => {
    const [red] = [{ ...picture, data: picture.data.map((_, i) => [200, 31, 7][i % 3]!) }];
    for (const { data } of [
      scaleHsv(picture, { hue: 1, saturation: 1, value: 1 }),
      changeColor(picture, 'brightness', 1),
      changeColor(picture, 'contrast', 1),
      changeColor(picture, 'saturation', 1),
      addNoise(picture, 0, 5),
      blendImages(picture, picture, 0.3),
      blendImages(picture, red!, 1),
    ])
      assert.deepEqual(data, picture.data);
    for (const side of [3, 5] as const)
      for (const { data } of [blurImage(red!, 'gaussian', side), blurImage(red!, 'box', side), medianImage(red!, side)])
        assert.deepEqual(data, red!.data);
  });
});

test('pictures of one pixel and of one row can be blurred', () => {
  for (const [width, height] of [
    [1, 1],
    [7, 1],
    [1, 7],
    [2, 2],
  ] as const)
    for (const side of [3, 5] as const) {
      const small = noisyPicture(width, height);
      for (const { data } of [
        blurImage(small, 'gaussian', side),
        blurImage(small, 'box', side),
        medianImage(small, side),
      ])
        assert.equal(data.length, width * height * 3);
    }
});

test('brightness, contrast and saturation go as torchvision defines them', () => {
  const two: RgbImage = { width: 2, height: 1, data: Uint8Array.of(100, 50, 200, 10, 250, 30) };
  // Greys 82 (0.2989 * 100 + 0.587 * 50 + 0.114 * 200 = 82.04) and 153 (153.159); their mean is 117.5.
  assert.deepEqual([...changeColor(two, 'brightness', 1.5).data], [150, 75, 255, 15, 255, 45]);
  assert.deepEqual([...changeColor(two, 'contrast', 0.5).data], [108, 83, 158, 63, 183, 73]);
  assert.deepEqual([...changeColor(two, 'saturation', 0).data], [82, 82, 82, 153, 153, 153]);
  assert.deepEqual([...changeColor(two, 'saturation', 2).data], [118, 18, 255, 0, 255, 0]);
});

test('noise has the deviation and the mean that were asked for, and its own numbers for each seed', () => {
  const grey: RgbImage = { width: 200, height: 100, data: new Uint8Array(60_000).fill(128) };
  const { data } = addNoise(grey, 12, 7);
  const mean = data.reduce((sum, value) => sum + value - 128, 0) / data.length;
  const deviation = Math.sqrt(data.reduce((sum, value) => sum + (value - 128 - mean) ** 2, 0) / data.length);
  // Rounding to whole levels adds 1/12 to the variance; the mean's own deviation is 12 / sqrt(60000) = 0.05.
  assert.ok(Math.abs(mean) < 0.25 && Math.abs(deviation - Math.sqrt(144 + 1 / 12)) < 0.25, `${mean}, ${deviation}`);
  const correlation = data.reduce((sum, value, i) => sum + (value - 128) * (data[(i + 1) % data.length]! - 128), 0);
  assert.ok(Math.abs(correlation / data.length / 144) < 0.02, 'neighbours have noise of their own');
  assert.deepEqual(addNoise(grey, 12, 7).data, data);
  assert.notDeepEqual(addNoise(grey, 12, 8).data, data);
});
