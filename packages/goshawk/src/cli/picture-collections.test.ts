import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RgbImage } from '@goshawk/core';
import sharp from 'sharp';
import { ContactSheet } from './contact-sheet.js';
import { PicturePdf } from './picture-pdf.js';

const plain = (width: number, height: number, color: readonly [number, number, number]): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => color[(i % 3) as 0 | 1 | 2]),
});

describe('PicturePdf', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-pdf-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('has a page of its size and a bookmark for each picture', async () => {
    const file = join(folder, 'new', 'pictures.pdf');
    const pdf = new PicturePdf(file, 'two pictures');
    await pdf.add(plain(40, 30, [200, 40, 40]), 'first.jpg');
    await pdf.add(plain(20, 50, [40, 40, 200]), 'second.jpg');
    await pdf.finish();
    const bytes = readFileSync(file);
    const text = bytes.toString('latin1');
    assert.ok(text.startsWith('%PDF-') && text.trimEnd().endsWith('%%EOF'));
    assert.deepEqual(text.match(/\/MediaBox \[[^\]]*\]/g), ['/MediaBox [0 0 40 30]', '/MediaBox [0 0 20 50]']);
    assert.deepEqual(text.match(/\/Title \(.*\)/g), ['/Title (first.jpg)', '/Title (second.jpg)']);
    // The pictures lie in the file as JPEGs.
    const start = bytes.indexOf(Buffer.of(0xff, 0xd8, 0xff));
    const { data, info } = await sharp(bytes.subarray(start)).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [40, 30]);
    [200, 40, 40].forEach((value, channel) => {
      assert.ok(Math.abs(data[channel]! - value) <= 3);
    });
  });
  test('appears when it is finished; one that is abandoned leaves nothing', async () => {
    const own = mkdtempSync(join(folder, 'abandoned-'));
    const pdf = new PicturePdf(join(own, 'pictures.pdf'), 'one');
    await pdf.add(plain(4, 4, [0, 0, 0]), 'a.jpg');
    assert.ok(!readdirSync(own).includes('pictures.pdf'));
    pdf.abandon();
    assert.deepEqual(readdirSync(own), []);
  });
  test('in a place that cannot be written to is refused with its name', async () => {
    writeFileSync(join(folder, 'file'), '');
    const attempt = async () => {
      const pdf = new PicturePdf(join(folder, 'file', 'pictures.pdf'), 'one');
      await pdf.add(plain(4, 4, [0, 0, 0]), 'a.jpg');
      await pdf.finish();
    };
    await assert.rejects(attempt, /file/);
  });
});

describe('ContactSheet', () => {
  const decode = async (sheet: ContactSheet) =>
    sharp(await sheet.encode())
      .raw()
      .toBuffer({ resolveWithObject: true });

  test('shows pictures in rows of six with their names below', async () => {
    const sheet = new ContactSheet();
    for (let i = 0; i < 7; i++) await sheet.add(plain(24, 12, [250, 10, 10]), 'i');
    const { data, info } = await decode(sheet);
    assert.equal(sheet.count, 7);
    // Six thumbnails of 240 pixels with 8 between and around.
    assert.equal(info.width, 6 * 248 + 8);
    const at = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
    assert.deepEqual(at(8 + 120, 8 + 60), [250, 10, 10]);
    assert.deepEqual(at(4, 4), [255, 255, 255]);
    const caption = Array.from({ length: 240 * 13 }, (_, i) => at(8 + (i % 240), 8 + 120 + Math.floor(i / 240)));
    assert.ok(
      caption.some(([red = 255]) => red < 64),
      'a dark letter below the picture',
    );
    // The seventh stands in a second row.
    assert.deepEqual(at(8 + 120, info.height / 2 + 4 + 60), [250, 10, 10]);
    assert.deepEqual(at(256 + 120, info.height / 2 + 4 + 60), [255, 255, 255]);
  });
  test('takes no more than its limit', async () => {
    const sheet = new ContactSheet({ limit: 2 });
    for (let i = 0; i < 3; i++)
      await sheet.add(plain(12, 24, [0, 0, 0]), `a rather long name of a picture, number ${i}.jpg`);
    assert.equal(sheet.count, 2);
    assert.equal((await decode(sheet)).info.width, 2 * 248 + 8);
  });
});
