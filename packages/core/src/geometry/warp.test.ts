import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeMask, encodeMask } from '../masks/index.js';
import { createRandom, type Random } from '../random/index.js';
import type { RgbImage } from './image.js';
import {
  cornersMap,
  depthOf,
  foreshortening,
  identityMap,
  inOrder,
  inverseMap,
  mapPoint,
  mirroring,
  type PlanarMap,
  rotation,
  scaling,
  shearing,
  translation,
} from './planar-map.js';
import { mapPolygon, polygonArea } from './polygon-under-map.js';
import { type Fill, warpImage } from './warp-image.js';
import { warpMask } from './warp-mask.js';

const fill: Fill = [123, 116, 103];

/** A smooth picture: a fixed-point weight is 1/256 off at most, which shows as a level only where neighbours differ much. */
function smoothPicture(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    data[i] = 128 + 100 * Math.sin(x / 3 + (i % 3)) * Math.cos(y / 4);
  }
  return { width, height, data };
}

function randomMap(random: Random, width: number, height: number): PlanarMap {
  const signed = (reach: number) => reach * (2 * random.uniform() - 1);
  return inOrder(
    translation(-width / 2, -height / 2),
    random.uniform() < 0.5 ? foreshortening(signed(0.02), signed(0.02)) : identityMap,
    rotation(signed(180)),
    scaling(0.4 + 1.6 * random.uniform(), 0.4 + 1.6 * random.uniform()),
    shearing(signed(20), signed(20)),
    random.uniform() < 0.3 ? mirroring('horizontal', 3) : identityMap,
    translation(width / 2 + signed(width / 3), height / 2 + signed(height / 3)),
  );
}

/** The definition, in double: the four pixels about the place from which a pixel's centre comes. */
function definition(image: RgbImage, map: PlanarMap, x: number, y: number, channel: number): number {
  const inverse = inverseMap(map);
  if (depthOf(inverse, x + 0.5, y + 0.5) <= 0) return fill[channel]!;
  const [u, v] = mapPoint(inverse, x + 0.5, y + 0.5);
  const [left, top] = [Math.floor(u - 0.5), Math.floor(v - 0.5)];
  const [fx, fy] = [u - 0.5 - left, v - 0.5 - top];
  const at = (px: number, py: number) =>
    px >= 0 && py >= 0 && px < image.width && py < image.height
      ? image.data[(py * image.width + px) * 3 + channel]!
      : fill[channel]!;
  const upper = at(left, top) * (1 - fx) + at(left + 1, top) * fx;
  const lower = at(left, top + 1) * (1 - fx) + at(left + 1, top + 1) * fx;
  return upper * (1 - fy) + lower * fy;
}

describe('a warped picture', () => {
  test('is the bilinear picture at the place from which each pixel comes, and the fill elsewhere', () => {
    const random = createRandom(3);
    const image = smoothPicture(37, 29);
    for (let round = 0; round < 60; round++) {
      const map = randomMap(random, 37, 29);
      const size = { width: 20 + random.integer(40), height: 20 + random.integer(40) };
      const { data } = warpImage(image, map, size, fill);
      for (let y = 0, o = 0; y < size.height; y++)
        for (let x = 0; x < size.width; x++)
          for (let channel = 0; channel < 3; channel++, o++) {
            const expected = definition(image, map, x, y, channel);
            // Half a level for rounding, and what weights of eight bits leave of a smooth picture.
            assert.ok(Math.abs(data[o]! - expected) <= 0.7, `round ${round}, ${x} ${y}: ${data[o]} for ${expected}`);
          }
    }
  });

  test('under the identity is the picture, byte by byte', () => {
    const image = smoothPicture(9, 7);
    assert.deepEqual(warpImage(image, identityMap, image, fill), image);
    // The same through the interpolation: a map that is no identity only in its last bits.
    const nearly = inOrder(rotation(30), rotation(-30));
    assert.deepEqual(warpImage(image, nearly, image, fill), image);
  });

  test('moved and mirrored by whole pixels is copied', () => {
    const image = smoothPicture(5, 4);
    const at = ({ data, width }: RgbImage, x: number, y: number) => [
      ...data.subarray((y * width + x) * 3).subarray(0, 3),
    ];
    const moved = warpImage(image, translation(2, -1), { width: 8, height: 5 }, fill);
    assert.deepEqual(at(moved, 2, 0), at(image, 0, 1));
    assert.deepEqual(at(moved, 1, 0), [...fill]);
    assert.deepEqual(at(moved, 6, 3), [...fill]);
    const mirrored = warpImage(image, mirroring('horizontal', 5), image, fill);
    const upsideDown = warpImage(image, mirroring('vertical', 4), image, fill);
    for (let y = 0; y < 4; y++)
      for (let x = 0; x < 5; x++) {
        assert.deepEqual(at(mirrored, x, y), at(image, 4 - x, y));
        assert.deepEqual(at(upsideDown, x, y), at(image, x, 3 - y));
      }
  });
});

