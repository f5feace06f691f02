import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { processorMs } from '../testing/processor-time.js';
import type { RgbImage } from './image.js';
import { resizeOpenCv } from './resize-opencv.js';
import { resizePil } from './resize-pil.js';
import { resizeTorch } from './resize-torch.js';
import { detectronSize } from './size-rules.js';

interface ResizeCase {
  source: [number, number];
  target: [number, number];
  opencv: string;
  pil: string;
  torchIndices: number[];
  torch: number[];
}
interface DetectronCase {
  source: [number, number];
  minSize: number;
  maxSize: number;
  target: [number, number];
  indices: number[];
  values: number[];
}
const fixture: { resize: ResizeCase[]; detectron: DetectronCase[] } = JSON.parse(
  readFileSync(new URL('../../src/geometry/fixtures/geometry.json', import.meta.url), 'utf8'),
);

function pattern(width: number, height: number): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.floor((31 * i * i + 17 * i) / 8) % 256);
  return { data, width, height };
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

for (const { source, target, ...expected } of fixture.resize) {
  const name = `${source.join('x')} to ${target.join('x')}`;
  test(`OpenCV's bytes, ${name}`, () => {
    assert.equal(sha256(resizeOpenCv(pattern(...source), ...target).data), expected.opencv);
  });
  test(`PIL's bytes, ${name}`, () => {
    assert.equal(sha256(resizePil(pattern(...source), ...target).data), expected.pil);
  });
  // Sums of four products in float32, up to 255.
  test(`torch's floats within 5e-5 of a level, ${name}`, () => {
    const out = resizeTorch(pattern(...source), ...target);
    expected.torchIndices.forEach((index, k) => {
      assert.ok(Math.abs(out[index]! - expected.torch[k]!) < 5e-5, `value ${index}`);
    });
  });
}

for (const { source, minSize, maxSize, target, indices, values } of fixture.detectron) {
  // OpenCV takes places of up to a hundred pixels in float32: 4e-6 of a pixel, between which lie up to 255 levels.
  test(`Detectron's floats within 0.003 of a level, ${source.join('x')} at ${minSize}`, () => {
    const size = detectronSize(...source, { minSize, maxSize });
    assert.deepEqual([size.width, size.height], target);
    const out = resizeTorch(pattern(...source), size.width, size.height, {
      stepX: size.stepX,
      stepY: size.stepY,
      bias: [-102.9801, -115.9465, -122.7717],
    });
    indices.forEach((index, k) => {
      assert.ok(Math.abs(out[index]! - values[k]!) < 0.003, `value ${index}: ${out[index]} instead of ${values[k]}`);
    });
  });
}

test('a resizer never changes the picture it is given and never returns its memory', () => {
  const image = pattern(9, 5);
  const before = image.data.slice();
  for (const resize of [resizeOpenCv, resizePil]) {
    const same = resize(image, 9, 5);
    assert.deepEqual(same.data, before);
    same.data.fill(0);
    resize(image, 4, 7);
    assert.deepEqual(image.data, before);
  }
});

test('800 x 1066 from a 640 x 480 picture takes less than 150 ms with every kernel', () => {
  const image = pattern(640, 480);
  for (const resize of [resizeOpenCv, resizePil, resizeTorch]) {
    // The best of some, since other programs may want the processor too.
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 6 && best >= 150; run++) {
      const ms = processorMs(() => {
        resize(image, 1066, 800);
      });
      best = Math.min(best, ms);
    }
    assert.ok(best < 150, `${resize.name} took ${best} ms`);
  }
});
