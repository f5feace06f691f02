// The compiled kernels against core's functions, whose own tests hold them to OpenCV, PIL and aten: every bit is the same.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  addNoise,
  blendImages,
  blurImage,
  changeColor,
  cornersMap,
  createRandom,
  flipImageInPlace,
  inOrder,
  inverseMap,
  medianImage,
  networkSize,
  noiseQuantiles,
  type PlanarMap,
  type Preprocess,
  prepareImage,
  type Random,
  type RgbImage,
  resizeOpenCv,
  resizePil,
  rotation,
  type SizeRule,
  scaleHsv,
  scaling,
  shearing,
  torchvisionPreprocess,
  translation,
  warpImage,
} from '@goshawk/core';
import { type PixelAddon, pixelAddon } from '@goshawk/torch/pixels';
import sharp from 'sharp';
import { jpegDamage } from '../jpeg-damage.js';

const addon = pixelAddon() as PixelAddon;

/** Sides of one pixel, of fewer than a vector, odd ones, and some of more than a hundred. */
const side = (random: Random): number =>
  [1, 2, 3, 1 + random.integer(12), 1 + random.integer(60), 60 + random.integer(100)][random.integer(6)]!;

/** Noise, smooth or of few levels, in memory of exactly its length, so that a read beyond it can be caught. */
function picture(random: Random, width = side(random), height = side(random)): RgbImage {
  const kind = random.integer(3);
  const at = (i: number): number =>
    kind === 0 ? random.uint32() & 255 : kind === 1 ? ((i * 7) >> 3) & 255 : [0, 1, 128, 254, 255][random.integer(5)]!;
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => at(i)) };
}

const empty = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3),
});

/** Cases of their own streams of random numbers, each named by its number where it fails. */
function forCases(count: number, stream: number, check: (random: Random) => void): void {
  for (let index = 0; index < count; index++) {
    try {
      check(createRandom(11, stream, index));
    } catch (error) {
      throw new Error(`case ${index}`, { cause: error });
    }
  }
}

function assertSame(got: ArrayLike<number>, expected: ArrayLike<number>): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++)
    if (!Object.is(got[i], expected[i])) assert.fail(`value ${i} is ${got[i]} (expected ${expected[i]})`);
}

describe('what a network reads', () => {
  const rules: readonly SizeRule[] = ['torchvision', 'mmdet', 'detectron', 'maskrcnn-benchmark', 'letterbox', 'none'];
  for (const kernel of ['torch', 'opencv', 'pil'] as const)
    test(`${kernel}: every rule of size, windows, both orders of channels, within a padded batch`, () => {
      forCases(60, 1, (random) => {
        const image = picture(random);
        const preprocess: Preprocess = {
          ...torchvisionPreprocess,
          resize: {
            kernel,
            rule: rules[random.integer(rules.length)]!,
            minSize: side(random),
            maxSize: side(random) + 100,
          },
          channels: random.integer(2) === 0 ? 'rgb' : 'bgr',
          valueScale: random.integer(2) === 0 ? 1 : 1 / 255,
          mean: [random.uniform(), 100 * random.uniform(), 0.4],
          std: [1, 0.2 + random.uniform(), 57.375],
        };
        const size = networkSize(image.width, image.height, preprocess.resize.rule, preprocess.resize);
        const x = random.integer(size.width);
        const y = random.integer(size.height);
        const part = { x, y, width: 1 + random.integer(size.width - x), height: 1 + random.integer(size.height - y) };
        const window = random.integer(2) === 0 ? part : { x: 0, y: 0, width: size.width, height: size.height };
        const rowStride = window.width * 3 + random.integer(20);
        const place = { offset: random.integer(50), rowStride };
        const memory = () =>
          new Float32Array(new SharedArrayBuffer((place.offset + rowStride * window.height) * 4)).fill(7);
        const [expected, got] = [memory(), memory()];
        prepareImage(image, preprocess, { size, window, into: { ...place, data: expected } });
        prepareImage(image, preprocess, { size, window, into: { ...place, data: got }, resizer: addon.resizeInto });
        assertSame(got, expected);
      });
    });

  test('bytes at another size, up to a hundred times as large or as small', () => {
    forCases(80, 2, (random) => {
      const image = picture(random);
      const [width, height] = [side(random), side(random)];
      const got = empty(width, height);
      addon.resizeBytes(image, 'opencv', got);
      assertSame(got.data, resizeOpenCv(image, width, height).data);
      addon.resizeBytes(image, 'pil', got);
      assertSame(got.data, resizePil(image, width, height).data);
    });
  });
});

