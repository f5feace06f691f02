import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { BoxList, encodeMask, PolygonMasks, parseCoco, rleArea } from '@goshawk/core';
import { inputErrorOf } from '../testing/input-error.js';
import { checkAnnotations, readAnnotations } from './annotation-files.js';
import {
  type CustomDataset,
  type CustomItem,
  concatenateDatasets,
  customDatasetJson,
  defineDataset,
  repeatDataset,
} from './custom-dataset.js';
import { itemOfBoxes } from './item-of-boxes.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-custom-dataset-'));
after(() => rmSync(folder, { recursive: true }));

const SIZE = { width: 40, height: 20 };
const TRIANGLE = [0, 0, 10, 0, 0, 10];

function dataset(...items: CustomItem[]): CustomDataset {
  return defineDataset({
    length: items.length,
    categories: ['cat', { name: 'person', keypoints: ['head', 'foot'] }],
    imageInfo: (index) => ({ file: `${index}.jpg`, ...SIZE }),
    item: (index) => items[index]!,
  });
}

const one = (changes: Partial<CustomItem> = {}): CustomItem => ({ boxes: [[1, 2, 11, 8]], labels: [1], ...changes });
const coco = (custom: CustomDataset) =>
  parseCoco(new TextEncoder().encode(customDatasetJson(custom, 'mine.js')), { fileName: 'mine.js' }).dataset;
const problem = (custom: unknown): string => inputErrorOf(() => customDatasetJson(custom, 'mine.js'));

