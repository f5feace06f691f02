// The sets of a first config: what becomes of pictures that cannot be used, and what is said of it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import sharp from 'sharp';
import { findAnnotations } from './find-annotations.js';
import { type PrepareSplitsOptions, prepareSplits, readTraining } from './prepare-splits.js';

const root = mkdtempSync(join(tmpdir(), 'goshawk-splits-'));
after(() => rmSync(root, { recursive: true }));

/** Blocks of noise that differ from picture to picture. */
async function picture(seed: number): Promise<Buffer> {
  const pixels = Buffer.alloc(64 * 48 * 3);
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / 3) % 64, Math.floor(i / 3 / 64)];
    pixels[i] = (Math.floor(x / 8) * 31 * (seed + 1) + Math.floor(y / 8) * 57 * (seed + 3)) % 251;
  }
  return sharp(pixels, { raw: { width: 64, height: 48, channels: 3 } })
    .jpeg()
    .toBuffer();
}

const PICTURES = 10;
const MISSING = 2;
const CUT = 4;
const OTHER_SIZE = 6;

/** A COCO file of ten pictures, of which three cannot be used; the last one alone has a fig. */
async function makeSet(folder: string, { faulty = true } = {}): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const ids = Array.from({ length: PICTURES }, (_, i) => i + 1);
  for (const id of ids) {
    const bytes = await picture(id);
    if (faulty && id === MISSING) continue;
    writeFileSync(join(folder, `${id}.jpg`), faulty && id === CUT ? bytes.subarray(0, bytes.length / 2) : bytes);
  }
  writeFileSync(
    join(folder, 'all.json'),
    JSON.stringify({
      images: ids.map((id) => ({
        id,
        file_name: `${id}.jpg`,
        width: faulty && id === OTHER_SIZE ? 60 : 64,
        height: 48,
      })),
      annotations: ids.map((id) => ({
        id,
        image_id: id,
        category_id: id === PICTURES ? 2 : 1,
        bbox: [3, 5, 20, 20],
        area: 400,
        iscrowd: 0,
      })),
      categories: [
        { id: 1, name: 'date' },
        { id: 2, name: 'fig' },
      ],
    }),
  );
}

async function prepared(data: string, more: Partial<PrepareSplitsOptions> = {}) {
  const found = findAnnotations(data);
  const said: string[] = [];
  const { splits, pictures } = await prepareSplits({
    found,
    training: readTraining(found.train),
    folder: join(data, 'parts'),
    looks: true,
    ways: { exifOrientation: 'apply', followLinks: false },
    say: (line) => said.push(line),
    ...more,
  });
  return { splits: splits.value, pictures, said };
}

const idsIn = (file: string): number[] =>
  (JSON.parse(readFileSync(file, 'utf8')) as { images: { id: number }[] }).images.map(({ id }) => id);

const usable = Array.from({ length: PICTURES }, (_, i) => i + 1).filter(
  (id) => ![MISSING, CUT, OTHER_SIZE].includes(id),
);

describe('pictures that are missing, damaged or of another size', () => {
  for (const [name, copies] of [
    ['learned from as they are', undefined],
    ['copied', { value: 32, why: 'small' }],
  ] as const)
    test(`are left out of sets that are drawn and ${name}, and named`, async () => {
      const folder = join(root, `drawn-${copies ? 'copied' : 'whole'}`);
      await makeSet(folder);
      const { splits, pictures, said } = await prepared(folder, { copies });
      const [train, val] = [splits.train, splits.val].map(({ annotations }) => idsIn(annotations));
      assert.deepEqual(
        [...train!, ...val!].sort((a, b) => a - b),
        usable,
      );
      assert.equal(pictures.train + pictures.val, usable.length);
      const text = said.join('\n');
      assert.match(text, /^warning: .*2\.jpg: not found: .* \(left out\)$/m);
      assert.match(text, /^warning: .*4\.jpg: is a damaged jpeg picture .* \(left out\)$/m);
      assert.match(text, /^warning: .*6\.jpg is 64 x 48 pixels, declared 60 x 48: .* \(left out\)$/m);
      assert.match(text, /1 of 2 classes are in both, the others have too few pictures/);
    });

  test("are left out of the data's own sets, which are written anew where they have some", async () => {
    const folder = join(root, 'own');
    await makeSet(join(folder, 'train'), { faulty: false });
    await makeSet(join(folder, 'val'));
    const { splits, pictures, said } = await prepared(folder);
    assert.equal(splits.train.annotations, join(folder, 'train', 'all.json'));
    assert.deepEqual(idsIn(splits.val.annotations), usable);
    assert.equal(splits.val.images, join(folder, 'val'));
    assert.deepEqual(pictures, { train: PICTURES, val: usable.length });
    assert.equal(said.filter((line) => line.endsWith('(left out)')).length, 3);
  });

  test('are an error where they are most: then the folder is not the right one', async () => {
    const folder = join(root, 'most');
    await makeSet(folder, { faulty: false });
    for (let id = 1; id <= 6; id++) rmSync(join(folder, `${id}.jpg`));
    await assert.rejects(prepared(folder), /1\.jpg: not found: .* \(and 5 more problems\)$/);
  });
});

test('links that lead out of the folder are followed where that is asked for', async () => {
  const [real, folder] = [join(root, 'real'), join(root, 'links')];
  await makeSet(real, { faulty: false });
  mkdirSync(folder);
  writeFileSync(join(folder, 'all.json'), readFileSync(join(real, 'all.json')));
  for (let id = 1; id <= PICTURES; id++) symlinkSync(join(real, `${id}.jpg`), join(folder, `${id}.jpg`));
  await assert.rejects(prepared(folder), /is a link that leads outside .* allow it with data\.followLinks/);
  const ways = { exifOrientation: 'apply', followLinks: true } as const;
  for (const copies of [undefined, { value: 32, why: 'small' }])
    assert.equal((await prepared(folder, { ways, copies })).said.filter((line) => /left out/.test(line)).length, 0);
});

test('a photo that is annotated as it is stored is copied so where that is asked for', async () => {
  const folder = join(root, 'turned');
  await makeSet(folder, { faulty: false });
  for (let id = 1; id <= PICTURES; id++) {
    const turned = await sharp(await picture(id))
      .withMetadata({ orientation: 6 })
      .toBuffer();
    writeFileSync(join(folder, `${id}.jpg`), turned);
  }
  const copies = { value: 32, why: 'small' };
  await assert.rejects(
    prepared(folder, { copies }),
    /EXIF orientation 6 exchanges them: set data\.exifOrientation to ignore/,
  );
  const { splits } = await prepared(folder, { copies, ways: { exifOrientation: 'ignore', followLinks: false } });
  const { width, height } = await sharp(
    join(splits.train.images!, `${idsIn(splits.train.annotations)[0]}.jpg`),
  ).metadata();
  assert.deepEqual([width, height], [32, 24]);
});
