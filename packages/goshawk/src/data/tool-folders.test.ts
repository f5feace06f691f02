// Folders as labelme and CVAT leave them, and formats that are only known by name.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import sharp from 'sharp';
import { inputErrorOf } from '../testing/input-error.js';
import { annotationFormat, annotationSets, readAnnotations } from './annotation-files.js';
import { openSplitDataset } from './open-split-dataset.js';

let folder = '';
let picture: Buffer;
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-tools-'));
  picture ??= await sharp({ create: { width: 40, height: 30, channels: 3, background: '#808080' } })
    .png()
    .toBuffer();
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
}

const at = (name: string): string => path.join(folder, name);
const labelme = (imagePath: string, shapes: readonly object[], more: object = {}): string =>
  JSON.stringify({
    version: '5.2.1',
    flags: {},
    shapes,
    imagePath,
    imageData: null,
    imageHeight: 30,
    imageWidth: 40,
    ...more,
  });
const rectangle = (label: string): object => ({
  label,
  points: [
    [20, 25],
    [5, 5],
  ],
  group_id: null,
  shape_type: 'rectangle',
  flags: {},
});
const namesIn = (source: Parameters<typeof readAnnotations>[0]) => {
  const { dataset, images } = readAnnotations(source);
  return { images: path.relative(folder, images ?? 'none'), names: dataset.images.map(({ fileName }) => fileName) };
};

describe('labelme', () => {
  test('files beside their pictures, also in folders', () => {
    write({
      'photos/a.json': labelme('a.png', [rectangle('cat')]),
      'photos/a.png': picture,
      'photos/more/b.json': labelme('b.png', [rectangle('dog')]),
      'photos/more/b.png': picture,
    });
    assert.equal(annotationFormat({ annotations: at('photos') }), 'labelme');
    assert.deepEqual(annotationSets({ annotations: at('photos') }), []);
    assert.deepEqual(namesIn({ annotations: at('photos') }), { images: 'photos', names: ['a.png', 'more/b.png'] });
    assert.deepEqual(namesIn({ annotations: at('photos/a.json') }), { images: 'photos', names: ['a.png'] });
  });

  test('no picture of another folder beside those that lie among their pictures', () => {
    write({
      'owls/a.json': labelme('a.png', [rectangle('owl')]),
      'owls/a.png': picture,
      'owls/b.json': labelme('b.png', [rectangle('owl')]),
      'cats/b.png': picture,
    });
    assert.deepEqual(namesIn({ annotations: at('owls') }), { images: 'owls', names: ['a.png', 'b.png'] });
  });

  test('files in a folder beside that of the pictures, under the name that they say or have', () => {
    write({
      'set/json/a.json': labelme('..\\images\\first.png', [rectangle('cat')]),
      'set/json/b.json': labelme('C:\\Users\\me\\photos\\b.png', [rectangle('cat')]),
      'set/json/c.json': labelme('', [rectangle('cat')], { imageHeight: undefined, imageWidth: undefined }),
      'set/images/first.png': picture,
      'set/images/b.png': picture,
      'set/images/c.png': picture,
    });
    assert.deepEqual(namesIn({ annotations: at('set/json') }), {
      images: 'set/images',
      names: ['first.png', 'b.png', 'c.png'],
    });
    const { dataset } = readAnnotations({ annotations: at('set/json'), images: at('set/images') });
    assert.deepEqual(dataset.images[2], { id: 3, fileName: 'c.png', width: 40, height: 30 });
  });

  test('a file of a picture is one of the set, whatever became of it', () => {
    write({ 'set/a.json': labelme('a.png', [rectangle('cat')]), 'set/a.png': picture, 'set/b.png': picture });
    for (const [text, expected] of [
      ['', /b\.json: is empty/],
      ['{"version": "5.2.1", "shapes": nu', /b\.json: is not JSON/],
      ['{"version": "5.2.1", "shapes": null}', /b\.json: shapes is null \(expected the list of a labelme file\)/],
    ] as const) {
      write({ 'set/b.json': text });
      assert.match(
        inputErrorOf(() => readAnnotations({ annotations: at('set') })),
        expected,
      );
    }
  });

  test('never takes a picture from farther away', () => {
    write({ 'a/b/set/json/x.json': labelme('../../../secret.png', [rectangle('cat')]), 'a/secret.png': picture });
    const message = inputErrorOf(() => readAnnotations({ annotations: at('a/b/set/json') }));
    assert.match(message, /x\.json: imagePath is "\.\.\/\.\.\/\.\.\/secret\.png", which leads outside/);
  });

  test('a training and its validation number their classes alike', () => {
    write({
      'train/a.json': labelme('a.png', [rectangle('cat'), rectangle('dog')]),
      'train/a.png': picture,
      'val/b.json': labelme('b.png', [rectangle('dog')]),
      'val/b.png': picture,
    });
    const val = openSplitDataset({ annotations: at('val') }, { name: 'data.val', train: { annotations: at('train') } });
    assert.deepEqual(
      val.categories.map(({ name }) => name),
      ['cat', 'dog'],
    );
    assert.equal(val.annotations.annotations[0]!.categoryId, 2);
    assert.equal(val.format, 'labelme');
    assert.match(
      inputErrorOf(() => openSplitDataset({ annotations: at('val'), set: 'val' }, { name: 'data.val' })),
      /data\.val\.set: is for folders of PASCAL VOC, .* is labelme\): remove it and name the folder of the set/,
    );
  });

  test('a shape of the kind mask, as labelme stores it', async () => {
    const pixels = Buffer.from([1, 0, 1, 1]);
    const png = await sharp(pixels, { raw: { width: 2, height: 2, channels: 1 } })
      .png({ colours: 256, palette: false })
      .toColourspace('b-w')
      .toBuffer();
    const mask = {
      label: 'leaf',
      points: [
        [3, 4],
        [4, 5],
      ],
      group_id: null,
      shape_type: 'mask',
      flags: {},
      mask: png.toString('base64'),
    };
    write({ 'a.json': labelme('a.png', [mask]), 'a.png': picture });
    const [object] = readAnnotations({ annotations: folder }).dataset.annotations;
    assert.deepEqual([[...object!.bbox], object!.area], [[3, 4, 2, 2], 3]);
  });
});

