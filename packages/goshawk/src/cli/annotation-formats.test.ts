// The commands on folders of PASCAL VOC and Cityscapes, with the words that a person types.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { type Ended, goshawkHere } from '../testing/goshawk-here.js';

let folder = '';

const goshawk = (...words: string[]): Promise<Ended> => goshawkHere(folder, words);

function write(file: string, data: string | Uint8Array): void {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), data);
}

const xml = (objects: string) => `<annotation><size><width>40</width><height>30</height></size>${objects}</annotation>`;
const object = (name: string, corners: readonly number[], difficult = 0) =>
  `<object><name>${name}</name><difficult>${difficult}</difficult><bndbox>${['xmin', 'ymin', 'xmax', 'ymax']
    .map((key, i) => `<${key}>${corners[i]}</${key}>`)
    .join('')}</bndbox></object>`;
const grey = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#808080' } })
    .png()
    .toBuffer();

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-formats-'));
  write('voc/Annotations/a.xml', xml(object('cup', [1, 1, 10, 10]) + object('fork', [11, 11, 30, 20], 1)));
  write('voc/Annotations/b.xml', xml(object('cup', [21, 6, 40, 25])));
  write('voc/ImageSets/Main/val.txt', 'a\nb\n');
  for (const name of ['a', 'b']) write(`voc/JPEGImages/${name}.png`, await grey(40, 30));
  // Ids of Cityscapes: a car of 12 x 12, a group of persons, void, road.
  const square = (x: number, y: number, width: number, height: number) => [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
  write(
    'city/gtFine/val/ulm/ulm_1_gtFine_polygons.json',
    JSON.stringify({
      imgHeight: 30,
      imgWidth: 40,
      objects: [
        { label: 'road', polygon: square(0, 0, 40, 30) },
        { label: 'car', polygon: square(2, 2, 12, 12) },
        { label: 'persongroup', polygon: square(20, 2, 10, 10) },
        { label: 'static', polygon: square(20, 15, 10, 10) },
      ],
    }),
  );
  write('city/leftImg8bit/val/ulm/ulm_1_leftImg8bit.png', await grey(40, 30));
});
after(() => rmSync(folder, { recursive: true }));

