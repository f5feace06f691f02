// Folders as people have them: what is found in each, and where its pictures are.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readAnnotations } from '../data/index.js';
import { findAnnotations, isAnnotations } from './find-annotations.js';

const root = mkdtempSync(join(tmpdir(), 'goshawk-find-'));
after(() => rmSync(root, { recursive: true }));

let count = 0;
/** A folder with these files, by path. */
function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = join(root, String(count++));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

const voc = (picture: string) =>
  `<annotation><filename>${picture}</filename><size><width>64</width><height>48</height></size><object><name>owl</name><bndbox><xmin>3</xmin><ymin>5</ymin><xmax>12</xmax><ymax>24</ymax></bndbox></object></annotation>`;
const coco = (...names: string[]) =>
  JSON.stringify({
    images: names.map((file_name, i) => ({ id: i + 1, file_name, width: 64, height: 48 })),
    categories: [{ id: 1, name: 'owl' }],
    annotations: names.map((_, i) => ({ id: i + 1, image_id: i + 1, category_id: 1, bbox: [3, 5, 9, 9] })),
  });

test('a COCO file is one whatever the order of its lists, and however long the others are', () => {
  const { images, categories, annotations } = JSON.parse(coco('a.jpg')) as Record<string, object[]>;
  const many = Array.from({ length: 4000 }, (_, i) => ({ ...annotations![0], id: i + 1 }));
  const far = [
    ...images!,
    ...Array.from({ length: 4000 }, (_, i) => ({ ...images![0], id: i + 2, file_name: `${i}.jpg` })),
  ];
  const folder = folderOf({
    'all.json': JSON.stringify({ annotations: many, images: far, more: many, categories }),
    'photos/a.jpg': '',
  });
  assert.deepEqual(findAnnotations(folder).train, {
    annotations: join(folder, 'all.json'),
    images: join(folder, 'photos'),
  });
});

describe('XML files of PASCAL VOC are found', () => {
  const layouts: readonly [string, Record<string, string>, string][] = [
    ['as the devkit has them', { 'Annotations/a.xml': voc('a.jpg'), 'JPEGImages/a.jpg': '' }, 'JPEGImages'],
    ['in annotations/ beside images/', { 'annotations/a.xml': voc('a.jpg'), 'images/a.jpg': '' }, 'images'],
    ['in folders of any name', { 'annots/a.xml': voc('other.jpg'), 'pics/a.png': '' }, 'pics'],
    ['in Annotations/ beside images/', { 'Annotations/a.xml': voc('a.jpg'), 'images/a.jpg': '' }, 'images'],
    ['a level deeper', { 'annotations/xmls/a.xml': voc('a.jpg'), 'images/a.jpg': '' }, 'images'],
    ['among the pictures', { 'a.xml': voc('a.jpg'), 'a.jpg': '' }, ''],
    ['with their pictures beside them', { 'Annotations/a.xml': voc('a.jpg'), 'a.jpg': '' }, ''],
  ];
  for (const [name, files, images] of layouts)
    test(name, () => {
      const folder = folderOf(files);
      const { train, val } = findAnnotations(folder);
      assert.equal(val, undefined);
      const read = readAnnotations(train);
      assert.equal(read.format, 'voc');
      assert.equal(read.images && join(read.images), join(folder, images));
      assert.match(read.dataset.images[0]!.fileName, /^a\.(jpg|png)$/);
      assert.equal(read.dataset.annotations.length, 1);
    });

  test('by the sets of the devkit, and with train/ and valid/ each by itself', () => {
    const devkit = { 'Annotations/a.xml': voc('a.jpg'), 'JPEGImages/a.jpg': '' };
    const lists = {
      'ImageSets/Main/train.txt': 'a',
      'ImageSets/Main/val.txt': 'a',
      'ImageSets/Main/trainval.txt': 'a',
    };
    const sets = findAnnotations(folderOf({ ...devkit, ...lists }));
    assert.deepEqual([sets.train.set, sets.val?.set, sets.test], ['train', 'val', undefined]);
    const only = findAnnotations(folderOf({ ...devkit, 'ImageSets/Main/all.txt': 'a' }));
    assert.deepEqual([only.train.set, only.val], ['all', undefined]);
    const parts = folderOf({
      'train/a.xml': voc('a.jpg'),
      'train/a.jpg': '',
      'valid/b.xml': voc('b.jpg'),
      'valid/b.jpg': '',
    });
    const { train, val } = findAnnotations(parts);
    assert.deepEqual([train.annotations, val?.annotations], [join(parts, 'train'), join(parts, 'valid')]);
  });
});