describe('maps', () => {
  test('act in the order in which they are given, and back', () => {
    const map = inOrder(translation(1, 0), scaling(2, 3), rotation(90));
    const [x, y] = mapPoint(map, 4, 1);
    assert.ok(Math.abs(x - -3) < 1e-12 && Math.abs(y - 10) < 1e-12);
    const [u, v] = mapPoint(inverseMap(map), x, y);
    assert.ok(Math.abs(u - 4) < 1e-12 && Math.abs(v - 1) < 1e-12);
  });

  test('take the corners of a picture where they are told', () => {
    const corners = [3, 1, 38, 4, 35, 27, 1, 25];
    const map = cornersMap(40, 30, corners);
    [0, 0, 40, 0, 40, 30, 0, 30].forEach((_, i, all) => {
      if (i % 2 === 1) return;
      const [x, y] = mapPoint(map, all[i]!, all[i + 1]!);
      assert.ok(Math.abs(x - corners[i]!) < 1e-9 && Math.abs(y - corners[i + 1]!) < 1e-9);
    });
  });

  test('show of a polygon what lies before the horizon', () => {
    // w = 1 - x / 10: the horizon is x = 10.
    const map = foreshortening(-0.1, 0);
    const shown = mapPolygon([0, 0, 20, 0, 20, 1, 0, 1], map);
    assert.ok(shown.every((value, i) => Number.isFinite(value) && (i % 2 === 1 || value >= 0)));
    assert.deepEqual(mapPolygon([12, 0, 20, 0, 20, 1], map), []);
  });

  test("a polygon's area is Gauss's", () => {
    assert.equal(polygonArea([0, 0, 4, 0, 4, 3]), 6);
  });
});

describe('a warped mask', () => {
  test('is the mask at the place from which each pixel comes', () => {
    const random = createRandom(8);
    for (let round = 0; round < 80; round++) {
      const [width, height] = [31, 23];
      const [cx, cy, r] = [random.integer(31), random.integer(23), 2 + random.integer(10)];
      const bitmap = Uint8Array.from({ length: width * height }, (_, i) =>
        Number(((i % width) - cx) ** 2 + (Math.floor(i / width) - cy) ** 2 < r * r && i % 7 !== 0),
      );
      const map = randomMap(random, width, height);
      const size = { width: 18 + random.integer(30), height: 18 + random.integer(30) };
      const { rle, visible } = warpMask(encodeMask(bitmap, [height, width]), map, size);
      assert.deepEqual(rle.size, [size.height, size.width]);
      const inverse = inverseMap(map);
      const expected = Uint8Array.from({ length: size.width * size.height }, (_, i) => {
        const [px, py] = [(i % size.width) + 0.5, Math.floor(i / size.width) + 0.5];
        if (depthOf(inverse, px, py) <= 0) return 0;
        const [u, v] = mapPoint(inverse, px, py).map(Math.floor) as [number, number];
        return u >= 0 && v >= 0 && u < width && v < height ? bitmap[v * width + u]! : 0;
      });
      assert.deepEqual(decodeMask(rle), expected);
      assert.deepEqual([...rle.counts], [...encodeMask(expected, [size.height, size.width]).counts]);
      const inside = bitmap.reduce((count, value, i) => {
        const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
        if (value === 0 || depthOf(map, x, y) <= 0) return count;
        const [u, v] = mapPoint(map, x, y);
        return count + Number(u >= 0 && v >= 0 && u < size.width && v < size.height);
      }, 0);
      const all = bitmap.reduce((count, value) => count + value, 0);
      if (all > 0) assert.ok(Math.abs(visible - inside / all) < 1e-12);
    }
  });
});
