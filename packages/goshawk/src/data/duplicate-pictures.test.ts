import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImage } from './decode-image.js';
import { digestOf, findDuplicates, hashDistance, type PictureMark, pictureLook } from './duplicate-pictures.js';

/** Soft blobs, another arrangement for each seed. */
function scene(seed: number) {
  const random = createRandom(seed);
  const blobs = Array.from({ length: 9 }, () => Array.from({ length: 6 }, () => random.uniform()));
  const data = Buffer.alloc(180 * 120 * 3);
  for (let y = 0; y < 120; y++)
    for (let x = 0; x < 180; x++)
      for (let c = 0; c < 3; c++) {
        const level = blobs.reduce((sum, [bx, by, size, ...colour]) => {
          const distance = ((x - bx! * 180) ** 2 + (y - by! * 120) ** 2) / (15 + 30 * size!) ** 2;
          return sum + 120 * colour[c]! * Math.exp(-distance);
        }, 20);
        data[(y * 180 + x) * 3 + c] = Math.min(255, level);
      }
  return sharp(data, { raw: { width: 180, height: 120, channels: 3 } });
}

async function mark(picture: Promise<Buffer>, id: number, fileName = 'train.json'): Promise<PictureMark> {
  const bytes = await picture;
  const name = `${id}.jpg`;
  const look = pictureLook(await decodeImage(bytes, name));
  return { fileName, image: { id, fileName: name }, path: `${fileName}/${name}`, digest: digestOf(bytes), look };
}

test('the same bytes are found within a file and across files, each once, and nothing else', async () => {
  const one = () => scene(1).png().toBuffer();
  const pictures = [await mark(one(), 1), await mark(scene(2).png().toBuffer(), 2), await mark(one(), 3)];
  const val = await mark(one(), 1, 'val.json');
  const found = findDuplicates([...pictures, val]).map(({ code, message }) => [code, message]);
  assert.deepEqual(found, [
    ['duplicate-image', 'train.json: images (image id 3) 3.jpg has the bytes of image id 1 (1.jpg): keep one of them'],
    [
      'duplicate-image',
      'val.json: images (image id 1) 1.jpg has the bytes of image id 1 (1.jpg) of train.json: keep it in one of the files, or figures will be too good',
    ],
  ]);
});

test('on request, a picture in another size or compression is found, and another picture is not', async () => {
  const original = await mark(scene(1).png().toBuffer(), 1);
  const forms = [
    scene(1).jpeg({ quality: 70 }).toBuffer(),
    scene(1).resize(90, 60).png().toBuffer(),
    scene(1).resize(400).webp({ quality: 60 }).toBuffer(),
  ];
  for (const form of forms) {
    const pictures = [original, await mark(form, 2)];
    assert.deepEqual(findDuplicates(pictures), []);
    assert.equal(findDuplicates(pictures, 4)[0]?.code, 'near-duplicate-image');
  }
  const others = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      mark(
        scene(i + 1)
          .png()
          .toBuffer(),
        i + 1,
      ),
    ),
  );
  assert.deepEqual(findDuplicates(others, 4), []);
  const flat = (background: string, id: number) =>
    mark(
      sharp({ create: { width: 64, height: 64, channels: 3, background } })
        .png()
        .toBuffer(),
      id,
    );
  assert.deepEqual(findDuplicates([await flat('red', 1), await flat('blue', 2)], 4), []);
});

test('the hash compares neighbours: a ramp to the right sets every bit, one to the left none', () => {
  const ramp = (level: (x: number) => number) => {
    const data = Uint8Array.from({ length: 90 * 8 * 3 }, (_, i) => level(Math.floor(i / 3) % 90));
    return pictureLook({ data, width: 90, height: 8 }).hash;
  };
  assert.equal(
    ramp((x) => x),
    2n ** 64n - 1n,
  );
  assert.equal(
    ramp((x) => 90 - x),
    0n,
  );
  assert.equal(hashDistance(0b1011n, 0b0010n), 2);
});
