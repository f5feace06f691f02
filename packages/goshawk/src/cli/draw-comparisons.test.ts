import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { boxXywh, type Dataset, encodeMask, InputError } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImageFile } from '../data/index.js';
import { runDemo } from './demo.js';
import { drawComparisons } from './draw-comparisons.js';

const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-comparisons-'));
after(() => rmSync(folder, { recursive: true }));

describe('drawn comparisons', () => {
  const [width, height] = [60, 40];
  const images = path.join(folder, 'images');
  const dataset: Dataset = {
    images: [1, 2, 3].map((id) => ({ id, fileName: `${id}.png`, width, height })),
    categories: [{ id: 1, name: 'box' }],
    annotations: [
      { id: 1, imageId: 1, categoryId: 1, bbox: boxXywh(10, 10, 20, 20), area: 400, isCrowd: false },
      {
        id: 2,
        imageId: 2,
        categoryId: 1,
        bbox: boxXywh(5, 5, 10, 10),
        area: 100,
        isCrowd: false,
        segmentation: { kind: 'polygons', polygons: [[5, 5, 15, 5, 15, 15, 5, 15]] },
      },
    ],
  };
  const mask = new Uint8Array(width * height).fill(1, 0, 20 * width);
  const detections = [
    { imageId: 1, categoryId: 1, score: 0.9, bbox: boxXywh(0, 0, 60, 20) },
    { imageId: 2, categoryId: 1, score: 0.4, bbox: boxXywh(0, 0, 60, 20) },
  ].map((one) => ({ ...one, segmentation: { kind: 'rle' as const, rle: encodeMask(mask, [height, width]) } }));

  test('show the annotations at the left, detections of a good score at the right, enlarged by a whole number', async () => {
    mkdirSync(images);
    const grey = sharp({ create: { width, height, channels: 3, background: '#808080' } });
    for (const { fileName } of dataset.images) await grey.clone().png().toFile(path.join(images, fileName));
    const output = path.join(folder, 'pictures');
    const sheet = await drawComparisons({ dataset, images, detections, count: 2, output });
    assert.equal(sheet, path.join(output, 'all.png'));
    assert.deepEqual(readdirSync(output).sort(), ['1.png', '2.png', 'all.png']);

    // 360 / 40 = 9 times as large, two of them with a gap of 2.
    const pair = await decodeImageFile(path.join(output, '1.png'));
    assert.deepEqual([pair.width, pair.height], [2 * 9 * width + 2, 9 * height]);
    const isGrey = (image: typeof pair, x: number, y: number) =>
      image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3).every((value) => value === 128);
    const right = 9 * width + 2;
    // A box without a mask is hollow; the mask of the detection covers the upper half.
    assert.ok(isGrey(pair, 9 * 20, 9 * 20) && !isGrey(pair, 9 * 10, 9 * 20));
    assert.ok(!isGrey(pair, right + 9 * 30, 9 * 15) && isGrey(pair, right + 9 * 30, 9 * 30));
    // The score of 0.4 is too low to be drawn.
    const second = await decodeImageFile(path.join(output, '2.png'));
    assert.ok(!isGrey(second, 9 * 10, 9 * 10) && isGrey(second, right + 9 * 30, 9 * 15));
  });
});

test('the demo does not touch a folder with files of another kind', async () => {
  const output = path.join(folder, 'mine');
  mkdirSync(output);
  writeFileSync(path.join(output, 'config.yaml'), 'mine');
  await assert.rejects(
    runDemo({ output }),
    new InputError('usage', `${output}: holds other files: choose another folder with --output`),
  );
  assert.deepEqual(readdirSync(output), ['config.yaml']);
});
