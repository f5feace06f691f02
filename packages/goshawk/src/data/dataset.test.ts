import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { type DatasetOptions, openCocoDataset } from './dataset.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goshawk-dataset-'));
  await mkdir(join(folder, 'images', 'deep'), { recursive: true });
  for (const name of ['images/a.jpg', 'images/deep/b.jpg', 'outside.jpg']) await writeFile(join(folder, name), 'x');
});
after(() => rm(folder, { recursive: true }));

interface Content {
  images?: object[];
  annotations?: object[];
  categories?: object[];
}
const twoImages = [
  { id: 1, file_name: 'a.jpg', width: 64, height: 48 },
  { id: 2, file_name: 'deep/b.jpg', width: 64, height: 48 },
];
const object = (id: number, more: object = {}) => ({
  id,
  image_id: 1,
  category_id: 1,
  bbox: [10, 10, 20, 20],
  area: 400,
  iscrowd: 0,
  segmentation: [[10, 10, 30, 10, 30, 30, 10, 30]],
  ...more,
});

async function open(content: Content, options: DatasetOptions = {}) {
  const annotations = join(folder, 'annotations.json');
  const defaults = { images: twoImages, annotations: [object(1)], categories: [{ id: 1, name: 'thing' }] };
  await writeFile(annotations, JSON.stringify({ ...defaults, ...content }));
  return openCocoDataset({ annotations, images: join(folder, 'images') }, options);
}

test('classes are 1..C in order of the category ids, whatever their order in the file', async () => {
  const categories = [90, 1, 44].map((id) => ({ id, name: `c${id}` }));
  const dataset = await open({ categories });
  assert.deepEqual(
    [...dataset.classOf],
    [
      [1, 1],
      [44, 2],
      [90, 3],
    ],
  );
  assert.deepEqual(
    dataset.categories.map((category) => category.id),
    [1, 44, 90],
  );
});

test('a picture without annotations is background, or skipped on request, and is counted', async () => {
  const kept = await open({});
  assert.deepEqual([kept.samples.length, kept.counts.emptyImages, kept.counts.skippedImages], [2, 1, 0]);
  assert.equal(kept.samples[1]!.annotations.length, 0);
  const skipped = await open({}, { skipEmpty: true });
  assert.deepEqual([skipped.samples.length, skipped.counts.skippedImages], [1, 1]);
  assert.equal(skipped.annotations.images.length, 2);
});

test('crowds are left out of the samples, counted, and stay in the ground truth', async () => {
  const crowd = object(2, { iscrowd: 1, segmentation: { size: [48, 64], counts: [0, 100, 2972] } });
  const annotations = [object(1), crowd];
  const dropped = await open({ annotations });
  assert.deepEqual([dropped.counts.leftOut.crowd, dropped.samples[0]!.annotations.length], [1, 1]);
  assert.equal(dropped.annotations.annotations.length, 2);
  const kept = await open({ annotations }, { dropCrowds: false });
  assert.equal(kept.samples[0]!.annotations.length, 2);
});

test('boxes whose clipped side is at most minBoxSize are left out and counted', async () => {
  const annotations = [object(1), object(2, { bbox: [60, 10, 3, 20], area: 60 })];
  const dataset = await open({ annotations }, { minBoxSize: 3 });
  assert.deepEqual([dataset.counts.annotations, dataset.counts.leftOut['box-small']], [1, 1]);
});

test('for masks, objects without one are left out with a warning that names them', async () => {
  const { segmentation: _, ...boxOnly } = object(2);
  const dataset = await open({ annotations: [object(1), boxOnly] }, { masks: true });
  assert.equal(dataset.counts.leftOut['mask-missing'], 1);
  assert.match(
    dataset.warnings.join('\n'),
    /1 of 2 objects \(annotation id 2\) is left out of training, without a mask.*faster_rcnn/,
  );
});

test('keypoints need names, and who becomes whom in a mirror comes from them', async () => {
  await assert.rejects(open({}, { keypoints: true }), /no category has keypoints/);
  const categories = [{ id: 1, name: 'person', keypoints: ['nose', 'left_eye', 'right_eye'], skeleton: [] }];
  const dataset = await open(
    { categories, annotations: [object(1, { keypoints: [1, 1, 2, 2, 2, 2, 3, 3, 2], num_keypoints: 3 })] },
    { keypoints: true },
  );
  assert.equal(dataset.keypointCount, 3);
  assert.deepEqual(dataset.keypointFlipOrder, [0, 2, 1]);
});

