import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RgbImage } from '@goshawk/core';
import { augmentSchema } from '../config/augment-schema.js';
import { preprocessSchema } from '../config/data-schema.js';
import { inputError } from '../testing/input-error.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { type DetectionDataset, openCocoDataset } from './dataset.js';
import { decodeImageFile } from './decode-image.js';
import { createLoader } from './loader.js';
import { type LoadedSample, openSampleDataset, type Sample, type SampleDataset } from './sample-dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-samples-'));
after(() => rmSync(folder, { recursive: true }));

let files: TinyDataset;
before(async () => {
  files = await writeTinyDataset(folder);
});

interface CocoFile {
  readonly images: readonly { readonly id: number; readonly file_name: string }[];
  readonly annotations: readonly {
    readonly image_id: number;
    readonly category_id: number;
    readonly bbox: readonly [number, number, number, number];
    readonly segmentation: readonly (readonly number[])[];
  }[];
  readonly categories: readonly { readonly id: number; readonly name: string }[];
}

/** The same pictures and objects as the files, by code. @param contentOf bytes or pixels of a file */
function samplesOfFiles(contentOf: (path: string) => Promise<LoadedSample['image']> | Uint8Array): SampleDataset {
  const coco = JSON.parse(readFileSync(files.annotations, 'utf8')) as CocoFile;
  const samples = coco.images.map(({ id, file_name }): Sample => {
    const own = coco.annotations.filter(({ image_id }) => image_id === id);
    return {
      name: file_name,
      load: async () => ({
        image: await contentOf(join(files.images, file_name)),
        boxes: own.map(({ bbox: [x, y, w, h] }) => [x, y, x + w, y + h]),
        labels: own.map(({ category_id }) => coco.categories.findIndex(({ id }) => id === category_id) + 1),
        masks: own.map(({ segmentation }) => segmentation.map((polygon) => [...polygon])),
      }),
    };
  });
  return { categories: coco.categories.map(({ name }) => name), samples };
}

/** Everything of the first passes over a data set. */
async function batchesOf(dataset: DetectionDataset, workers: number) {
  const loader = createLoader({
    ...{ dataset, workers, batchSize: 2, shuffle: true, seed: 3, legacyPlusOne: false },
    preprocess: preprocessSchema.parse({ resize: { minSize: 64, maxSize: 96 } }),
    augment: {
      flip: 0.5,
      steps: augmentSchema.parse([{ type: 'mosaic', size: 96, probability: 0.5 }, { type: 'hsv' }]),
    },
  });
  const seen: unknown[] = [];
  try {
    for (let batch = 0; batch < 6; batch++) {
      const { value } = await loader.next();
      seen.push({ pixels: value!.pixels.slice(), targets: value!.targets, places: value!.places });
      value!.release();
    }
  } finally {
    await loader.close();
  }
  return seen;
}

describe('a data set of samples that load themselves', () => {
  test('makes the batches that files make, from bytes and from pixels, in threads or not, with mosaics', async () => {
    const options = { masks: true, skipEmpty: true };
    const expected = await batchesOf(openCocoDataset(files, options), 0);
    const decoded = new Map<string, RgbImage>();
    const ways = {
      bytes: (path: string) => readFileSync(path),
      // The same memory whenever it is asked: nothing may write to it.
      pixels: async (path: string) => {
        if (!decoded.has(path)) decoded.set(path, await decodeImageFile(path));
        return decoded.get(path)!;
      },
    };
    for (const [how, contentOf] of Object.entries(ways))
      for (const workers of [0, 2]) {
        const dataset = await openSampleDataset(samplesOfFiles(contentOf), 'mine', options);
        assert.deepEqual(await batchesOf(dataset, workers), expected, `${how}, ${workers} workers`);
      }
  });

  const image: RgbImage = { width: 8, height: 4, data: new Uint8Array(96) };
  const one = (load: () => unknown, name?: string): SampleDataset => ({
    categories: ['cat'],
    samples: [{ ...(name !== undefined && { name }), load: load as Sample['load'] }],
  });

  test('says which sample is not as described, and how', async () => {
    const cases: (readonly [SampleDataset, RegExp])[] = [
      [
        one(() => ({ image, boxes: [[0, 0, 2, 2]], labels: [2] })),
        /^mine: item 0: labels\[0\]: is 2 \(expected 1 to 1, as there are categories\)/,
      ],
      [one(() => ({ boxes: [], labels: [] })), /^sample 1: load\(\) gives no picture \(expected image: the bytes/],
      [
        one(() => ({ image: { ...image, width: 9 }, boxes: [], labels: [] }), 'moon'),
        /^moon: load\(\) gives no picture \(expected image/,
      ],
      [
        one(() => Promise.reject(new Error('no route to the bucket\nat line 3')), 'moon'),
        /^moon: load\(\) failed: no route to the bucket: mend it, or leave the sample out$/,
      ],
      [one(() => ({ image: new Uint8Array(9), boxes: [], labels: [] }), 'moon'), /^moon: is .*\(expected a picture\)/],
      [
        {
          categories: ['cat'],
          samples: ['a', 'a'].map((name) => ({ name, load: () => ({ image, boxes: [], labels: [] }) })),
        },
        /^mine: two samples are called a: give each a name of its own$/,
      ],
    ];
    for (const [dataset, message] of cases)
      await assert.rejects(openSampleDataset(dataset, 'mine', { skipEmpty: false }), inputError(message));
  });

  test('one that fails later is a damaged picture: left out where that is asked for', async () => {
    let asked = 0;
    const sample = (name: string, isBroken = false): Sample => ({
      name,
      load() {
        if (isBroken && ++asked > 1) throw new Error('gone');
        return { image, boxes: [[0, 0, 4, 4]], labels: [1] };
      },
    });
    const set = { categories: ['cat'], samples: [sample('a'), sample('b', true)] };
    const options = (dataset: DetectionDataset) => ({
      ...{ dataset, batchSize: 2, workers: 0, preprocess: preprocessSchema.parse({ resize: { rule: 'none' } }) },
    });
    const opened = await openSampleDataset(set, 'mine');
    const loader = createLoader({ ...options(opened), leaveOut: ({ code }) => code === 'image-invalid' });
    const { value } = await loader.next();
    assert.deepEqual(
      value!.leftOut.map(({ fileName, error }) => [fileName, error.message]),
      [['b', 'b: load() failed: gone: mend it, or leave the sample out']],
    );
    assert.equal(value!.images.length, 1);
    await loader.close();
    await assert.rejects(createLoader(options(opened)).next(), inputError(/^b: load\(\) failed: gone/));
  });
});