describe('COCO files are found', () => {
  const found = (files: Record<string, string>) => {
    const folder = folderOf(files);
    const { train, val, test: last } = findAnnotations(folder);
    const below = (path = '') => path.slice(folder.length + 1);
    return [train, val, last].map((source) => source && [below(source.annotations), below(source.images)]);
  };

  test('one file beside its pictures', () => {
    assert.deepEqual(found({ 'all.json': coco('a.jpg'), 'photos/a.jpg': '', 'README.md': '' }), [
      ['all.json', 'photos'],
      undefined,
      undefined,
    ]);
  });

  test('files for parts, by the names that people give them', () => {
    const files = {
      'annotations/instances_train2017.json': coco('a.jpg'),
      'annotations/instances_val2017.json': coco('b.jpg'),
      'annotations/person_keypoints_train2017.json': coco('a.jpg'),
      'train2017/a.jpg': '',
      'val2017/b.jpg': '',
    };
    assert.deepEqual(found(files), [
      ['annotations/instances_train2017.json', 'train2017'],
      ['annotations/instances_val2017.json', 'val2017'],
      undefined,
    ]);
  });

  test('a folder for each part, as Roboflow exports them; a test set stands in for validation', () => {
    const name = '_annotations.coco.json';
    const three = Object.fromEntries(
      ['train', 'valid', 'test'].flatMap((part) => [
        [`${part}/${name}`, coco('a.jpg')],
        [`${part}/a.jpg`, ''],
      ]),
    );
    const ofPart = (part: string) => [`${part}/${name}`, part];
    assert.deepEqual(found(three), [ofPart('train'), ofPart('valid'), ofPart('test')]);
    const { [`valid/${name}`]: _, 'valid/a.jpg': __, ...two } = three;
    assert.deepEqual(found(two), [ofPart('train'), ofPart('test'), undefined]);
  });

  test('below the one folder that an archive unpacks to', () => {
    assert.deepEqual(found({ 'owls-main/labels.json': coco('a.jpg'), 'owls-main/a.jpg': '', LICENSE: '' })[0], [
      'owls-main/labels.json',
      'owls-main',
    ]);
  });

  test('by the file: pictures are looked for near it, and the file for validation too', () => {
    const folder = folderOf({
      'json/train.json': coco('x/1.jpg'),
      'json/val.json': coco('x/1.jpg'),
      'img/x/1.jpg': '',
    });
    const { train, val } = findAnnotations(join(folder, 'json/train.json'));
    assert.deepEqual([train.images, val?.annotations], [join(folder, 'img'), join(folder, 'json/val.json')]);
  });
});

test('pictures of another data set beside the folder are not taken', () => {
  const folder = folderOf({
    'owls/a.xml': voc('a.jpg'),
    'owls/a.jpg': '',
    'owls/b.xml': voc('b.jpg'),
    'cats/a.jpg': '',
    'cats/b.jpg': '',
  });
  const { images, dataset } = readAnnotations(findAnnotations(join(folder, 'owls')).train);
  assert.equal(images, join(folder, 'owls'));
  assert.deepEqual(
    dataset.images.map(({ fileName }) => fileName),
    ['a.jpg', 'b.jpg'],
  );
});

test('names with accents are found however they are stored', () => {
  const name = 'Füchse';
  const folder = folderOf({
    [`annotations/${name.normalize('NFC')}.xml`]: voc('other.jpg'),
    [`images/${name.normalize('NFD')}.jpg`]: '',
  });
  const { images, dataset } = readAnnotations(findAnnotations(folder).train);
  assert.equal(images, join(folder, 'images'));
  assert.equal(dataset.images[0]!.fileName, `${name.normalize('NFD')}.jpg`);
});

describe('COCO names that are not of a file below the folder', () => {
  test('LVIS has addresses, Windows its own separators', () => {
    const { images, ...others } = JSON.parse(coco('a.jpg')) as Record<string, object[]>;
    const [{ file_name: _, ...rest }] = images as [Record<string, unknown>];
    const lvis = { ...others, images: [{ ...rest, coco_url: 'http://images.cocodataset.org/train2017/a.jpg' }] };
    const withUrls = folderOf({ 'lvis_v1_train.json': JSON.stringify(lvis), 'train2017/a.jpg': '' });
    assert.equal(findAnnotations(withUrls).train.images, withUrls);
    const windows = folderOf({ 'all.json': coco('images\\a.jpg'), 'images/a.jpg': '' });
    const { train } = findAnnotations(windows);
    assert.equal(train.images, windows);
    assert.equal(readAnnotations(train).dataset.images[0]!.fileName, 'images/a.jpg');
  });

  test('what no folder can mend is said at once', () => {
    const absolute = folderOf({ 'all.json': coco('/home/me/a.jpg'), 'a.jpg': '' });
    assert.throws(
      () => findAnnotations(absolute),
      /file_name is "\/home\/me\/a\.jpg", which is an absolute path .*make it relative/,
    );
  });
});

test("a data.yaml's set that is not there is said; the one to learn from is an error", () => {
  const pictures = {
    'images/train/a.jpg': '',
    'labels/train/a.txt': '0 0.5 0.5 0.1 0.1',
    'images/val/b.jpg': '',
    'labels/val/b.txt': '0 0.5 0.5 0.1 0.1',
  };
  const found = (train: string, val: string) =>
    findAnnotations(folderOf({ ...pictures, 'data.yaml': `train: images/${train}\nval: images/${val}\nnames: [owl]` }));
  assert.deepEqual(found('train', 'val').warnings, []);
  const { train, val, warnings } = found('train', 'valid');
  assert.deepEqual([train.set, val, warnings?.length], ['train', undefined, 1]);
  assert.match(warnings![0]!, /data\.yaml: val: is .*images.valid, which is not there: the set is left out/);
  assert.throws(
    () => found('trian', 'val'),
    /data\.yaml: train: is .*images.trian, which is not there: correct the path, or put the pictures there/,
  );
});

