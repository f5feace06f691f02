// Copies of photos for a training from a folder: sizes, boxes in the copies' pixels, and what happens to damaged ones.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { boxXywh, type Dataset } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImageFile } from '../data/decode-image.js';
import { shrinkPictures } from './shrink-pictures.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-shrink-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a photo of twice the size has a copy with boxes of half the size; one that is cut short is left out and named', async () => {
  const whole = join(folder, 'whole.jpg');
  await sharp({ create: { width: 200, height: 100, channels: 3, background: '#3050a0' } })
    .jpeg()
    .toFile(whole);
  const noise = Buffer.from(Array.from({ length: 200 * 100 * 3 }, (_, i) => (i * 2654435761) % 251));
  const large = await sharp(noise, { raw: { width: 200, height: 100, channels: 3 } })
    .jpeg()
    .toBuffer();
  writeFileSync(join(folder, 'cut.jpg'), large.subarray(0, large.length / 2));
  const image = (id: number, fileName: string) => ({ id, fileName, width: 200, height: 100 });
  const dataset: Dataset = {
    images: [image(1, 'whole.jpg'), image(2, 'cut.jpg')],
    annotations: [1, 2].map((imageId) => ({
      id: imageId,
      imageId,
      categoryId: 1,
      bbox: boxXywh(20, 10, 60, 40),
      area: 2400,
      isCrowd: false,
    })),
    categories: [{ id: 1, name: 'cell' }],
  };
  const output = join(folder, 'copies');
  const { dataset: copies, problems } = await shrinkPictures(dataset, {
    images: folder,
    output,
    longSide: 100,
    ways: { exifOrientation: 'apply', followLinks: false },
  });
  assert.deepEqual(
    copies.images.map(({ fileName, width, height }) => [fileName, width, height]),
    [['whole.jpg', 100, 50]],
  );
  assert.deepEqual(
    copies.annotations.map(({ imageId, bbox, area }) => [imageId, [...bbox], area]),
    [[1, [10, 5, 30, 20], 600]],
  );
  const copy = await decodeImageFile(join(output, 'whole.jpg'));
  assert.deepEqual([copy.width, copy.height], [100, 50]);
  assert.ok(readFileSync(join(output, 'whole.jpg')).length > 0);
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /cut\.jpg: is a damaged jpeg picture \(its data ends too early\): replace the file$/);
});