test('pairs that change places come from the options, else from the file, else from the names', async () => {
  const points = { keypoints: [1, 1, 2, 2, 2, 2, 3, 3, 2, 4, 4, 2], num_keypoints: 4 };
  const card = (more: object = {}) => ({ id: 1, name: 'card', keypoints: ['tl', 'tr', 'br', 'bl'], ...more });
  const opened = (category: object, options: DatasetOptions = {}) =>
    open({ categories: [category], annotations: [object(1, points)] }, { keypoints: true, ...options });
  const guessed = await opened(card());
  assert.deepEqual(guessed.keypointFlipOrder, [0, 1, 2, 3]);
  assert.match(guessed.warnings.join(), /no point changes places in a mirrored picture \(tl, tr, br, bl stay/);
  assert.deepEqual((await opened(card(), { mirrors: false })).warnings, []);
  const given = await opened(card(), {
    keypointFlipPairs: [
      ['tl', 'tr'],
      [2, 3],
    ],
  });
  assert.deepEqual([given.keypointFlipOrder, given.warnings], [[1, 0, 3, 2], []]);
  assert.deepEqual(given.categories[0]!.flipPairs, [
    [0, 1],
    [2, 3],
  ]);
  assert.deepEqual((await opened(card({ flip_pairs: [[0, 1]] }))).keypointFlipOrder, [1, 0, 2, 3]);
  assert.deepEqual(
    (await opened(card({ flip_pairs: [[0, 1]] }), { keypointFlipPairs: [] })).keypointFlipOrder,
    [0, 1, 2, 3],
  );
  await assert.rejects(opened(card(), { keypointFlipPairs: [['tl', 'top']] }), /keypointFlipPairs .*names "top"/);
  const oneSided = card({ keypoints: ['left_tip', 'stem', 'base', 'head'] });
  await assert.rejects(opened(oneSided), /"left_tip" has no counterpart.*data\.keypointFlipPairs/);
  assert.deepEqual((await opened(oneSided, { mirrors: false })).keypointFlipOrder, [0, 1, 2, 3]);
  assert.deepEqual(
    (await opened(oneSided, { keypointFlipPairs: [['left_tip', 'head']] })).keypointFlipOrder,
    [3, 1, 2, 0],
  );
});

async function messageOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => assert.fail('opened'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof InputError, String(error));
  assert.ok(!error.message.includes('\n'));
  return error.message;
}

test('a missing picture is named with its image id', async () => {
  const images = [twoImages[0]!, { ...twoImages[1]!, file_name: 'none.jpg' }];
  assert.match(
    await messageOf(open({ images })),
    /annotations\.json: images\[1\] \(image id 2\) .*none\.jpg: not found: check the path/,
  );
});

test('a name in other letters or with its accents apart means the one file that looks the same', async () => {
  // As an archive of macOS unpacks: the accent is a character of its own.
  await writeFile(join(folder, 'images', 'deep', 'Fu\u0308chse.JPG'), 'x');
  const named = (file_name: string) => open({ images: [{ ...twoImages[0]!, file_name }] });
  const { samples } = await named('Deep/F\u00fcchse.jpg');
  assert.equal(samples[0]!.path, join(folder, 'images', 'deep', 'Fu\u0308chse.JPG'));
  assert.equal((await named('A.JPG')).samples[0]!.path, join(folder, 'images', 'a.jpg'));
  // Two that look the same are not told apart.
  await writeFile(join(folder, 'images', 'deep', 'F\u00fcchse.jpeg'), 'x');
  await writeFile(join(folder, 'images', 'deep', 'F\u00fcchse.jpeG'), 'x');
  assert.match(await messageOf(named('deep/F\u00dcCHSE.JPEG')), /not found: check the path/);
});

test('a file name that leads out of the image folder is refused with its image id', async () => {
  for (const fileName of ['../outside.jpg', join(folder, 'outside.jpg'), 'deep/../../outside.jpg']) {
    const images = [twoImages[0]!, { ...twoImages[1]!, file_name: fileName }];
    const message = await messageOf(open({ images }));
    assert.match(message, /id 2/);
    assert.match(message, /file_name/);
  }
});

test('a folder where a picture is due, a missing folder and a missing file are named', async () => {
  assert.match(await messageOf(open({ images: [{ ...twoImages[0]!, file_name: 'deep' }] })), /is a folder/);
  const annotations = join(folder, 'annotations.json');
  const opening = async (files: { annotations: string; images: string }) => openCocoDataset(files);
  const none = join(folder, 'none');
  assert.equal(await messageOf(opening({ annotations, images: none })), `${none}: not found: check the path`);
  assert.equal(await messageOf(opening({ annotations: none, images: folder })), `${none}: not found: check the path`);
});

test('a dataset without a usable picture says so', async () => {
  assert.match(await messageOf(open({ annotations: [] }, { skipEmpty: true })), /no picture with a usable object/);
});

test('with requireKeypoints, pictures in which no keypoint is labelled are left out', async () => {
  const categories = [{ id: 1, name: 'person', keypoints: ['nose', 'chin'] }];
  const annotations = [
    object(1, { keypoints: [0, 0, 0, 0, 0, 0], num_keypoints: 0 }),
    object(2, { image_id: 2, keypoints: [0, 0, 0, 5, 5, 1], num_keypoints: 1 }),
  ];
  const options = { keypoints: true, requireKeypoints: true };
  const dataset = await open({ categories, annotations }, options);
  assert.deepEqual(
    dataset.samples.map(({ image }) => image.id),
    [2],
  );
  assert.equal(dataset.counts.skippedImages, 1);
  await assert.rejects(
    open({ categories, annotations: annotations.slice(0, 1) }, options),
    /has no picture with a labelled keypoint \(2 images, 1 annotations\)/,
  );
});
