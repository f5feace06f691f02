import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { prepareImage, torchvisionPreprocess } from '@goshawk/core';
import { decodeImageFile } from './decode-image.js';

const folder = new URL('../../src/data/fixtures/', import.meta.url);

test("a picture becomes torchvision's network input within 1e-5, padding and all", async () => {
  const expected: { shape: [number, number, number, number]; step: number; values: number[] } = JSON.parse(
    readFileSync(new URL('network-input.json', folder), 'utf8'),
  );
  const [, , height, width] = expected.shape;
  const image = await decodeImageFile(fileURLToPath(new URL('network-input.png', folder)));
  const resize = { ...torchvisionPreprocess.resize, minSize: 192, maxSize: 320 };
  const into = { data: new Float32Array(height * width * 3), offset: 0, rowStride: width * 3 };
  prepareImage(image, { ...torchvisionPreprocess, resize }, { into });
  expected.values.forEach((value, k) => {
    const index = k * expected.step;
    const channel = Math.floor(index / (height * width));
    const ours = into.data[(index % (height * width)) * 3 + channel]!;
    assert.ok(Math.abs(value - ours) <= 1e-5, `value ${index} is ${ours} instead of ${value}`);
  });
});
