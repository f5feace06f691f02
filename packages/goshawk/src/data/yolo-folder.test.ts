// YOLO folders as people have them, and as `data convert` writes them.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import sharp from 'sharp';
import { stringify } from 'yaml';
import { annotationFormat, annotationSets, readAnnotations } from './annotation-files.js';

const root = mkdtempSync(join(tmpdir(), 'goshawk-yolo-'));
after(() => rmSync(root, { recursive: true }));
const at = (path: string) => join(root, path);

const png = await sharp({ create: { width: 64, height: 48, channels: 3, background: '#888' } })
  .png()
  .toBuffer();
// Stored 64 x 48, shown 48 x 64.
const turned = await sharp(png).jpeg().withMetadata({ orientation: 6 }).toBuffer();

function put(files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), content);
  }
}

const box = '0 0.5 0.5 0.25 0.5\n';
const fileNames = (annotations: string, set?: string) =>
  readAnnotations({ annotations: at(annotations), ...(set === undefined ? {} : { set }) }).dataset.images.map(
    ({ fileName }) => fileName,
  );

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    return error.message;
  }
  assert.fail('expected an InputError');
}

describe('layouts', () => {
  test('images/SET and labels/SET with a data.yaml whose path is of another machine', () => {
    put({
      'usual/data.yaml': 'path: /data/of/somebody\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n',
      'usual/images/train/b.png': png,
      'usual/images/train/a.png': png,
      'usual/labels/train/a.txt': box,
      'usual/images/val/c.png': png,
      'usual/labels/val/c.txt': '1 0.5 0.5 0.25 0.5',
    });
    assert.deepEqual(annotationSets({ annotations: at('usual') }), ['train', 'val']);
    const read = readAnnotations({ annotations: at('usual'), set: 'train' });
    assert.equal(read.format, 'yolo');
    assert.deepEqual(fileNames('usual', 'train'), ['a.png', 'b.png']);
    assert.equal(read.images, at('usual/images/train'));
    assert.deepEqual([...read.dataset.annotations[0]!.bbox], [24, 12, 16, 24]);
    assert.deepEqual(fileNames('usual/data.yaml'), ['train/a.png', 'train/b.png', 'val/c.png']);
  });

  test('what the commands themselves have left among the pictures is no part of the set', () => {
    put({
      'used/a.png': png,
      'used/a.txt': box,
      'used/classes.txt': 'owl',
      'used/runs/owls/metrics.jsonl': '',
      'used/runs/owls/report-pictures/1.png': png,
      'used/predictions/detections.json': '[]',
      'used/predictions/a.png': png,
      'used/owls.yaml': '# Made by goshawk from .\n',
      'used/owls-data/pictures/a.png': png,
      'used/other-data/b.png': png,
    });
    assert.deepEqual(fileNames('used'), ['a.png', 'other-data/b.png']);
  });

  test('labels in UTF-16 or ending in TXT, and a list that names its folder in other letters', () => {
    put({
      'windows/data.yaml': 'train: IMAGES\nnames: [cat, dog]\n',
      'windows/images/a.PNG': png,
      'windows/labels/a.TXT': Buffer.from(`\uFEFF1 0.5 0.5 0.25 0.5\r\n`, 'utf16le'),
    });
    const { dataset, warnings } = readAnnotations({ annotations: at('windows') });
    assert.deepEqual([dataset.annotations.map(({ categoryId }) => categoryId), warnings], [[2], []]);
  });

  test('labels in a folder by themselves, with the folder of the pictures', () => {
    put({ 'apart/texts/a.txt': box, 'apart/texts/obj.names': 'cat\n', 'apart-photos/deep/a.png': png });
    const { dataset, images } = readAnnotations({ annotations: at('apart/texts'), images: at('apart-photos') });
    assert.deepEqual(
      [images, dataset.images.map(({ fileName }) => fileName), dataset.annotations.length],
      [at('apart-photos'), ['deep/a.png'], 1],
    );
  });

  test('folders in capitals', () => {
    put({
      'capitals/Images/a.png': png,
      'capitals/Labels/a.txt': box,
      'capitals/classes.txt': 'cat\n',
      'parts/TRAIN/Images/a.png': png,
      'parts/TRAIN/Labels/a.txt': box,
      'parts/classes.txt': 'cat\n',
      'mixed/Images/train/a.png': png,
      'mixed/labels/train/a.txt': box,
      'mixed/data.yaml': 'train: Images/train\nnames: [cat]\n',
    });
    for (const [folder, set] of [['capitals'], ['capitals/Labels'], ['parts', 'train'], ['mixed', 'train']] as const) {
      const annotations = at(folder);
      // The names are a folder above.
      const source = { annotations, ...(set && { set }), ...(folder === 'capitals/Labels' && { classes: ['cat'] }) };
      const { format, dataset } = readAnnotations(source);
      assert.deepEqual(
        [format, dataset.images.map(({ fileName }) => fileName), dataset.annotations.length],
        ['yolo', ['a.png'], 1],
        folder,
      );
    }
  });

  test('train/images and train/labels, with paths that start from a folder above', () => {
    put({
      'export/data.yaml': 'train: ../train/images\nval: ../valid/images\nnc: 1\nnames: [a]\n',
      'export/train/images/a.png': png,
      'export/train/labels/a.txt': box,
      'export/valid/images/a.png': png,
    });
    assert.deepEqual(fileNames('export', 'train'), ['a.png']);
    assert.match(
      refusal(() => fileNames('export', 'val')),
      /none of 1 pictures has labels \(expected .*valid\/labels\/a\.txt/,
    );
    assert.match(
      refusal(() => fileNames('export', 'test')),
      /has no set test: the sets here are train, val/,
    );
  });

  test('pictures and labels side by side with classes.txt, as labelling tools leave them', () => {
    put({ 'flat/a.png': png, 'flat/a.txt': box, 'flat/b.png': png, 'flat/classes.txt': 'cat\ndog\n' });
    const { dataset } = readAnnotations({ annotations: at('flat') });
    assert.deepEqual(
      dataset.categories.map(({ name }) => name),
      ['cat', 'dog'],
    );
    assert.deepEqual(dataset.images.length, 2);
  });

  test('lists of pictures, and the folder of labels alone', () => {
    put({
      'lists/data.yaml': 'train: train.txt\nnames: [a]\n',
      'lists/train.txt': './images/a.png\n',
      'lists/images/a.png': png,
      'lists/images/b.png': png,
      'lists/labels/a.txt': box,
    });
    assert.deepEqual(fileNames('lists', 'train'), ['a.png']);
    assert.equal(annotationFormat({ annotations: at('lists/labels') }), 'yolo');
    put({ 'lists/train.txt': 'images/a.png\nimages/gone.png\n' });
    assert.match(
      refusal(() => fileNames('lists', 'train')),
      /train\.txt: line 2: .*gone\.png is not there/,
    );
  });

  test('a data.yaml of names alone leaves the rest to the folders', () => {
    put({
      'named/data.yaml': '\uFEFFnc: 2\r\nnames: [cat, dog]\r\n',
      'named/images/train2017/a.png': png,
      'named/labels/train2017/a.txt': box,
      'named/images/val2017/b.png': png,
      'named/labels/val2017/b.txt': '1 0.5 0.5 0.25 0.5\r\n',
    });
    assert.equal(annotationFormat({ annotations: at('named') }), 'yolo');
    assert.deepEqual(annotationSets({ annotations: at('named') }), ['train', 'val']);
    assert.deepEqual(fileNames('named', 'val'), ['b.png']);
    assert.deepEqual(fileNames('named/data.yaml', 'train'), ['a.png']);
    put({ 'namesAlone/data.yaml': 'names: [a]\n' });
    assert.match(
      refusal(() => fileNames('namesAlone/data.yaml')),
      /has none of train, val and test/,
    );
  });

  test('a data.yaml of another machine, with whole paths, also of Windows', () => {
    const files = {
      'images/train/a.png': png,
      'labels/train/a.txt': box,
      'images/val/b.png': png,
      'labels/val/b.txt': box,
    };
    for (const [name, train, val, path] of [
      ['colab', '/content/drive/set/images/train', '/content/drive/set/images/val', undefined],
      ['windows', 'C:\\Users\\me\\set\\images\\train', 'images\\val', 'D:\\sets\\mine'],
      ['above', 'images/train', 'images/val', './above'],
    ] as const) {
      put(Object.fromEntries(Object.entries(files).map(([file, content]) => [`${name}/${file}`, content])));
      const list = name === 'above' ? 'above.yaml' : `${name}/data.yaml`;
      put({ [list]: stringify({ ...(path && { path }), train, val, names: { 0: 'cat' } }) });
      assert.deepEqual(fileNames(list, 'train'), ['a.png'], name);
      assert.deepEqual(fileNames(list, 'val'), ['b.png'], name);
    }
  });

  test('lists of pictures that were written elsewhere, and sets of darknet', () => {
    put({
      'darknet/obj.names': 'cat\r\ndog\r\n',
      'darknet/obj.data': 'classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n',
      'darknet/train.txt': 'data/obj_train_data/a.png\r\n/home/me/data/obj_train_data/b.png\r\n',
      'darknet/obj_train_data/a.png': png,
      'darknet/obj_train_data/a.txt': box,
      'darknet/obj_train_data/b.png': png,
    });
    assert.equal(annotationFormat({ annotations: at('darknet') }), 'yolo');
    assert.deepEqual(annotationSets({ annotations: at('darknet') }), ['train']);
    assert.deepEqual(fileNames('darknet', 'train'), ['a.png', 'b.png']);
    put({
      'roboflow/train/_darknet.labels': 'cat',
      'roboflow/train/a.png': png,
      'roboflow/train/a.txt': box,
      'roboflow/valid/_darknet.labels': 'cat',
      'roboflow/valid/b.png': png,
      'roboflow/valid/b.txt': box,
    });
    assert.deepEqual(annotationSets({ annotations: at('roboflow') }), ['train', 'val']);
    assert.deepEqual(fileNames('roboflow', 'val'), ['b.png']);
    put({ 'roboflow/valid/_darknet.labels': 'dog' });
    assert.match(
      refusal(() => fileNames('roboflow', 'val')),
      /valid\/_darknet\.labels: names other classes \(dog\) than .*train\/_darknet\.labels \(cat\)/,
    );
  });

  test('a set that is named and not there is left out where all are read, and said', () => {
    put({
      'gone/data.yaml': 'train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [a]\n',
      'gone/train/images/a.png': png,
      'gone/train/labels/a.txt': box,
    });
    assert.deepEqual(annotationSets({ annotations: at('gone') }), ['train']);
    const { dataset, warnings } = readAnnotations({ annotations: at('gone') });
    assert.equal(dataset.images.length, 1);
    assert.deepEqual(
      warnings.map(({ code, path }) => [code, path]),
      [
        ['set-missing', 'val'],
        ['set-missing', 'test'],
      ],
    );
    assert.match(
      refusal(() => fileNames('gone', 'val')),
      /names .*valid\/images, which is not there/,
    );
  });

  test('labels without a picture are said; what macOS and notebooks leave beside is not looked at', () => {
    put({
      'alone/data.yaml': 'train: images\nnames: [a]\n',
      'alone/images/a.png': png,
      'alone/images/b.bmp': 'no matter',
      'alone/images/._a.png': 'half of a file',
      'alone/images/.ipynb_checkpoints/a-checkpoint.png': png,
      'alone/labels/a.txt': box,
      'alone/labels/b.txt': box,
      'alone/labels/._a.txt': 'half of a file',
    });
    const { dataset, warnings } = readAnnotations({ annotations: at('alone') });
    assert.deepEqual(
      dataset.images.map(({ fileName }) => fileName),
      ['a.png'],
    );
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!.message,
      /data\.yaml: has 1 file of labels without a picture, such as .*labels\/b\.txt: left out; put the pictures there \(\.jpg /,
    );
  });

  test('fractions are of the picture as shown', () => {
    put({ 'turned/a.jpg': turned, 'turned/a.txt': box, 'turned/classes.txt': 'a' });
    const { dataset } = readAnnotations({ annotations: at('turned') });
    assert.deepEqual([dataset.images[0]!.width, dataset.images[0]!.height], [48, 64]);
    assert.deepEqual([...dataset.annotations[0]!.bbox], [18, 16, 12, 32]);
  });
});

describe('what is wrong', () => {
  const list = (yaml: string) => {
    put({ 'wrong/data.yaml': yaml, 'wrong/images/a.png': png, 'wrong/labels/a.txt': box });
    return refusal(() => readAnnotations({ annotations: at('wrong/data.yaml'), format: 'yolo' }));
  };

  test('a data.yaml is told by its key', () => {
    assert.match(list('train: images\nnc: 3\nnames: [a]\n'), /names: has 1 \(expected 3 names, as nc says\)/);
    assert.match(list('train: images\nnames: {0: a, 2: b}\n'), /names: has 2 \(expected a list, or the numbers 0, 1/);
    assert.match(list('train: nowhere\nnames: [a]\n'), /names .*wrong\/nowhere, which is not there/);
    assert.match(list('train: [1]\nnames: [a]\n'), /train: must name folders/);
    assert.match(list('train: images\nnames: [a]\nkpt_shape: [2, 4]\n'), /kpt_shape: must be/);
    assert.match(list('train: images\nnames: [a]\nkpt_shape: [2, 3]\nflip_idx: [1, 1]\n'), /flip_idx: must name/);
    assert.match(list('train: [images\nnames: [a]\n'), /is no YAML: .* at line \d+, column \d+: correct the line$/);
    assert.match(list('train: images\nnames: owl\n'), /names: is "owl" \(expected a list, or .*: write \[owl\]/);
  });

  test('no names, no pictures, a picture that is none', () => {
    put({ 'bare/images/a.png': png, 'bare/labels/a.txt': box });
    assert.match(
      refusal(() => readAnnotations({ annotations: at('bare') })),
      /nothing names its classes/,
    );
    assert.equal(readAnnotations({ annotations: at('bare'), classes: ['a'] }).dataset.annotations.length, 1);
    put({ 'bare/images/b.png': 'no picture' });
    assert.match(
      refusal(() => fileNames('bare')),
      /nothing names/,
    );
    const broken = { annotations: at('bare'), classes: ['a'] };
    assert.match(
      refusal(() => readAnnotations(broken)),
      /b\.png: is no picture whose size can be read/,
    );
    put({ 'bare/images/b.png': '' });
    assert.match(
      refusal(() => readAnnotations(broken)),
      /b\.png: is no picture whose size can be read/,
    );
    put({ 'empty/labels/a.txt': box, 'empty/classes.txt': 'a' });
    assert.match(
      refusal(() => fileNames('empty')),
      /has no pictures/,
    );
  });

  test('keypoints keep their names and what mirrors them', () => {
    put({
      'pose/data.yaml':
        'train: images\nnames: [cat]\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nkpt_names: {0: [nose, left, right]}\n',
      'pose/images/a.png': png,
      'pose/labels/a.txt': '0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.5 0.5 1 0 0 0\n',
    });
    const { dataset } = readAnnotations({ annotations: at('pose') });
    assert.deepEqual(dataset.categories[0], {
      id: 1,
      name: 'cat',
      keypoints: ['nose', 'left', 'right'],
      flipPairs: [[1, 2]],
    });
    assert.deepEqual(dataset.annotations[0]!.keypoints, [16, 24, 2, 32, 24, 1, 0, 0, 0]);
  });
});