describe('CVAT', () => {
  const image = (name: string, more = '') =>
    `<image id="0" name="${name}" width="40" height="30" ${more}><box label="cup" xtl="1" ytl="2" xbr="11" ybr="22" z_order="0"></box></image>`;
  const xml = (images: string) =>
    `<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><labels><label><name>cup</name></label></labels></task></meta>${images}</annotations>`;

  test('an export with its pictures, one without, and the file itself', () => {
    write({
      'a/annotations.xml': xml(image('deep/x.png')),
      'a/images/deep/x.png': picture,
      'b/annotations.xml': xml(image('x.png')),
    });
    assert.equal(annotationFormat({ annotations: at('a') }), 'cvat');
    assert.equal(annotationFormat({ annotations: at('a/annotations.xml') }), 'cvat');
    assert.deepEqual(namesIn({ annotations: at('a') }), { images: 'a/images', names: ['deep/x.png'] });
    assert.deepEqual(namesIn({ annotations: at('b') }), { images: 'b', names: ['x.png'] });
    assert.deepEqual(namesIn({ annotations: at('b'), images: at('a') }), { images: 'a', names: ['x.png'] });
    assert.equal(openSplitDataset({ annotations: at('a') }, { name: 'data.train' }).samples.length, 1);
  });

  test('subsets of a project are sets, their pictures in folders of their names or not', () => {
    write({
      'annotations.xml': xml(image('x.png', 'subset="Train"') + image('y.png', 'subset="Validation"')),
      'images/Train/x.png': picture,
      'images/y.png': picture,
    });
    assert.deepEqual(annotationSets({ annotations: folder }), ['train', 'val']);
    assert.deepEqual(namesIn({ annotations: folder }).names, ['Train/x.png', 'y.png']);
    assert.deepEqual(namesIn({ annotations: folder, set: 'val' }).names, ['y.png']);
    const message = inputErrorOf(() => openSplitDataset({ annotations: folder }, { name: 'data.train' }));
    assert.match(message, /data\.train\.set: missing: set it to one of train, val/);
  });

  test('the pictures of a film: named without their ending by images, by number by tracks', () => {
    const box = (frame: number, outside: number) =>
      `<box frame="${frame}" outside="${outside}" occluded="0" keyframe="1" xtl="1" ytl="2" xbr="11" ybr="22" z_order="0"></box>`;
    write({
      'images-1.1/annotations.xml': xml(image('frame_000000') + image('frame_000001')),
      'images-1.1/images/frame_000000.PNG': picture,
      'images-1.1/images/frame_000001.PNG': picture,
      'video-1.1/annotations.xml': xml(`<track id="0" label="cup">${box(0, 0)}${box(1, 0)}${box(2, 1)}</track>`),
      'video-1.1/images/frame_000000.PNG': picture,
      'video-1.1/images/frame_000001.PNG': picture,
      'video-1.1/images/frame_000002.PNG': picture,
    });
    assert.deepEqual(namesIn({ annotations: at('images-1.1') }).names, ['frame_000000.PNG', 'frame_000001.PNG']);
    const { dataset } = readAnnotations({ annotations: at('video-1.1') });
    assert.deepEqual(
      dataset.images.map(({ fileName, width }) => [fileName, width]),
      [0, 1, 2].map((frame) => [`frame_00000${frame}.PNG`, 40]),
    );
    assert.deepEqual(
      dataset.annotations.map(({ imageId }) => imageId),
      [1, 2],
    );
    rmSync(at('video-1.1/images'), { recursive: true });
    assert.match(
      inputErrorOf(() => readAnnotations({ annotations: at('video-1.1') })),
      /video-1\.1 has no pictures of frames \(expected frame_000000\.PNG and so on\)/,
    );
  });

  test('is told from PASCAL VOC', () => {
    const voc = '<annotation><size><width>40</width><height>30</height></size></annotation>';
    write({ 'voc/a.xml': voc, 'voc/b.xml': voc });
    assert.equal(annotationFormat({ annotations: at('voc') }), 'voc');
    assert.equal(annotationFormat({ annotations: at('voc/a.xml') }), 'voc');
  });
});

