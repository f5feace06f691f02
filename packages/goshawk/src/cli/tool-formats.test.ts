// The commands on labelme's and CVAT's files and LVIS', run as a person runs them: all become one another's like, and nothing is lost
// that the format written can hold.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Dataset } from '@goshawk/core';
import sharp from 'sharp';
import { readAnnotations } from '../data/annotation-files.js';
import { runDataConvert } from './data-convert.js';
import { runDataFilter } from './data-filter.js';
import { runDataMerge } from './data-merge.js';
import { runDataSplit } from './data-split.js';

let folder = '';
const at = (name: string): string => path.join(folder, name);

function write(file: string, data: string | Uint8Array): void {
  mkdirSync(path.dirname(at(file)), { recursive: true });
  writeFileSync(at(file), data);
}

const shape = (label: string, shape_type: string, points: readonly (readonly number[])[]): object => ({
  label,
  points,
  group_id: null,
  shape_type,
  flags: {},
});

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-tool-formats-'));
  // Pictures that do not look alike, or they would be kept together.
  for (let i = 0; i < 4; i++) {
    const pixels = Buffer.alloc(40 * 30 * 3);
    for (let at = 0; at < pixels.length; at++) pixels[at] = (at * (i + 3) * 7919) % 251;
    const png = await sharp(pixels, { raw: { width: 40, height: 30, channels: 3 } })
      .png()
      .toBuffer();
    write(`labelme/${i}.png`, png);
    write(`cvat/images/c${i}.png`, png);
    write(
      `labelme/${i}.json`,
      JSON.stringify({
        version: '5.2.1',
        flags: {},
        shapes: [
          shape('cat', 'rectangle', [
            [2, 3],
            [20, 25],
          ]),
          shape(i % 2 ? 'dog' : 'cat', 'polygon', [
            [22, 4],
            [38, 4],
            [38, 20],
          ]),
        ],
        imagePath: `${i}.png`,
        imageData: null,
        imageHeight: 30,
        imageWidth: 40,
      }),
    );
  }
  const image = (i: number): string =>
    `<image id="${i}" name="c${i}.png" width="40" height="30"><box label="dog" xtl="1.00" ytl="2.00" xbr="11.00" ybr="22.00" z_order="0"></box></image>`;
  write(
    'cvat/annotations.xml',
    `<annotations><version>1.1</version><meta><task><labels><label><name>dog</name></label></labels></task></meta>${[0, 1, 2, 3].map(image).join('')}</annotations>`,
  );
});
after(() => rmSync(folder, { recursive: true }));

/** Objects by picture and class, without numbers that a format makes anew. */
function objectsOf({ images, annotations, categories }: Dataset): unknown[] {
  const fileOf = new Map(images.map(({ id, fileName }) => [id, path.basename(fileName)]));
  const nameOf = new Map(categories.map(({ id, name }) => [id, name]));
  return annotations
    .map(({ imageId, categoryId, bbox, area, segmentation }) => ({
      image: fileOf.get(imageId),
      name: nameOf.get(categoryId),
      bbox: [...bbox].map((value) => Math.round(value * 1e6) / 1e6),
      area,
      segmentation,
    }))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

const read = (name: string): Dataset =>
  readAnnotations({ annotations: at(name), images: at('labelme') }, { purpose: 'evaluation' }).dataset;

describe('labelme and CVAT', () => {
  test('to COCO, and from it to YOLO and VOC and back', () => {
    runDataConvert(at('labelme'), { output: at('labelme.json') });
    assert.deepEqual(objectsOf(read('labelme.json')), objectsOf(read('labelme')));
    runDataConvert(at('labelme.json'), {
      images: at('labelme'),
      format: 'yolo',
      output: at('yolo'),
      copyPictures: true,
    });
    const yolo = readAnnotations({ annotations: at('yolo'), set: 'train' }, { purpose: 'evaluation' }).dataset;
    // In a set of outlines a box is its four corners.
    const withOutlines = objectsOf(read('labelme')).map(
      (object) => (object as { segmentation?: object }).segmentation !== undefined,
    );
    assert.equal(withOutlines.filter(Boolean).length, 4);
    const bare = (objects: unknown[]): unknown[] =>
      objects.map((object) => ({ ...(object as object), segmentation: 0, area: 0 }));
    assert.deepEqual(bare(objectsOf(yolo)), bare(objectsOf(read('labelme'))));
    runDataConvert(at('cvat'), { output: at('voc'), format: 'voc' });
    const voc = readAnnotations(
      { annotations: at('voc'), images: at('cvat/images') },
      { purpose: 'evaluation' },
    ).dataset;
    assert.deepEqual(objectsOf(voc), objectsOf(readAnnotations({ annotations: at('cvat') }).dataset));
  });

  test('merge, filter and split take them', async () => {
    runDataMerge([at('labelme'), at('cvat')], { output: at('all.json') });
    const all = readAnnotations({ annotations: at('all.json') }).dataset;
    assert.deepEqual([all.images.length, all.annotations.length], [8, 12]);
    assert.deepEqual(
      all.categories.map(({ name }) => name),
      ['cat', 'dog'],
    );
    assert.ok(all.images.some(({ fileName }) => fileName === 'cvat/images/c0.png'));
    runDataFilter(at('labelme'), { categories: 'dog', dropEmpty: true, output: at('dogs.json') });
    assert.equal(readAnnotations({ annotations: at('dogs.json') }).dataset.images.length, 2);
    await runDataSplit(at('cvat'), { parts: 'train=0.5,val=0.5', output: at('parts'), seed: '0' });
    const parts = ['train', 'val'].map(
      (name) => readAnnotations({ annotations: at(`parts/${name}.json`) }).dataset.images.length,
    );
    assert.deepEqual(parts, [2, 2]);
  });

  test('LVIS keeps what was looked for', () => {
    const lvis = {
      images: [
        {
          id: 5,
          width: 40,
          height: 30,
          coco_url: 'http://images.cocodataset.org/val2017/1.png',
          neg_category_ids: [2],
          not_exhaustive_category_ids: [],
        },
      ],
      categories: [
        { id: 1, name: 'cat', frequency: 'f' },
        { id: 2, name: 'dog', frequency: 'r' },
      ],
      annotations: [
        { id: 1, image_id: 5, category_id: 1, bbox: [1, 2, 3, 4], area: 12, segmentation: [[1, 2, 4, 2, 4, 6, 1, 6]] },
      ],
    };
    write('lvis.json', JSON.stringify(lvis));
    runDataConvert(at('lvis.json'), { output: at('again.json') });
    const again = JSON.parse(readFileSync(at('again.json'), 'utf8')) as { images: object[] };
    assert.deepEqual(again.images, [
      {
        id: 5,
        file_name: 'val2017/1.png',
        width: 40,
        height: 30,
        neg_category_ids: [2],
        not_exhaustive_category_ids: [],
      },
    ]);
  });
});
