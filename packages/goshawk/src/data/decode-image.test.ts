import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImage, decodeImageFile, readImageHeader } from './decode-image.js';

const folder = fileURLToPath(new URL('../../src/data/fixtures/', import.meta.url));
const picture = (name: string) => join(folder, 'bad-images', name);

interface Entry {
  file: string;
  expect: 'accept' | 'error';
  what: string;
  width?: number;
  height?: number;
  shown?: [number, number];
  rgb?: number[];
  pixel?: { x: number; y: number; rgb: number[] };
  tolerance?: number;
}
const entries: Entry[] = JSON.parse(readFileSync(picture('manifest.json'), 'utf8'));
const pilHashes: Record<string, string> = JSON.parse(readFileSync(join(folder, 'pil-hashes.json'), 'utf8'));

/** The error of decoding, which must be one line that begins with the file's name. */
async function errorOf(decoding: Promise<unknown>, name: string): Promise<InputError> {
  const error = await decoding.then(
    () => assert.fail('decoded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof InputError, String(error));
  assert.ok(error.message.startsWith(name), error.message);
  assert.ok(!error.message.includes('\n'));
  return error;
}

for (const entry of entries) {
  const { file, what, expect } = entry;
  if (file === 'bmp.bmp') {
    test('bmp.bmp: the error names the file and the format', async () => {
      const error = await errorOf(decodeImageFile(picture(file)), picture(file));
      assert.match(error.message, /is a BMP picture/);
    });
  } else if (expect === 'error') {
    test(`${file}: ${what}: an error that names the file`, async () => {
      const start = performance.now();
      await errorOf(decodeImageFile(picture(file)), picture(file));
      assert.ok(performance.now() - start < 1000);
    });
  } else {
    test(`${file}: ${what}: decoded`, async () => {
      const { data, width, height } = await decodeImageFile(picture(file));
      const [shownWidth, shownHeight] = entry.shown ?? [entry.width!, entry.height!];
      assert.deepEqual([width, height, data.length], [shownWidth, shownHeight, shownWidth * shownHeight * 3]);
      const near = (at: number, rgb: readonly number[]) =>
        rgb.forEach((value, c) => {
          assert.ok(Math.abs(data[at * 3 + c]! - value) <= (entry.tolerance ?? 0), `${data.slice(at * 3, at * 3 + 3)}`);
        });
      if (entry.pixel) near(entry.pixel.y * width + entry.pixel.x, entry.pixel.rgb);
      if (entry.rgb) for (let i = 0; i < width * height; i++) near(i, entry.rgb);
    });
  }
}

for (const [file, hash] of Object.entries(pilHashes)) {
  test(`${file}: the same bytes as PIL`, async () => {
    const { data } = await decodeImageFile(picture(file));
    assert.equal(createHash('sha256').update(data).digest('hex'), hash);
  });
}

test('a picture with EXIF orientation 6 is turned: red at the shown top left; ignored on request', async () => {
  const file = picture('exif-rotated-6.jpg');
  const { data } = await decodeImageFile(file);
  assert.ok(data[0]! > 200 && data[1]! < 60 && data[2]! < 60, `${data.slice(0, 3)}`);
  const stored = await decodeImageFile(file, { exifOrientation: 'ignore' });
  assert.deepEqual([stored.width, stored.height], [48, 64]);
  assert.deepEqual(await readImageHeader(file), { width: 64, height: 48, orientation: 6 });
  assert.deepEqual(await readImageHeader(file, { exifOrientation: 'ignore' }), {
    width: 48,
    height: 64,
    orientation: 6,
  });
});

test('a bomb is refused on its header, with its declared size', async () => {
  for (const [name, side] of [
    ['bomb-header.png', 60000],
    ['bomb-header.jpg', 65500],
  ] as const) {
    const before = process.memoryUsage().rss;
    const { message } = await errorOf(decodeImageFile(picture(name)), picture(name));
    assert.match(message, new RegExp(`declares ${side} x ${side} pixels \\(expected at most 200 million\\)`));
    assert.ok(process.memoryUsage().rss - before < 100e6);
  }
});

test('the pixel limit is the caller’s to set', async () => {
  await errorOf(decodeImageFile(picture('ok1.jpg'), { pixelLimit: 3071 }), picture('ok1.jpg'));
  assert.equal((await decodeImageFile(picture('ok1.jpg'), { pixelLimit: 3072 })).width, 64);
});

test('what is no picture is called by its name', async () => {
  const message = async (bytes: string) =>
    (await errorOf(decodeImage(Buffer.from(bytes, 'latin1'), 'x.jpg'), 'x.jpg')).message;
  assert.match(await message(''), /is an empty file/);
  assert.match(await message(' <!DOCTYPE html><p>404'), /is a web page/);
  assert.match(await message('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), /is an SVG drawing/);
  assert.match(await message('version https://git-lfs.github.com/spec/v1'), /is a Git LFS pointer/);
  assert.match(await message('%PDF-1.7'), /is a PDF/);
  assert.match(await message('\0\0\0\x18ftypmp42\0\0\0\0isomavc1'), /is a video .*: take a frame of it/);
  assert.match(await message('\0\0\0\x0cJXL \r\n'), /is a JPEG XL picture/);
  assert.match(await message('\0\0\0\x0cjP  \r\n'), /is a JPEG 2000 picture/);
  assert.match(await message('PK\x03\x04'), /is an archive .*: unpack it/);
  assert.match(await message('../images/ok.png'), /is a text with a path, as a link .*: copy the picture itself/);
  assert.match(await message('\x01\x02\x03'), /is no known picture format/);
});

test('a missing file and a folder are told apart', async () => {
  assert.equal((await errorOf(decodeImageFile(picture('none.jpg')), picture('none.jpg'))).code, 'file-not-found');
  assert.match((await errorOf(decodeImageFile(folder), folder)).message, /is a folder/);
});

test('a picture that misses a part of its pixels is an error, whatever the format', async () => {
  const noise = { data: Buffer.from(Array.from({ length: 40 * 30 * 3 }, (_, i) => (i * i * 31) % 251)), w: 40, h: 30 };
  const source = sharp(noise.data, { raw: { width: noise.w, height: noise.h, channels: 3 } });
  const files = {
    jpeg: await source.clone().jpeg().toBuffer(),
    progressive: await source.clone().jpeg({ progressive: true }).toBuffer(),
    png: await source.clone().png().toBuffer(),
    webp: await source.clone().webp({ lossless: true }).toBuffer(),
  };
  for (const [name, bytes] of Object.entries(files)) {
    assert.equal((await decodeImage(bytes, name)).width, 40);
    for (const part of [0.1, 0.5, 0.9, 0.97]) {
      await errorOf(decodeImage(bytes.subarray(0, Math.floor(bytes.length * part)), name), name);
    }
  }
});

test('a colour profile does not change the pixels, as in PIL and OpenCV', async () => {
  const raw = Buffer.from(Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 53) % 256));
  const withProfile = await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } })
    .keepIccProfile()
    .withIccProfile('p3', { attach: true })
    .png()
    .toBuffer();
  const stripped = await sharp(withProfile, { ignoreIcc: true }).raw().toBuffer();
  assert.ok((await sharp(withProfile).metadata()).hasProfile);
  assert.deepEqual(Buffer.from((await decodeImage(withProfile, 'p3.png')).data), stripped);
});

test('the decoded bytes belong to the caller alone', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'goshawk-decode-'));
  try {
    const path = join(dir, 'a.png');
    await writeFile(
      path,
      await sharp({ create: { width: 5, height: 4, channels: 3, background: '#102030' } })
        .png()
        .toBuffer(),
    );
    const first = await decodeImageFile(path);
    first.data.fill(0);
    assert.deepEqual([...(await decodeImageFile(path)).data.slice(0, 3)], [16, 32, 48]);
    assert.notEqual(Object.getPrototypeOf(first.data), Buffer.prototype);
  } finally {
    await rm(dir, { recursive: true });
  }
});