// A few lines of each, as the documentation of its tool shows them.
const others: readonly (readonly [name: string, files: Readonly<Record<string, string>>, remedy: RegExp])[] = [
  [
    'Label Studio',
    {
      'project-1.json':
        '[{"id": 1, "data": {"image": "/data/upload/1/a.jpg"}, "annotations": [{"id": 1, "result": [{"type": "rectanglelabels"}]}]}]',
    },
    /Export and then COCO/,
  ],
  [
    'Label Studio',
    { 'min.json': '[{"image": "/data/upload/a.jpg", "id": 1, "label": [{"x": 1, "rectanglelabels": ["cat"]}]}]' },
    /Export and then COCO/,
  ],
  [
    'VIA',
    { 'via_project.json': '{"_via_settings": {"ui": {}}, "_via_img_metadata": {}}' },
    /Export Annotations \(COCO format\)/,
  ],
  [
    'VIA',
    {
      'via_region_data.json':
        '{"a.jpg1234": {"filename": "a.jpg", "size": 1234, "regions": [{"shape_attributes": {"name": "rect"}}]}}',
    },
    /COCO format/,
  ],
  [
    'VIA',
    {
      'via.csv':
        'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n',
    },
    /COCO format/,
  ],
  [
    'Supervisely',
    {
      'meta.json': '{"classes": [{"title": "cat", "shape": "polygon"}], "tags": []}',
      'ds0/ann/a.jpg.json': '{"size": {"height": 3, "width": 4}, "objects": [{"classTitle": "cat"}]}',
    },
    /Export to COCO/,
  ],
  ['TFRecord', { 'train.tfrecord-00000-of-00002': 'x' }, /export the set again as COCO/],
  [
    'CreateML',
    {
      '_annotations.createml.json':
        '[{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3, "height": 4}}]}]',
    },
    /COCO JSON/,
  ],
  [
    "Roboflow's table",
    { 'train/_annotations.csv': 'filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,4,3,cat,0,0,1,1\n' },
    /in Roboflow choose Download and then COCO JSON or YOLO/,
  ],
  [
    'Datumaro',
    {
      'annotations/train.json':
        '{"info": {}, "categories": {"label": {"labels": [{"name": "cat"}]}}, "items": [{"id": "a"}]}',
    },
    /datum convert/,
  ],
  [
    'Labelbox',
    { 'export.ndjson': '{"data_row": {"id": "x"}, "media_attributes": {}, "projects": {}}\n' },
    /labelbox package/,
  ],
  [
    'V7 Darwin',
    { 'a.json': '{"version": "2.0", "item": {"name": "a.jpg", "slots": []}, "annotations": []}' },
    /release as COCO/,
  ],
  [
    'Open Images',
    { 'train-annotations-bbox.csv': 'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n' },
    /FiftyOne/,
  ],
  [
    'the kind CSV, a table of boxes',
    { 'boxes.csv': 'image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,3,4,owl\n' },
    /write its rows as COCO .*, or name a module/,
  ],
  [
    'DOTA',
    { 'labelTxt/P0001.txt': 'imagesource:GoogleEarth\ngsd:0.146\n2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n' },
    /YOLO outlines/,
  ],
  [
    'KITTI',
    {
      'label_2/000000.txt': 'Pedestrian 0.00 0 -0.20 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n',
    },
    /columns 5 to 8/,
  ],
  ["Hugging Face's tables", { 'data/train-00000.parquet': 'PAR1' }, /datasets package/],
  [
    "Ultralytics' NDJSON",
    { 'set.ndjson': '{"type": "dataset", "task": "detect", "name": "x"}\n' },
    /download the set as YOLO/,
  ],
];

describe('formats that are not read', () => {
  for (const [name, files, remedy] of others)
    test(`${name} (${Object.keys(files)[0]}) is called by its name`, () => {
      write(files);
      const message = inputErrorOf(() => annotationFormat({ annotations: folder }));
      assert.ok(message.startsWith(`${folder}: is of ${name}`), message);
      assert.match(message, remedy);
      assert.doesNotMatch(message, /\n/);
    });

  test('one file too; what is unknown, and COCO, are not taken for one of them', () => {
    write({
      'a.csv': 'filename,width,height,class,xmin,ymin,xmax,ymax\n',
      'unknown/a.json': '{"hello": 1}',
      'coco.json': JSON.stringify({ info: {}, images: [], annotations: [], categories: [] }),
    });
    assert.match(
      inputErrorOf(() => annotationFormat({ annotations: at('a.csv') })),
      /a\.csv: is of Roboflow's table/,
    );
    assert.match(
      inputErrorOf(() => annotationFormat({ annotations: at('unknown') })),
      /is a folder of no known format/,
    );
    assert.equal(annotationFormat({ annotations: at('coco.json') }), 'coco');
    // As a folder, it is COCO's with a table beside it: no known one, and none of the others.
    assert.match(
      inputErrorOf(() => annotationFormat({ annotations: folder })),
      /is a folder of no known format/,
    );
  });
});