test('what the commands themselves have left in the folder is no part of the data', () => {
  const withParts = folderOf({
    'annotations/all.json': coco('a.jpg'),
    'images/a.jpg': '',
    'owls.yaml': '# Made by goshawk from .\n',
    'owls-data/train.json': coco('a.jpg'),
    'runs/owls/train.yaml': '# Made by goshawk from .\n',
    'runs/owls/data/val.json': coco('a.jpg'),
  });
  assert.equal(findAnnotations(withParts).train.annotations, join(withParts, 'annotations/all.json'));
});

describe('what cannot be told', () => {
  const refused = (files: Record<string, string>, message: RegExp) =>
    assert.throws(() => findAnnotations(folderOf(files)), message);

  test('no annotations, several files without a part, pictures that are elsewhere', () => {
    refused({ 'a.jpg': '' }, /no annotations found .*: name the annotation file/);
    refused({ 'a.json': coco('a.jpg'), 'b.json': coco('a.jpg'), 'a.jpg': '' }, /a\.json, b\.json.*name the one/);
    refused({ 'a.json': coco('a.jpg') }, /such as a\.jpg, are not near it: name their folder with --images/);
    refused(
      { 'x/a.json': coco('a.jpg'), 'x/a.jpg': '', 'y/a.json': coco('a.jpg'), 'y/a.jpg': '' },
      /several data sets \(.*x.a\.json, .*y.a\.json\): name one of them/,
    );
    refused(
      { 'owls/Annotations/a.xml': voc('a.jpg'), 'owls/a.jpg': '', 'cats/b.xml': voc('b.jpg'), 'cats/b.jpg': '' },
      /several data sets \(.*cats, .*owls\): name one of them/,
    );
    assert.throws(() => findAnnotations(join(root, 'nowhere')), /no such file or folder/);
  });

  test('a config is no data', () => {
    const folder = folderOf({
      'a.yaml': 'model: {}',
      'b.json': '{"model": {}}',
      'data.yaml': 'train: a\nnames: [b]',
      'c.json': coco(),
    });
    const told = ['a.yaml', 'b.json', 'data.yaml', 'c.json', ''].map((name) => isAnnotations(join(folder, name)));
    assert.deepEqual(told, [false, false, true, true, true]);
    assert.equal(isAnnotations(join(folder, 'none.yaml')), false);
  });
});

describe('files of annotation tools are found', () => {
  const labelme = (imagePath: string): string =>
    JSON.stringify({
      version: '5.2.1',
      shapes: [
        {
          label: 'owl',
          points: [
            [3, 5],
            [12, 24],
          ],
          group_id: null,
          shape_type: 'rectangle',
        },
      ],
      imagePath,
      imageWidth: 64,
      imageHeight: 48,
    });
  const cvat = (more = ''): string =>
    `<annotations><version>1.1</version><image id="0" name="a.jpg" ${more} width="64" height="48"><box label="owl" xtl="3" ytl="5" xbr="12" ybr="24"></box></image></annotations>`;

  test("labelme's beside the pictures, and in a folder for each part", () => {
    const one = findAnnotations(folderOf({ 'a.json': labelme('a.jpg'), 'a.jpg': '' }));
    assert.equal(one.words, 'labelme');
    assert.equal(readAnnotations(one.train).dataset.annotations.length, 1);
    const part = (name: string) => ({ [`${name}/a.json`]: labelme('a.jpg'), [`${name}/a.jpg`]: '' });
    const folder = folderOf({ ...part('train'), ...part('valid') });
    const { train, val } = findAnnotations(folder);
    assert.deepEqual([train.annotations, val?.annotations], [join(folder, 'train'), join(folder, 'valid')]);
  });

  test("CVAT's, whose subsets are parts", () => {
    const folder = folderOf({ 'annotations.xml': cvat(), 'images/a.jpg': '' });
    const task = findAnnotations(folder);
    assert.deepEqual(task, { train: { annotations: folder }, words: 'CVAT' });
    assert.equal(readAnnotations(task.train).images, join(folder, 'images'));
    const both = `${cvat('subset="Train"').replace('</annotations>', '')}<image id="1" name="b.jpg" subset="Validation" width="64" height="48"></image></annotations>`;
    const project = findAnnotations(folderOf({ 'annotations.xml': both }));
    assert.deepEqual([project.train.set, project.val?.set], ['train', 'val']);
  });

  test('others are called by their names, also in folders of folders', () => {
    const folder = folderOf({ 'export/via_project.json': '{"_via_settings": {}, "_via_img_metadata": {}}' });
    assert.throws(
      () => findAnnotations(folder),
      /is of VIA .*: in VIA choose Annotation, Export Annotations \(COCO format\)/,
    );
  });
});