describe('a data set of code', () => {
  test('is a COCO file of its pictures and objects', () => {
    const { images, annotations, categories } = coco(dataset(one(), { boxes: [], labels: [] }, one({ labels: [2] })));
    assert.deepEqual(
      images.map(({ id, fileName, width, height }) => [id, fileName, width, height]),
      [0, 1, 2].map((index) => [index + 1, `${index}.jpg`, 40, 20]),
    );
    assert.deepEqual(
      annotations.map(({ imageId, categoryId, bbox, isCrowd }) => [imageId, categoryId, [...bbox], isCrowd]),
      [
        [1, 1, [1, 2, 10, 6], false],
        [3, 2, [1, 2, 10, 6], false],
      ],
    );
    assert.deepEqual(
      categories.map(({ id, name }) => [id, name]),
      [
        [1, 'cat'],
        [2, 'person'],
      ],
    );
    assert.deepEqual(categories[1]!.keypoints, ['head', 'foot']);
  });

  test('takes the objects of a list of boxes', () => {
    const boxes = BoxList.of([0, 0, 10, 10, 20, 0, 30, 10], SIZE).withField('labels', Int32Array.of(2, 1));
    const outlines = PolygonMasks.of([[TRIANGLE], [TRIANGLE.map((value, i) => value + (i % 2 === 0 ? 20 : 0))]], SIZE);
    // Mirrored, the first object is at the right.
    const mirrored = boxes.withField('masks', outlines).withField('names', ['a', 'b']).flip('horizontal');
    const found = coco(dataset(itemOfBoxes(mirrored))).annotations;
    assert.deepEqual(
      found.map(({ categoryId, bbox }) => [categoryId, [...bbox]]),
      [
        [2, [30, 0, 10, 10]],
        [1, [10, 0, 10, 10]],
      ],
    );
    const [{ segmentation }] = found as [(typeof found)[number]];
    assert.ok(segmentation?.kind === 'polygons');
    assert.deepEqual(segmentation.polygons, [[40, 0, 30, 0, 40, 10]]);
    const pixels = itemOfBoxes(boxes.withField('masks', outlines.toBitmaps())).masks!;
    assert.deepEqual(pixels[0], outlines.toBitmaps().rle(0));
  });

  test('takes masks in every form', () => {
    const data = Uint8Array.from({ length: 800 }, (_, i) => (i % 40 < 5 && i < 120 ? 7 : 0));
    const rle = encodeMask(
      Uint8Array.from(data, (value) => (value === 0 ? 0 : 1)),
      [20, 40],
    );
    const found = coco(
      dataset({
        boxes: [
          [0, 0, 5, 3],
          [0, 0, 5, 3],
          [0, 0, 10, 10],
        ],
        labels: [1, 1, 1],
        masks: [{ ...SIZE, data }, rle, [TRIANGLE]],
      }),
    ).annotations.map(({ segmentation }) => segmentation!);
    for (const segmentation of found.slice(0, 2)) {
      assert.ok(segmentation.kind === 'rle');
      assert.deepEqual([segmentation.rle.counts, rleArea(segmentation.rle)], [rle.counts, 15]);
    }
    assert.ok(found[2]!.kind === 'polygons');
    assert.deepEqual(found[2]!.polygons, [TRIANGLE]);
  });

  test('takes keypoints and crowds', () => {
    const [own] = coco(dataset(one({ labels: [2], keypoints: [[3, 4, 2, 5, 6, 0]], crowd: [true] }))).annotations;
    assert.deepEqual([own!.keypoints, own!.numKeypoints, own!.isCrowd], [[3, 4, 2, 5, 6, 0], 1, true]);
  });

  test('may be an object of a class', () => {
    class Mine implements CustomDataset {
      readonly length = 1;
      readonly categories = ['cat'];
      readonly #box = [0, 0, 4, 4] as const;
      imageInfo() {
        return { file: 'a.jpg', ...SIZE };
      }
      item() {
        return { boxes: [this.#box], labels: [1] };
      }
    }
    assert.deepEqual([...coco(new Mine()).annotations[0]!.bbox], [0, 0, 4, 4]);
  });
});

describe('a mistake in a data set of code is one line that says', () => {
  test('the index, the field, what stands there and what was expected', () => {
    const items = (changes: Partial<CustomItem>): CustomDataset => dataset(one(), one(changes));
    for (const [changes, message] of [
      [{ boxes: [[1, 2, 3]] as never }, 'boxes[0]: is [1,2,3] (expected four numbers [x1, y1, x2, y2]): correct it'],
      [
        { boxes: [[10, 10, 5, 5]] },
        'boxes[0]: is [10,10,5,5] (expected x1 below x2 and y1 below y2): is it [x, y, width, height]?',
      ],
      [
        { boxes: [[1, 2, Number.NaN, 4]] },
        'boxes[0]: is [1,2,null,4] (expected four numbers [x1, y1, x2, y2]): correct it',
      ],
      [{ labels: [0] }, 'labels[0]: is 0 (expected 1 to 2, as there are categories): correct it'],
      [{ labels: [] }, 'labels: has 0 entries (expected one for each of the 1 boxes): correct it'],
      [{ labels: undefined as never }, 'labels: has no entries (expected one for each of the 1 boxes): correct it'],
      [
        { masks: [[[0, 0, 1, 1]]] },
        'masks[0]: polygon 0 is [0,0,1,1] (expected at least three corners, x and y by turns): correct it',
      ],
      [
        { masks: [{ width: 4, height: 4, data: [] }] },
        'masks[0]: is 4 x 4 (expected 40 x 20, as the picture): correct it',
      ],
      [{ masks: [{ ...SIZE, data: [1] }] }, 'masks[0]: has 1 pixels (expected 800): correct it'],
      [
        { labels: [2], keypoints: [[1, 2]] },
        'keypoints[0]: has 2 numbers (expected x, y, v of each of the 2 keypoints of its category): correct it',
      ],
      [{ fields: { breed: [] } }, 'breed: has 0 entries (expected one for each of the 1 boxes): correct it'],
    ] as const)
      assert.equal(problem(items(changes)), `mine.js: item 1: ${message}`);
    const noSize = { ...dataset(one()), imageInfo: () => ({ file: 'a.jpg', width: 0, height: 4 }) };
    assert.equal(problem(noSize), 'mine.js: item 0: width: is 0 (expected a whole number of pixels): correct it');
  });

  test('what of the data set itself is missing', () => {
    assert.equal(
      problem(undefined),
      'mine.js: its default export: is undefined (expected a data set, or a function that gives one): export one',
    );
    assert.equal(problem({ length: 1 }), 'mine.js: categories: is undefined (expected a list of names): add it');
    assert.equal(
      problem({ length: 1, categories: ['a'] }),
      'mine.js: imageInfo: is missing (expected a function of the index): add it',
    );
    assert.equal(
      problem({ ...dataset(one()), length: 1.5 }),
      'mine.js: length: is 1.5 (expected the number of pictures): correct it',
    );
  });
});

describe('data sets together', () => {
  const boxesOf = (custom: CustomDataset): number[] => coco(custom).annotations.map(({ bbox }) => bbox[0]);
  const at = (x: number): CustomItem => one({ boxes: [[x, 0, x + 5, 5]] });

  test('follow one another', () => {
    assert.deepEqual(boxesOf(concatenateDatasets([dataset(at(1), at(2)), dataset(at(3))])), [1, 2, 3]);
    const other = { ...dataset(at(1)), categories: ['dog'] };
    assert.equal(
      inputErrorOf(() => concatenateDatasets([dataset(at(1)), other])),
      'data set 1: its categories are dog (expected those of the first: cat, person): give both the same list',
    );
  });

  test('are repeated as a whole or picture by picture', () => {
    assert.deepEqual(boxesOf(repeatDataset(dataset(at(1), at(2)), 2)), [1, 1, 2, 2]);
    assert.deepEqual(boxesOf(repeatDataset(dataset(at(1), at(2), at(3)), (index) => index)), [2, 3, 3]);
    assert.match(
      inputErrorOf(() => repeatDataset(dataset(at(1)), 1.5)),
      /^picture 0: is repeated 1\.5 times/,
    );
  });
});

describe('a module in the place of an annotation file', () => {
  const module = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const body = `{
    length: 2,
    categories: ['cat'],
    imageInfo: (index) => ({ file: index + '.jpg', width: 40, height: 20 }),
    item: (index) => ({ boxes: [[index, 0, 10, 10]], labels: [1] }),
  }`;

  test('is imported, and its pictures lie beside it unless a folder is named', () => {
    for (const [name, text] of [
      ['plain.mjs', `export default ${body};`],
      ['made.mjs', `export default async () => (${body});`],
      ['common.cjs', `module.exports = ${body};`],
    ] as const) {
      const path = module(name, text);
      const { dataset: read, images, format } = readAnnotations({ annotations: path });
      assert.deepEqual([read.images.length, read.annotations.length, images, format], [2, 2, folder, 'coco']);
    }
    const elsewhere = readAnnotations({ annotations: join(folder, 'plain.mjs'), images: '/photos' });
    assert.equal(elsewhere.images, '/photos');
  });

  test('is checked like a file: what it says goes by the same rules', () => {
    const path = module('outside.mjs', `export default ${body.replace('[index, 0, 10, 10]', '[index, 0, 60, 10]')};`);
    const { issues } = checkAnnotations({ annotations: path }, { purpose: 'training' });
    assert.ok(
      issues.some(({ path: place }) => place.startsWith('annotations[0].bbox')),
      JSON.stringify(issues),
    );
  });

  test('tells what is wrong with it in one line', () => {
    const message = (name: string, text: string): string => {
      const path = module(name, text);
      return inputErrorOf(() => readAnnotations({ annotations: path })).replace(folder, '.');
    };
    assert.equal(
      message('label.mjs', `export default ${body.replace('labels: [1]', 'labels: [index + 1]')};`),
      './label.mjs: item 1: labels[0]: is 2 (expected 1 to 1, as there are categories): correct it',
    );
    assert.equal(
      message('throws.mjs', "throw new Error('no such list');"),
      './throws.mjs: no such list: correct the module',
    );
    assert.equal(
      message('exits.mjs', 'process.exit(0);'),
      './exits.mjs: the module ended before it gave a data set: remove its process.exit()',
    );
    assert.match(message('empty.mjs', ''), /^\.\/empty\.mjs: its default export: is undefined/);
    assert.match(
      inputErrorOf(() => readAnnotations({ annotations: join(folder, 'gone.mjs') })),
      /gone\.mjs: not found: check the path$/,
    );
  });
});