describe('PASCAL VOC', () => {
  test('check reads the folder, its set and its pictures', async () => {
    const { code, out } = await goshawk('data', 'check', 'voc', '--image-set', 'val', '--images', 'voc/JPEGImages');
    assert.equal(code, 0);
    assert.match(
      out,
      /^warning \[difficult\] voc: 1 of 3 objects \(annotation id 2\) is left out of training, marked difficult/m,
    );
    assert.match(out, /^warning \[duplicate-image\] voc: images \(image id 2\) b\.png has the bytes of image id 1/m);
    assert.match(out, /^voc: 0 errors, 2 warnings \(2 images, 3 annotations, 2 categories, 2 pictures decoded\)$/m);
    assert.match((await goshawk('data', 'stats', 'voc')).out, /cup +1 +2 +2/);
    assert.equal((await goshawk('data', 'draw', 'voc', '--output', 'drawn')).code, 0);
  });

  test('convert writes COCO, from which the same folder comes back', async () => {
    const coco = await goshawk('data', 'convert', 'voc', '--image-set', 'val', '--output', 'val.json');
    assert.match(
      coco.out,
      /^val\.json: 2 images, 3 annotations, 2 categories; its file names start from voc.JPEGImages\n$/,
    );
    const { images, annotations, categories } = JSON.parse(readFileSync(path.join(folder, 'val.json'), 'utf8'));
    assert.deepEqual(images[0], { id: 1, file_name: 'a.png', width: 40, height: 30 });
    assert.deepEqual(annotations[1].bbox, [10, 10, 20, 10]);
    assert.deepEqual([annotations[0].ignore, annotations[1].ignore], [undefined, 1]);
    assert.deepEqual(categories[1], { id: 2, name: 'fork' });
    assert.equal((await goshawk('data', 'convert', 'val.json', '--image-set', 'val', '--output', 'again')).code, 0);
    const second = await goshawk('data', 'convert', 'again', '--image-set', 'val', '--output', 'again.json');
    assert.equal(second.code, 0);
    const read = (file: string) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as { annotations: object };
    assert.deepEqual(read('again.json').annotations, read('val.json').annotations);
  });

  test('evaluate measures stored results by either convention, with difficult objects left aside', async () => {
    const found = [
      { image_id: 1, category_id: 1, bbox: [0, 0, 10, 10], score: 0.9 },
      { image_id: 1, category_id: 2, bbox: [10, 10, 20, 10], score: 0.8 },
    ];
    write('found.json', JSON.stringify(found));
    const run = async (type: string, truth = 'voc') =>
      await goshawk('evaluate', '--ground-truth', truth, '--detections', 'found.json', '--type', type, '--json');
    // One of two cups: recall 0.5 at precision 1. The only fork is difficult: no AP.
    assert.deepEqual(JSON.parse((await run('voc')).out), { type: 'voc', stats: { mAP: 0.5 } });
    assert.equal(JSON.parse((await run('voc07')).out).stats.mAP, 6 / 11);
    assert.equal(JSON.parse((await run('voc', 'val.json')).out).stats.mAP, 0.5);
    assert.match(
      (await goshawk('evaluate', '--ground-truth', 'voc', '--detections', 'found.json', '--type', 'voc')).out,
      /^fork +0 +-$/m,
    );
  });

  test('a wrong set, file or class is one line', async () => {
    const line = async (...args: string[]) => {
      const { code, err } = await goshawk(...args);
      assert.equal(code, 2);
      return err;
    };
    assert.match(await line('data', 'stats', 'voc', '--image-set', 'train'), /the sets here are val\n$/);
    assert.match(
      await line('data', 'convert', 'voc', '--classes', 'cup,knife', '--output', 'x.json'),
      /a\.xml: object 2\.name is "fork" \(expected cup, knife\)/,
    );
    assert.match(await line('data', 'stats', 'drawn'), /drawn: is a folder of no known format/);
    assert.match(await line('data', 'draw', 'val.json'), /val\.json: --images is missing/);
  });
});

describe('a folder with a COCO file', () => {
  const coco = JSON.stringify({
    images: [{ id: 1, file_name: 'a.png', width: 40, height: 30 }],
    annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [1, 1, 10, 10], area: 100, iscrowd: 0 }],
    categories: [{ id: 1, name: 'cup' }],
  });

  test('is taken by the commands on data as training takes it, its pictures found', async () => {
    write('one/all.json', coco);
    write('one/images/a.png', await grey(40, 30));
    const check = await goshawk('data', 'check', 'one');
    assert.equal(check.out, 'one: nothing wrong (1 image, 1 annotation, 1 category)\n');
    assert.equal((await goshawk('data', 'draw', 'one', '--output', 'one-drawn')).code, 0);
  });

  test('and another file for another part: both are named, and one is to be chosen', async () => {
    write('two/train.json', coco);
    write('two/val.json', coco);
    write('two/images/a.png', await grey(40, 30));
    const { code, err } = await goshawk('data', 'stats', 'two');
    assert.equal(code, 2);
    assert.match(err, /two: holds a file for each part \(two\/train\.json, two\/val\.json\): name one of them/);
  });
});