test('pictures under affine maps and perspectives, magnified, diminished and seen from the side', () => {
  forCases(80, 3, (random) => {
    const image = picture(random);
    const size = { width: side(random), height: side(random) };
    const between = (low: number, high: number) => low + (high - low) * random.uniform();
    const scale = 2 ** between(-4, 4);
    const affine = inOrder(
      translation(-image.width / 2, -image.height / 2),
      rotation(random.integer(3) === 0 ? 0 : between(-180, 180)),
      scaling(scale, random.integer(2) === 0 ? scale : -scale),
      shearing(between(-30, 30), 0),
      translation(size.width * between(-0.5, 1.5), size.height * between(0, 1)),
    );
    const [w, h] = [image.width, image.height];
    const corner = (x: number, y: number) => [x * w + between(-0.2, 0.2) * w, y * h + between(-0.2, 0.2) * h];
    const perspective = cornersMap(w, h, [...corner(0, 0), ...corner(1, 0), ...corner(1, 1), ...corner(0, 1)]);
    const turned: PlanarMap = [1, 0, 0, 0, 1, 0, between(-2, 2) / w, between(-2, 2) / h, 1];
    const fill = [random.integer(256), random.integer(256), random.integer(256)] as const;
    for (const map of [affine, perspective, turned]) {
      const got = empty(size.width, size.height);
      addon.warp(image, inverseMap(map), fill, got);
      assertSame(got.data, warpImage(image, map, size, fill).data);
    }
  });
});

describe('colours', () => {
  const changed = (image: RgbImage, change: (own: RgbImage) => void): Uint8Array => {
    const own = { ...image, data: image.data.slice() };
    change(own);
    return own.data;
  };

  test('hue, saturation and value of all colours in steps of 5, and of random pictures', () => {
    const levels = Array.from({ length: 52 }, (_, i) => i * 5);
    const all = levels.flatMap((red) => levels.flatMap((green) => levels.flatMap((blue) => [red, green, blue])));
    const cube = { width: 52, height: 52 * 52, data: Uint8Array.from(all) };
    forCases(10, 4, (random) => {
      const image = random.integer(4) === 0 ? cube : picture(random);
      const [hue, saturation, value] = [2 * random.uniform(), 3 * random.uniform(), 2 * random.uniform()];
      assertSame(
        changed(image, (own) => addon.scaleHsv(own, [hue, saturation, value], own.data)),
        scaleHsv(image, { hue, saturation, value }).data,
      );
    });
  });

  test('brightness, contrast, saturation, noise, mixtures and mirror images', () => {
    forCases(25, 5, (random) => {
      const image = picture(random);
      const factor = 2 * random.uniform();
      for (const change of ['brightness', 'contrast', 'saturation'] as const)
        assertSame(
          changed(image, (own) => addon.changeColor(own, change, factor, own.data)),
          changeColor(image, change, factor).data,
        );
      const [sigma, seed] = [60 * random.uniform(), random.integer(3) === 0 ? 0 : random.uint32()];
      assertSame(
        changed(image, (own) => addon.addNoise(own, sigma, seed, noiseQuantiles(), own.data)),
        addNoise(image, sigma, seed).data,
      );
      const other = picture(random, image.width, image.height);
      const share = random.uniform();
      assertSame(
        changed(image, (own) => addon.blend(own.data, other.data, share, own.data)),
        blendImages(image, other, share).data,
      );
      assertSame(
        changed(image, (own) => addon.mirrorRows(own)),
        changed(image, flipImageInPlace),
      );
    });
  });

  test('blurs of 3 and 5 pixels', () => {
    forCases(40, 6, (random) => {
      const image = picture(random);
      for (const length of [3, 5] as const)
        for (const filter of ['gaussian', 'box', 'median'] as const) {
          const got = empty(image.width, image.height);
          addon.blur(image, filter, length, got.data);
          const expected = filter === 'median' ? medianImage(image, length) : blurImage(image, filter, length);
          assertSame(got.data, expected.data);
        }
    });
  });
});

