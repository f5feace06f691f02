// Splits of every format, on folders laid out as the devkits have them.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { annotationFormat, checkAnnotations, readAnnotations } from './annotation-files.js';
import { openSplitDataset } from './open-split-dataset.js';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-split-'));
  const objects: Readonly<Record<string, readonly string[]>> = { one: ['bee', 'ant'], two: ['ant'], three: ['cat'] };
  for (const [id, names] of Object.entries(objects)) {
    write(`voc/Annotations/${id}.xml`, vocXml(names));
    write(`voc/JPEGImages/${id}.${id === 'two' ? 'png' : 'jpg'}`, 'x');
  }
  write('voc/ImageSets/Main/train.txt', 'one\ntwo\n');
  write('voc/ImageSets/Main/val.txt', 'three  1\r\n\r\ntwo -1\r\n');
  write('voc/ImageSets/Main/ant_train.txt', 'one 1\n');
  for (const set of ['train', 'val']) write(`city/leftImg8bit/${set}/ulm/ulm_1_leftImg8bit.png`, 'x');
  const polygons = { imgHeight: 30, imgWidth: 40 };
  const square = [
    [10, 10],
    [30, 10],
    [30, 20],
    [10, 20],
  ];
  write(
    'city/gtFine/val/ulm/ulm_1_gtFine_polygons.json',
    JSON.stringify({ ...polygons, objects: [{ label: 'car', polygon: square }] }),
  );
  mkdirSync(join(folder, 'city/gtFine/train/ulm'), { recursive: true });
  copyFileSync(
    new URL('../../src/data/fixtures/labels-colour.png', import.meta.url),
    join(folder, 'city/gtFine/train/ulm/ulm_1_gtFine_instanceIds.png'),
  );
  write(
    'coco/a.json',
    '{"images": [{"id": 1, "file_name": "one.jpg", "width": 64, "height": 48}], "categories": [], "annotations": []}',
  );
});
after(() => rmSync(folder, { recursive: true }));