describe('Cityscapes', () => {
  test('check, convert and evaluate take its folder and set', async () => {
    const check = await goshawk('data', 'check', 'city', '--image-set', 'val', '--images', 'city/leftImg8bit');
    assert.match(check.out, /^warning \[crowd\] city: 1 of 2 objects/m);
    assert.match(check.out, /^city: 0 errors, 1 warning \(1 image, 2 annotations, 8 categories, 1 picture decoded\)$/m);
    const { out } = await goshawk('data', 'convert', 'city', '--image-set', 'val', '--output', 'city.json');
    assert.match(out, /the void regions have no place in it/);
    const { annotations } = JSON.parse(readFileSync(path.join(folder, 'city.json'), 'utf8'));
    assert.deepEqual(
      annotations.map((one: { category_id: number; iscrowd: number; bbox: number[] }) => [
        one.category_id,
        one.iscrowd,
        ...one.bbox,
      ]),
      [
        [24, 1, 20, 2, 10, 10],
        [26, 0, 2, 2, 12, 12],
      ],
    );
    const car = annotations[1] as { segmentation: object };
    const result = (score: number, category: number, segmentation: object) => ({
      image_id: 1,
      category_id: category,
      score,
      segmentation,
    });
    write(
      'masks.json',
      JSON.stringify([result(0.5, 26, car.segmentation), result(0.9, 26, [[20, 15, 30, 15, 30, 25, 20, 25]])]),
    );
    const evaluate = async (truth: string, ...more: string[]) =>
      await goshawk(
        'evaluate',
        '--ground-truth',
        truth,
        ...more,
        '--detections',
        'masks.json',
        '--type',
        'cityscapes',
        '--json',
      );
    // The better scored one lies on void: not wrong in the folder, wrong in the COCO file, which has no void.
    assert.deepEqual(JSON.parse((await evaluate('city', '--image-set', 'val')).out).stats, { AP: 1, AP50: 1 });
    assert.deepEqual(JSON.parse((await evaluate('city.json')).out).stats, { AP: 0.25, AP50: 0.25 });
    assert.match((await goshawk('data', 'stats', 'city')).err, /Cityscapes needs the set: name one of val/);
  });
});

describe('YOLO', () => {
  test('a VOC set becomes a YOLO set and comes back with the same boxes; what has no place is said', async () => {
    const args = [
      'data',
      'convert',
      'voc',
      '--image-set',
      'val',
      '--format',
      'yolo',
      '--output',
      'yolo',
      '--copy-pictures',
    ];
    const there = await goshawk(...args);
    assert.equal(there.code, 0, there.err);
    assert.match(there.err, /1 objects lose VOC's mark/);
    assert.match(there.out, /images\/val: 2 pictures/);
    assert.equal((await goshawk('data', 'check', 'yolo', '--image-set', 'val')).code, 0);
    assert.equal((await goshawk('data', 'convert', 'yolo', '--image-set', 'val', '--output', 'again.json')).code, 0);
    assert.equal((await goshawk('data', 'convert', 'voc', '--image-set', 'val', '--output', 'once.json')).code, 0);
    const boxesOf = (file: string) => {
      const { images, annotations, categories } = JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
      const name = (list: { id: number; name?: string; file_name?: string }[], id: number) => {
        const entry = list.find((one) => one.id === id)!;
        return entry.name ?? entry.file_name;
      };
      return annotations.map((one: { image_id: number; category_id: number; bbox: number[] }) =>
        [name(images, one.image_id), name(categories, one.category_id), ...one.bbox].join(' '),
      );
    };
    assert.deepEqual(boxesOf('again.json'), boxesOf('once.json'));
  });

  test('a second set is added to the list; one of other classes is refused', async () => {
    const train = await goshawk('data', 'convert', 'voc', '--format', 'yolo', '--output', 'yolo');
    assert.equal(train.code, 0, train.err);
    assert.match(readFileSync(path.join(folder, 'yolo/data.yaml'), 'utf8'), /train: images\/train\nval: images\/val/);
    const other = await goshawk(
      'data',
      'convert',
      'city',
      '--image-set',
      'val',
      '--format',
      'yolo',
      '--output',
      'yolo',
    );
    assert.equal(other.code, 2);
    assert.match(other.err, /data\.yaml: has other names \(cup, fork\)/);
    mkdirSync(path.join(folder, 'elsewhere'), { recursive: true });
    const names = /names:(?:\n {2}- .*)+/.exec(readFileSync(path.join(folder, 'yolo/data.yaml'), 'utf8'))![0];
    writeFileSync(path.join(folder, 'elsewhere/data.yaml'), `train: ../photos\n${names}\n`);
    const moved = await goshawk('data', 'convert', 'voc', '--format', 'yolo', '--output', 'elsewhere');
    assert.equal(moved.code, 2);
    assert.match(
      moved.err,
      /data\.yaml: has its set train elsewhere \(expected images\/train\): choose another --output/,
    );
  });
});