test('what does not fit together is an error, and nothing is written', () => {
  const image = empty(4, 4);
  const into = { data: new Float32Array(47), offset: 0, rowStride: 12 };
  assert.throws(() => prepareImage(image, resizeless, { into, resizer: addon.resizeInto }), RangeError);
  assert.throws(() => addon.resizeBytes({ ...image, width: 5 }, 'opencv', empty(2, 2)), RangeError);
  assert.throws(() => addon.blur(image, 'median', 3, image.data), RangeError);
  assert.throws(
    () => addon.warp(image, [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0], { ...empty(2, 2), width: 3 }),
    RangeError,
  );
  assert.throws(() => addon.mirrorRows({ ...image, height: -1 }), RangeError);
  assert.throws(() => addon.jpegDamage('picture' as never), RangeError);
});

const resizeless: Preprocess = {
  ...torchvisionPreprocess,
  resize: { ...torchvisionPreprocess.resize, rule: 'none', kernel: 'opencv' },
};

test('damage of JPEGs is told by the same words', async () => {
  const random = createRandom(5, 5);
  const smooth = { ...empty(97, 61), data: Uint8Array.from({ length: 97 * 61 * 3 }, (_, i) => (i * 3) >> 4) };
  const noisy = picture(random, 97, 61);
  const files: Uint8Array[] = [...fixtureFiles()];
  for (const { data, width, height } of [smooth, noisy])
    for (const options of [
      { quality: 60 },
      { quality: 100, chromaSubsampling: '4:4:4' },
      { progressive: true },
      { optimiseCoding: false },
    ])
      files.push(
        await sharp(data, { raw: { width, height, channels: 3 } })
          .jpeg(options)
          .toBuffer(),
      );
  const said = new Set<string | undefined>();
  for (const file of files)
    for (let round = 0; round < 40; round++) {
      const damaged = damage(file, round, random);
      const expected = jpegDamage(damaged);
      assert.equal(addon.jpegDamage(damaged), expected);
      said.add(expected?.replace(/\d+/, 'N'));
    }
  assert.ok(said.size >= 7, `only ${[...said].join('; ')}`);
});

/** As it is, then cut short, with bytes changed, left out, doubled or zero. */
function damage(file: Uint8Array, round: number, random: Random): Uint8Array {
  if (round === 0 || file.length === 0) return file;
  const at = random.integer(file.length);
  const length = 1 + random.integer(random.integer(2) === 0 ? 3 : 200);
  const [before, part, after] = [file.subarray(0, at), file.subarray(at, at + length), file.subarray(at + length)];
  switch (random.integer(5)) {
    case 0:
      return before.slice();
    case 1:
      return Buffer.concat([before, part.map(() => random.uint32() & 255), after]);
    case 2:
      return Buffer.concat([before, after]);
    case 3:
      return Buffer.concat([before, part, part, after]);
    default:
      return Buffer.concat([before, new Uint8Array(part.length), after]);
  }
}

/** The package's own JPEGs. */
function fixtureFiles(): Uint8Array[] {
  const folder = fileURLToPath(new URL('../../../src/', import.meta.url));
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.jpg') && statSync(folder + name).size < 20_000)
    .map((name) => readFileSync(folder + name));
}
