// YOLO folders as people have them, and as `data convert` writes them.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import sharp from 'sharp';
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
    assert.match(list('names: [a]\n'), /has none of train, val and test/);
    assert.match(list('train: [1]\nnames: [a]\n'), /train: must name folders/);
    assert.match(list('train: images\nnames: [a]\nkpt_shape: [2, 4]\n'), /kpt_shape: must be/);
    assert.match(list('train: images\nnames: [a]\nkpt_shape: [2, 3]\nflip_idx: [1, 1]\n'), /flip_idx: must name/);
    assert.match(list('train: [images\nnames: [a]\n'), /is no YAML/);
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
