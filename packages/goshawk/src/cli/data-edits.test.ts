// goshawk data split, merge and filter, with the words that a person types.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { type Ended, goshawkHere } from '../testing/goshawk-here.js';

const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-edits-'));
after(() => rmSync(folder, { recursive: true }));

const goshawk = (...words: string[]): Promise<Ended> => goshawkHere(folder, ['data', ...words]);

const read = (file: string) =>
  JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as {
    images: { id: number; file_name: string }[];
    annotations: { image_id: number; category_id: number }[];
    categories: { name: string }[];
  };

before(async () => {
  mkdirSync(path.join(folder, 'photos'));
  const images = Array.from({ length: 10 }, (_, i) => ({ id: i + 1, file_name: `${i}.png`, width: 64, height: 48 }));
  for (const { id, file_name } of images) {
    // Stripes that differ from picture to picture; the second is the first again, a little brighter.
    const pixels = Uint8Array.from({ length: 64 * 48 * 3 }, (_, at) => {
      const [x, y] = [Math.floor(at / 3) % 64, Math.floor(at / 3 / 64)];
      const kind = id === 2 ? 1 : id;
      return ((Math.floor(x / 7) * kind * 37 + Math.floor(y / 6) * kind * 53) % 200) + (id === 2 ? 1 : 0);
    });
    await sharp(pixels, { raw: { width: 64, height: 48, channels: 3 } })
      .png()
      .toFile(path.join(folder, 'photos', file_name));
  }
  const annotations = images.map(({ id }) => ({
    id,
    image_id: id,
    category_id: id > 8 ? 2 : 1,
    bbox: [id, 2, 10, 12],
  }));
  const categories = [
    { id: 1, name: 'cat' },
    { id: 2, name: 'dog' },
  ];
  writeFileSync(path.join(folder, 'all.json'), JSON.stringify({ images, annotations, categories }));
});

describe('goshawk data split', () => {
  test('writes a file a part, with twins in one of them', async () => {
    for (const seed of ['0', '1', '2', '3']) {
      const args = ['split', 'all.json', '--images', 'photos', '--output', 'parts', '--parts', 'train=50%,val=50%'];
      const { code, out, err } = await goshawk(...args, '--seed', seed);
      assert.equal(code, 0, err);
      assert.match(out, /2 pictures look like others: each kind of 1 is in one part/);
      const [train, val] = [read('parts/train.json'), read('parts/val.json')];
      assert.equal(train.images.length + val.images.length, 10);
      const has = (part: typeof train, id: number) => part.images.some((image) => image.id === id);
      assert.equal(has(train, 1), has(train, 2));
      for (const part of [train, val]) assert.ok(part.annotations.some((one) => one.category_id === 2));
    }
  });

  test('says so where it cannot look at the pictures, and refuses shares that do not add up', async () => {
    assert.match(
      (await goshawk('split', 'all.json', '--output', 'parts')).err,
      /twins may be in different parts: give --images/,
    );
    const wrong = await goshawk('split', 'all.json', '--output', 'parts', '--parts', 'a=0.5,b=0.2');
    assert.deepEqual([wrong.code, /add up to 1, these to 0\.7/.test(wrong.err)], [2, true]);
  });
});

test('goshawk data merge puts parts together under their common folder', async () => {
  await goshawk('split', 'all.json', '--images', 'photos', '--output', 'parts');
  const { code, out, err } = await goshawk(
    'merge',
    'parts/train.json',
    'parts/val.json',
    '--images',
    'photos',
    '--output',
    'one.json',
  );
  assert.equal(code, 0, err);
  assert.match(out, /one\.json: 10 images, 10 annotations, 2 categories; its file names start from .*photos/);
  mkdirSync(path.join(folder, 'more'), { recursive: true });
  const two = await goshawk(
    'merge',
    'all.json',
    'all.json',
    '--images',
    'photos',
    '--images',
    'more',
    '--output',
    'two.json',
  );
  assert.equal(two.code, 0, two.err);
  assert.deepEqual(
    read('two.json')
      .images.map(({ file_name }) => file_name)
      .slice(9, 11),
    ['photos/9.png', 'more/0.png'],
  );
});

test('goshawk data filter keeps what is asked for', async () => {
  const { code, out } = await goshawk(
    'filter',
    'all.json',
    '--categories',
    'dog',
    '--drop-empty',
    '--output',
    'dogs.json',
  );
  assert.equal(code, 0);
  assert.match(out, /dogs\.json: 2 of 10 images, 2 of 10 annotations, 1 of 2 categories/);
  assert.deepEqual(
    read('dogs.json').categories.map(({ name }) => name),
    ['dog'],
  );
});

test('what is read is not written over, by whatever path', async () => {
  const original = readFileSync(path.join(folder, 'all.json'));
  symlinkSync('all.json', path.join(folder, 'same.json'));
  for (const words of [
    ['split', 'all.json', '--output', '.', '--parts', 'val=0.2,all=0.8'],
    ['filter', 'all.json', '--categories', 'dog', '--output', './all.json'],
    ['filter', 'all.json', '--categories', 'dog', '--output', 'same.json'],
    ['merge', 'all.json', 'all.json', '--images', 'photos', '--output', 'all.json'],
    ['convert', 'all.json', '--output', 'all.json'],
  ]) {
    const { code, err } = await goshawk(...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(err, /^goshawk: .*(all|same)\.json: is the input itself: name another output\n$/);
    assert.deepEqual(readFileSync(path.join(folder, 'all.json')), original);
  }
  for (const format of ['voc', 'yolo']) {
    const made = await goshawk('convert', 'all.json', '--images', 'photos', '--format', format, '--output', format);
    assert.equal(made.code, 0, made.err);
    const place = format === 'voc' ? 'voc/Annotations' : 'yolo/data.yaml';
    for (const source of [format, place]) {
      const { code, err } = await goshawk('convert', source, '--format', format, '--output', format);
      assert.deepEqual([code, err], [2, `goshawk: ${format}: is the input itself: name another output\n`]);
    }
  }
});
