// Copies of photos for a training from a folder: sizes, boxes in the copies' pixels, and what happens to damaged ones.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { boxXywh, type Dataset } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImageFile } from '../data/decode-image.js';
import { mayMount } from '../testing/may-mount.js';
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

test('a copy that cannot be written is no fault of the picture', {
  skip: mayMount() ? false : 'needs the right to mount',
}, async () => {
  const [pictures, disk] = [join(folder, 'many'), join(folder, 'disk')];
  mkdirSync(pictures);
  mkdirSync(disk);
  const noise = Buffer.from(Array.from({ length: 200 * 100 * 3 }, (_, i) => (i * 2654435761) % 251));
  const names = Array.from({ length: 8 }, (_, i) => `${i}.jpg`);
  for (const name of names)
    await sharp(noise, { raw: { width: 200, height: 100, channels: 3 } })
      .jpeg()
      .toFile(join(pictures, name));
  const dataset: Dataset = {
    images: names.map((fileName, i) => ({ id: i + 1, fileName, width: 200, height: 100 })),
    annotations: [],
    categories: [],
  };
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]);
  try {
    const options = { images: pictures, output: join(disk, 'copies'), longSide: 100 };
    await assert.rejects(
      shrinkPictures(dataset, { ...options, ways: { exifOrientation: 'apply', followLinks: false } }),
      { name: 'InputError', message: /\d\.jpg: the disk is full: make room or choose another place$/ },
    );
  } finally {
    execFileSync('umount', [disk]);
  }
});
