import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import type { DatasetSample } from '../data/index.js';
import { PICTURES_FOLDER, Thumbnails } from './thumbnails.js';

let folder: string;
const samples: DatasetSample[] = [];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-thumbnails-'));
  for (let id = 1; id <= 3; id++) {
    const path = join(folder, `${id}.png`);
    await sharp({ create: { width: 1000, height: 500, channels: 3, background: '#345' } }).toFile(path);
    samples.push({ image: { id, fileName: `${id}.png`, width: 1000, height: 500 }, path, annotations: [] });
  }
});
after(() => rmSync(folder, { recursive: true }));

test('pictures are made once, in place of those of an earlier report; one that is damaged is left out', async () => {
  const output = join(folder, 'run');
  const pictures = join(output, PICTURES_FOLDER);
  mkdirSync(pictures, { recursive: true });
  writeFileSync(join(pictures, '77.jpg'), 'of another run');
  const damaged = join(folder, 'damaged.png');
  writeFileSync(damaged, 'no picture');
  const thumbnails = new Thumbnails(output);
  await thumbnails.add([...samples.slice(0, 2), { ...samples[2]!, path: damaged }], { exifOrientation: 'apply' });
  assert.deepEqual(readdirSync(pictures), ['1.jpg', '2.jpg']);
  assert.equal(thumbnails.fileOf(2), `${PICTURES_FOLDER}/2.jpg`);
  assert.equal(thumbnails.fileOf(3), undefined);
  const { width, height } = await sharp(join(pictures, '1.jpg')).metadata();
  assert.deepEqual([width, height], [640, 320]);
  const { mtimeNs } = statSync(join(pictures, '1.jpg'), { bigint: true });
  await thumbnails.add(samples, { exifOrientation: 'apply' });
  assert.equal(statSync(join(pictures, '1.jpg'), { bigint: true }).mtimeNs, mtimeNs);
  assert.ok(existsSync(join(pictures, '3.jpg')));
});

test('beyond the limits the first ones, which are the worst mistakes, have a picture', async () => {
  const thumbnails = new Thumbnails(join(folder, 'limited'), { pictures: 2, bytes: 1e9 });
  await thumbnails.add(samples, { exifOrientation: 'apply' });
  assert.deepEqual([thumbnails.count, thumbnails.fileOf(3)], [2, undefined]);
  const small = new Thumbnails(join(folder, 'small'), { pictures: 100, bytes: 1 });
  await small.add(samples, { exifOrientation: 'apply' });
  assert.equal(small.count, 1);
});

test('pictures that a program loads itself are made like files', async () => {
  const thumbnails = new Thumbnails(join(folder, 'loaded'));
  const image = { width: 40, height: 20, data: new Uint8Array(40 * 20 * 3).fill(90) };
  const sample = { image: { id: 9, fileName: 'made', width: 40, height: 20 }, path: 'made', annotations: [] };
  await thumbnails.add([sample], { exifOrientation: 'apply', load: async () => image });
  const { width, height } = await sharp(join(folder, 'loaded', thumbnails.fileOf(9)!)).metadata();
  assert.deepEqual([width, height], [40, 20]);
});
