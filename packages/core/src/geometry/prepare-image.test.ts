import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../random/random.js';
import {
  fillPadding,
  paddedBatchSize,
  prepareImage,
  type ResizeKernel,
  torchvisionPreprocess,
} from './prepare-image.js';

const image = { data: Uint8Array.from({ length: 6 * 4 * 3 }, (_, i) => (i * 37) % 256), width: 6, height: 4 };
const unscaled = (kernel: ResizeKernel) => ({
  ...torchvisionPreprocess,
  resize: { rule: 'none' as const, minSize: 1, maxSize: 1, kernel },
});

for (const kernel of ['torch', 'opencv', 'pil'] as const) {
  test(`${kernel}: without a change of size every value is (level / 255 - mean) / std`, () => {
    const { pixels } = prepareImage(image, unscaled(kernel));
    const { mean, std } = torchvisionPreprocess;
    image.data.forEach((level, i) => {
      assert.ok(Math.abs(pixels[i]! - (level / 255 - mean[i % 3]!) / std[i % 3]!) < 4e-7);
    });
  });

  test(`${kernel}: bgr reverses the channels; mean and std are in the network's order`, () => {
    const preprocess = { ...unscaled(kernel), channels: 'bgr' as const, valueScale: 1, mean: [100, 110, 120] as const };
    const { pixels } = prepareImage(image, { ...preprocess, std: [1, 2, 4] });
    assert.equal(pixels[3]!, image.data[5]! - 100);
    assert.equal(pixels[5]!, (image.data[3]! - 120) / 4);
  });

  test(`${kernel}: a window is that part of the whole, for shrunk, enlarged and unchanged sides`, () => {
    const random = createRandom(3);
    const between = (low: number, high: number) => low + random.integer(high - low + 1);
    for (let round = 0; round < 40; round++) {
      const picture = { width: between(1, 12), height: between(1, 12), data: new Uint8Array(432) };
      picture.data.forEach((_, i) => {
        picture.data[i] = random.integer(256);
      });
      const keeps = round % 4 === 0;
      const target = { width: keeps ? picture.width : between(1, 24), height: between(1, 24) };
      const [stepX, stepY] = [picture.width / target.width, picture.height / target.height];
      const size = { ...target, scaleX: 1 / stepX, scaleY: 1 / stepY, stepX, stepY };
      const window = { x: random.integer(target.width), y: random.integer(target.height) };
      const sides = { width: between(1, target.width - window.x), height: between(1, target.height - window.y) };
      const whole = prepareImage(picture, unscaled(kernel), { size }).pixels;
      const part = prepareImage(picture, unscaled(kernel), { size, window: { ...window, ...sides } });
      assert.deepEqual(
        [part.width, part.height, part.pixels.length],
        [...Object.values(sides), sides.width * sides.height * 3],
      );
      for (let y = 0; y < sides.height; y++) {
        const from = ((window.y + y) * target.width + window.x) * 3;
        const row = part.pixels.slice(y * sides.width * 3, (y + 1) * sides.width * 3);
        assert.deepEqual(row, whole.slice(from, from + sides.width * 3), `round ${round}, row ${y}`);
      }
    }
  });

  test(`${kernel}: a picture written into its slot of a batch touches nothing else, and padding fills the rest`, () => {
    const alone = prepareImage(image, unscaled(kernel)).pixels;
    const slot = { data: new Float32Array(200).fill(-9), offset: 10, rowStride: 8 * 3 };
    prepareImage(image, unscaled(kernel), { into: slot });
    for (let y = 0; y < 4; y++) {
      assert.deepEqual(slot.data.slice(10 + y * 24, 10 + y * 24 + 18), alone.slice(y * 18, (y + 1) * 18));
      assert.deepEqual([...slot.data.slice(10 + y * 24 + 18, 10 + (y + 1) * 24)], Array(6).fill(-9));
    }
    fillPadding(slot, image, 6, [0, 0, 0]);
    assert.equal(slot.data.filter((value) => value === 0).length, 4 * 6 + 2 * 24);
    assert.equal(slot.data.filter((value) => value === -9).length, 200 - 6 * 24);
  });
}

test('a batch is as high and as wide as its largest sides, rounded up', () => {
  const sizes = [
    { width: 65, height: 20 },
    { width: 10, height: 64 },
  ];
  assert.deepEqual(paddedBatchSize(sizes, 32), { width: 96, height: 64 });
});
