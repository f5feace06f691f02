import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { objectMasks } from './object-masks.js';

const [WIDTH, HEIGHT] = [32, 24];

/** Cut-outs of random pixels, and the whole pictures that they are cut out of. */
function scene(seed: number, count: number) {
  const random = createRandom(seed);
  const crops: number[] = [];
  const pixels: number[] = [];
  const pictures = Array.from({ length: count }, () => {
    const [x, y] = [random.integer(WIDTH - 6), random.integer(HEIGHT - 6)];
    const [width, height] = [1 + random.integer(WIDTH - x), 1 + random.integer(HEIGHT - y)];
    const picture = new Uint8Array(WIDTH * HEIGHT);
    crops.push(pixels.length, x, y, width, height);
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const value = random.uniform() < 0.6 ? 1 : 0;
        pixels.push(value);
        picture[(y + row) * WIDTH + x + column] = value;
      }
    return picture;
  });
  return { masks: objectMasks(Uint8Array.from(pixels), crops), pictures };
}

describe('objectMasks', () => {
  test('has the area and the centre of each mask', () => {
    const { masks, pictures } = scene(1, 20);
    pictures.forEach((picture, i) => {
      const [area, sumX, sumY] = picture.reduce(
        ([count, x, y], value, at) => [count! + value, x! + value * (at % WIDTH), y! + value * Math.floor(at / WIDTH)],
        [0, 0, 0],
      ) as [number, number, number];
      const mass = masks.masses[i]!;
      assert.equal(mass.area, area);
      assert.ok(Math.abs(mass.x - sumX / area) < 1e-12 && Math.abs(mass.y - sumY / area) < 1e-12);
    });
  });

  for (const stride of [4, 8]) {
    test(`reduces masks by ${stride} as the mean of the two middle rows and columns, halves up`, () => {
      const { masks, pictures } = scene(stride, 20);
      const [rows, columns] = [HEIGHT / stride, WIDTH / stride];
      const cells = masks.reduced([rows, columns], stride);
      pictures.forEach((picture, i) => {
        for (let row = 0; row < rows; row++)
          for (let column = 0; column < columns; column++) {
            const [x, y] = [column * stride + stride / 2 - 1, row * stride + stride / 2 - 1];
            const sum = [0, 1].flatMap((dy) => [0, 1].map((dx) => picture[(y + dy) * WIDTH + x + dx]!));
            const mean = sum.reduce((a, b) => a + b) / 4;
            assert.equal(cells[(i * rows + row) * columns + column], Math.floor(mean + 0.5), `${i}: ${column}, ${row}`);
          }
      });
    });
  }

  test('a vanished object has no area and an empty map', () => {
    const masks = objectMasks(new Uint8Array(0), [0, 0, 0, 0, 0]);
    assert.equal(masks.masses[0]!.area, 0);
    assert.ok(masks.reduced([2, 2], 4).every((value) => value === 0));
  });
});
