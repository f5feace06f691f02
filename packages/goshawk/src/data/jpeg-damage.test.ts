import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRandom, InputError } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImage } from './decode-image.js';
import { jpegDamage } from './jpeg-damage.js';

/** A picture of smooth shapes and grain, so that its data has codes of all lengths. */
const pixels = (() => {
  const random = createRandom(7);
  const data = Buffer.alloc(160 * 120 * 3);
  for (let i = 0; i < data.length; i++) data[i] = 128 + 90 * Math.sin(i / 900) + 30 * (random.uniform() - 0.5);
  return sharp(data, { raw: { width: 160, height: 120, channels: 3 } });
})();
const baseline = await pixels.clone().jpeg({ quality: 90, mozjpeg: false, optimiseCoding: false }).toBuffer();
const optimised = await pixels.clone().jpeg({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer();
const progressive = await pixels.clone().jpeg({ quality: 90, progressive: true }).toBuffer();
const END = Buffer.from([0xff, 0xd9]);

function changed(bytes: Buffer, change: (copy: Buffer, middle: number) => Buffer | undefined): Buffer {
  const copy = Buffer.from(bytes);
  return change(copy, Math.floor(bytes.length * 0.6)) ?? copy;
}

const damages: Record<string, (copy: Buffer, middle: number) => Buffer | undefined> = {
  'zeros to the end': (copy, middle) => void copy.fill(0, middle),
  'zeros up to the end marker': (copy, middle) => void copy.fill(0, middle, copy.length - 2),
  'zeros in the middle': (copy, middle) => void copy.fill(0, middle, middle + 1024),
  cut: (copy, middle) => copy.subarray(0, middle),
  'cut, with an end marker': (copy, middle) => Buffer.concat([copy.subarray(0, middle), END]),
  'a hole': (copy, middle) => Buffer.concat([copy.subarray(0, middle), copy.subarray(middle + 512)]),
  'other bytes in the middle': (copy, middle) => {
    const random = createRandom(3);
    for (let i = 0; i < 1000; i++) copy[middle + i] = random.integer(256);
    return copy;
  },
  'a part twice': (copy, middle) => Buffer.concat([copy.subarray(0, middle), copy.subarray(middle - 700)]),
  'no end marker': (copy) => copy.subarray(0, copy.length - 2),
};

for (const [form, bytes] of Object.entries({ baseline, optimised, progressive })) {
  describe(`a ${form} JPEG`, () => {
    test('is decoded, and its data is whole', async () => {
      assert.equal(jpegDamage(bytes), undefined);
      assert.equal((await decodeImage(bytes, 'a.jpg')).width, 160);
    });
    for (const [kind, damage] of Object.entries(damages)) {
      // libjpeg, which judges these, remarks it in most files and not in all.
      if (form === 'progressive' && (kind === 'zeros in the middle' || kind === 'a hole')) continue;
      test(`is refused by name with ${kind}`, async () => {
        await assert.rejects(decodeImage(changed(bytes, damage), 'a.jpg'), (error) => {
          assert.ok(error instanceof InputError);
          assert.equal(error.code, 'image-invalid');
          assert.match(error.message, /^a\.jpg: is a damaged jpeg picture \(.*\): replace the file$/);
          return true;
        });
      });
    }
  });
}

describe('harmless oddities are no damage', () => {
  const decodesAlike = async (bytes: Uint8Array, as: Uint8Array = baseline) =>
    assert.deepEqual((await decodeImage(bytes, 'a.jpg')).data, (await decodeImage(as, 'a.jpg')).data);
  const segment = (marker: number, body: Buffer) =>
    Buffer.concat([Buffer.from([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255]), body]);

  test('bytes behind the end: zeros, text, another picture as phones append', async () => {
    for (const more of [Buffer.alloc(4096), Buffer.from('no picture'), optimised])
      await decodesAlike(Buffer.concat([baseline, more]));
  });
  test('a few stray bytes before the end, and fill bytes before a marker', async () => {
    const body = baseline.subarray(0, -2);
    await decodesAlike(Buffer.concat([body, Buffer.alloc(7), END]));
    await decodesAlike(Buffer.concat([body, Buffer.from([0xff, 0xff, 0xff]), END]));
    const tail = progressive.subarray(0, -2);
    await decodesAlike(Buffer.concat([tail, Buffer.alloc(7), END]), progressive);
  });
  test('a thumbnail that is a JPEG of its own, a comment, and a later JFIF version', async () => {
    const head = baseline.subarray(0, 2);
    const rest = baseline.subarray(2);
    await decodesAlike(Buffer.concat([head, segment(0xed, optimised.subarray(0, 20_000)), rest]));
    await decodesAlike(Buffer.concat([head, segment(0xfe, Buffer.from('made by hand')), rest]));
    const later = Buffer.from('JFIF\0\x03\x00\0\0\x01\0\x01\0\0', 'latin1');
    await decodesAlike(Buffer.concat([head, segment(0xe0, later), rest]));
  });
  test('restart markers, and their absence', async () => {
    const whole = withRestarts([0xd0, 0xd1, 0xd2]);
    assert.equal(jpegDamage(whole), undefined);
    assert.equal((await decodeImage(whole, 'a.jpg')).width, 32);
    assert.match(jpegDamage(withRestarts([0xd0, 0xd2, 0xd3])) ?? '', /restart marker/);
    assert.match(jpegDamage(withRestarts([0xd0, 0xd1])) ?? '', /restart marker/);
  });

  /** Four grey blocks, each behind the restart marker of the one before. */
  function withRestarts(markers: readonly number[]): Buffer {
    const oneCode = Buffer.from([1, ...Array.from({ length: 15 }, () => 0), 0]);
    const block = Buffer.from([0b00111111]);
    return Buffer.concat([
      Buffer.from([0xff, 0xd8]),
      segment(0xdb, Buffer.concat([Buffer.from([0]), Buffer.alloc(64, 1)])),
      segment(0xc0, Buffer.from([8, 0, 8, 0, 32, 1, 1, 0x11, 0])),
      segment(0xc4, Buffer.concat([Buffer.from([0x00]), oneCode])),
      segment(0xc4, Buffer.concat([Buffer.from([0x10]), oneCode])),
      segment(0xdd, Buffer.from([0, 1])),
      segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
      block,
      ...markers.map((marker) => Buffer.concat([Buffer.from([0xff, marker]), block])),
      END,
    ]);
  }
});

test('other formats: cut, or with a hole, is refused by name', async () => {
  const files = {
    png: await pixels.clone().png().toBuffer(),
    webp: await pixels.clone().webp({ quality: 90 }).toBuffer(),
    gif: await pixels.clone().gif().toBuffer(),
    tiff: await pixels.clone().tiff({ compression: 'lzw' }).toBuffer(),
  };
  for (const [format, bytes] of Object.entries(files)) {
    await decodeImage(bytes, format);
    const cut = bytes.subarray(0, Math.floor(bytes.length / 2));
    await assert.rejects(decodeImage(cut, format), { code: 'image-invalid' }, format);
  }
  const hole = Buffer.from(files.png).fill(0, 10_000, 12_000);
  await assert.rejects(decodeImage(hole, 'png'), { code: 'image-invalid' });
});

test('samples that are no unsigned integers of 8 or 16 bits are refused by name', async () => {
  for (const depth of ['float', 'int', 'uint', 'short'] as const) {
    await assert.rejects(decodeImage(greyTiff(depth), 'x.tif'), (error: Error) => {
      assert.match(error.message, new RegExp(`^x\\.tif: has samples of type ${depth} .*convert it to 8 or 16 bits`));
      return true;
    });
  }

  /** A grey TIFF of one strip, written by hand: sharp writes no such samples. */
  function greyTiff(depth: 'float' | 'int' | 'uint' | 'short'): Buffer {
    const bits = { float: 32, int: 32, uint: 32, short: 16 }[depth];
    const format = { float: 3, int: 2, short: 2, uint: 1 }[depth];
    const [width, height] = [8, 8];
    const strip = Buffer.alloc((width * height * bits) / 8, 1);
    const entries: [number, number, number][] = [
      [256, 3, width],
      [257, 3, height],
      [258, 3, bits],
      [259, 3, 1],
      [262, 3, 1],
      [273, 4, 8],
      [277, 3, 1],
      [278, 3, height],
      [279, 4, strip.length],
      [339, 3, format],
    ];
    const directory = Buffer.alloc(2 + entries.length * 12 + 4);
    directory.writeUInt16LE(entries.length);
    entries.forEach(([tag, type, value], i) => {
      directory.writeUInt16LE(tag, 2 + i * 12);
      directory.writeUInt16LE(type, 4 + i * 12);
      directory.writeUInt32LE(1, 6 + i * 12);
      if (type === 3) directory.writeUInt16LE(value, 10 + i * 12);
      else directory.writeUInt32LE(value, 10 + i * 12);
    });
    const head = Buffer.from('II*\0\0\0\0\0', 'latin1');
    head.writeUInt32LE(8 + strip.length, 4);
    return Buffer.concat([head, strip, directory]);
  }
});

const photos = ['photos', 'coco-mini/val2017', 'voc2012-50/JPEGImages', 'casia-spt/images', 'bccd/JPEGImages']
  .map((name) => fileURLToPath(new URL(`../../../../../shared/data/${name}/`, import.meta.url)))
  .filter((folder) => existsSync(folder));

test('photos of many cameras are whole', { skip: photos.length === 0 }, () => {
  let count = 0;
  for (const folder of photos)
    for (const name of readdirSync(folder)) {
      if (!/\.jpe?g$/i.test(name)) continue;
      assert.equal(jpegDamage(readFileSync(folder + name)), undefined, folder + name);
      count++;
    }
  assert.ok(count > 100, `${count}`);
});