function write(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

function vocXml(names: readonly string[], difficult = 0): string {
  const box = '<bndbox><xmin>3</xmin><ymin>5</ymin><xmax>12</xmax><ymax>24</ymax></bndbox>';
  const objects = names.map((name) => `<object><name>${name}</name><difficult>${difficult}</difficult>${box}</object>`);
  return `<annotation><filename>else.gif</filename><size><width>64</width><height>48</height></size>${objects.join('')}</annotation>`;
}

const at = (path: string) => join(folder, path);
const voc = (set: string, classes?: readonly string[]) => ({ annotations: at('voc'), set, classes });
const refused = (run: () => unknown, message: RegExp) => assert.throws(run, message);

describe('a VOC split', () => {
  test('takes the pictures of its list, by the names of the XML files', () => {
    const dataset = openSplitDataset(voc('train'), { name: 'data.train' });
    assert.equal(dataset.format, 'voc');
    assert.deepEqual(
      dataset.samples.map((sample) => sample.path),
      [at('voc/JPEGImages/one.jpg'), at('voc/JPEGImages/two.png')],
    );
    assert.deepEqual([...dataset.samples[0]!.annotations[0]!.bbox], [2, 4, 10, 20]);
  });

  test("numbers classes alike in every set of the training set's folder", () => {
    for (const set of ['train', 'val']) {
      const dataset = openSplitDataset(voc(set), { name: 'data.val', train: voc('train') });
      assert.deepEqual(
        dataset.categories.map(({ id, name }) => `${id} ${name}`),
        ['1 ant', '2 bee', '3 cat'],
      );
    }
  });

  test('takes the classes of its own list, else those of the training split, and names what they lack', () => {
    const open = (own?: readonly string[], train?: readonly string[]) =>
      openSplitDataset(voc('train', own), { name: 'data.val', train: voc('train', train) });
    assert.equal(open(['bee', 'ant']).classOf.get(1), 1);
    assert.equal(open(undefined, ['bee', 'ant']).categories[0]?.name, 'bee');
    refused(() => open(['bee']), /one\.xml: object 2\.name is "ant" \(expected bee\): .*\(and 1 more problem\)$/);
  });

  test('leaves difficult objects out of what is learned, and keeps them for the evaluation', () => {
    write('hard/Annotations/a.xml', vocXml(['ant'], 1));
    write('hard/JPEGImages/a.jpg', 'x');
    const dataset = openSplitDataset({ annotations: at('hard') }, { name: 'data.train' });
    assert.equal(dataset.samples[0]!.annotations.length, 0);
    assert.equal(dataset.counts.leftOut.difficult, 1);
    assert.match(
      dataset.warnings.join(),
      /1 of 1 objects \(annotation id 1\) is left out of training, marked difficult/,
    );
    assert.equal(dataset.annotations.annotations[0]?.isDifficult, true);
  });

  test('needs its set where there are several, and a list of files that exist', () => {
    const open = (changes: object) => openSplitDataset({ annotations: at('voc'), ...changes }, { name: 'data.train' });
    refused(() => open({}), /data\.train\.set: missing: set it to one of train, val/);
    refused(() => open({ set: 'test' }), /test\.txt: not found: the sets here are train, val/);
    refused(() => open({ set: '../../voc' }), /is no name of a set/);
    write('voc/ImageSets/Main/bad.txt', 'one\nfour\n');
    refused(() => open({ set: 'bad' }), /bad\.txt: line 2: names four, but .*four\.xml is not there/);
    write('voc/ImageSets/Main/bad.txt', '../../../etc/passwd\n');
    refused(() => open({ set: 'bad' }), /bad\.txt: line 1 leads outside/);
    write('voc/ImageSets/Main/bad.txt', '\n');
    refused(() => open({ set: 'bad' }), /names no picture/);
    rmSync(at('voc/ImageSets/Main/bad.txt'));
  });
});

describe('a Cityscapes split', () => {
  test('has masks of the instances, and the pictures of its set', () => {
    const dataset = openSplitDataset({ annotations: at('city'), set: 'val' }, { name: 'data.val', masks: true });
    assert.equal(dataset.format, 'cityscapes');
    assert.equal(dataset.categories.length, 8);
    assert.equal(dataset.samples[0]!.path, at('city/leftImg8bit/val/ulm/ulm_1_leftImg8bit.png'));
    assert.deepEqual([...dataset.samples[0]!.annotations[0]!.bbox], [10, 10, 20, 10]);
  });

  test('refuses what is no label picture, and asks for the set', () => {
    const open = (set?: string) => openSplitDataset({ annotations: at('city'), set }, { name: 'data.train' });
    refused(() => open('train'), /ulm_1_gtFine_instanceIds\.png: is a PNG of colour type 2/);
    refused(() => open(), /data\.train\.set: missing: set it to one of train, val/);
    refused(() => open('test'), /gtFine\/test: not found: the sets here are train, val/);
  });
});

describe('formats', () => {
  test('are told by what is there, unless they are named', () => {
    const format = (path: string) => annotationFormat({ annotations: at(path) });
    assert.deepEqual(['coco/a.json', 'voc', 'voc/Annotations', 'voc/Annotations/one.xml', 'city'].map(format), [
      'coco',
      'voc',
      'voc',
      'voc',
      'cityscapes',
    ]);
    assert.equal(annotationFormat({ annotations: 'anything', format: 'voc' }), 'voc');
    refused(() => format('voc/JPEGImages'), /is a folder of no known format/);
    refused(() => format('nothing'), /not found/);
  });

  test('one file of YOLO labels is told by its name, a text of words is not', () => {
    write('yolo/labels/0.txt', '0 0.5 0.5 0.25 0.25\n1 1e-1 0.5 0.25 0.25\n');
    write('notes.txt', 'two lines\nof text\n');
    refused(() => annotationFormat({ annotations: at('yolo/labels/0.txt') }), /is a file of YOLO labels.*data\.yaml/);
    assert.equal(annotationFormat({ annotations: at('notes.txt') }), 'coco');
  });

  test('keys that a format does not have are named', () => {
    const open = (changes: object) =>
      openSplitDataset({ annotations: at('coco/a.json'), ...changes }, { name: 'data.val' });
    refused(() => open({}), /data\.val\.images: missing: name the folder/);
    refused(() => open({ set: 'val' }), /data\.val\.set: is for folders/);
    refused(() => open({ classes: ['a'] }), /data\.val\.classes: is for PASCAL VOC/);
  });

  test('checking lists every fault of every file of a VOC set', () => {
    write('faulty/Annotations/a.xml', vocXml(['', '']));
    write('faulty/Annotations/b.xml', '<annotation>');
    const { format, issues, read } = checkAnnotations({ annotations: at('faulty') });
    assert.deepEqual([format, issues.length, read], ['voc', 3, undefined]);
    refused(() => readAnnotations({ annotations: at('faulty') }), /a\.xml: object 1\.name .*\(and 2 more problems\)$/);
  });
});
