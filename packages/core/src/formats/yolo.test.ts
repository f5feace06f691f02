// YOLO's label files, by the layout that its documentation shows, and written and read again.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXywh } from '../boxes/box.js';
import { maskIou } from '../masks/mask-iou.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import { rleArea } from '../masks/rle.js';
import { encodeMask } from '../masks/rle-encode.js';
import { inputErrorOf } from '../testing/input-error.js';
import type { Annotation, Dataset } from './dataset.js';
import { formatYolo, yoloTaskOf } from './format-yolo.js';
import { checkYolo, parseYolo, type YoloClasses, yoloCategories } from './yolo.js';

const names = ['thing', 'other'];
const picture = { image: 'a.jpg', width: 64, height: 48 };
const parse = (content: string | undefined, classes: YoloClasses = { names }) =>
  parseYolo([{ fileName: 'labels/a.txt', ...picture, ...(content === undefined ? {} : { content }) }], classes);
const refusalOf = (content: string, classes?: YoloClasses) => inputErrorOf(() => parse(content, classes)).message;

describe('YOLO labels', () => {
  test('a box by its centre, in fractions of the picture', () => {
    const { dataset } = parse('0 0.5 0.5 0.25 0.5\n1 0.125 0.25 0.0625 0.125\n');
    assert.deepEqual(
      dataset.annotations.map(({ categoryId, bbox, area }) => [categoryId, [...bbox], area]),
      [
        [1, [24, 12, 16, 24], 384],
        [2, [6, 9, 4, 6], 24],
      ],
    );
    assert.deepEqual(dataset.categories, [
      { id: 1, name: 'thing' },
      { id: 2, name: 'other' },
    ]);
  });

  test('outlines, whose box is around them', () => {
    const [object] = parse('1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75').dataset.annotations;
    assert.deepEqual([...object!.bbox], [16, 12, 32, 24]);
    assert.equal(object!.area, 32 * 24);
    assert.deepEqual(object!.segmentation, { kind: 'polygons', polygons: [[16, 12, 48, 12, 48, 36, 16, 36]] });
  });

  test('poses, with visibilities and without', () => {
    const of = (numbers: 2 | 3): YoloClasses => ({ names, keypoints: { names: ['head', 'tail'], numbers } });
    const [full] = parse('0 0.5 0.5 0.5 0.5 0.25 0.5 2 0 0 0', of(3)).dataset.annotations;
    assert.deepEqual(full!.keypoints, [16, 24, 2, 0, 0, 0]);
    assert.equal(full!.numKeypoints, 1);
    const [bare] = parse('0 0.5 0.5 0.5 0.5 0.25 0.5 0 0', of(2)).dataset.annotations;
    assert.deepEqual(bare!.keypoints, [16, 24, 2, 0, 0, 0]);
  });

  test('blank lines, line ends of Windows, a byte order mark, no file at all', () => {
    assert.equal(parse('\uFEFF\r\n0 0.5 0.5 0.25 0.5  \r\n\r\n').dataset.annotations.length, 1);
    assert.deepEqual(parse(undefined).dataset.annotations, []);
    assert.equal(parse(undefined).dataset.images.length, 1);
  });

  test('an object that stands twice is said, and kept', () => {
    const { dataset, warnings } = parse('0 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.25 0.5\n0 0.50 0.5 0.25 0.5');
    assert.equal(dataset.annotations.length, 3);
    assert.deepEqual(
      warnings.map(({ message }) => message),
      [
        'labels/a.txt: line 3 has the image, category and box of line 1: both are kept; remove one if they are one object',
      ],
    );
  });

  test('classes of one name are said, and kept', () => {
    const { dataset, warnings } = parse('1 0.5 0.5 0.25 0.5', { names: ['cup', 'cup'] });
    assert.deepEqual(
      dataset.categories.map(({ id, name }) => [id, name]),
      [
        [1, 'cup'],
        [2, 'cup'],
      ],
    );
    assert.match(warnings[0]!.message, /names\[1\] is "cup", as names\[0\]: both are kept; name the classes apart/);
  });

  test('what is wrong names file, line and remedy', () => {
    assert.equal(
      refusalOf('0 0.5 0.5 0.25 0.5\n7 0.5 0.5 0.25 0.5'),
      'labels/a.txt: line 2 is of class 7 (expected 0 to 1): add the class to names, or correct it',
    );
    assert.match(refusalOf('0 0.5 0.5 0.25'), /^labels\/a.txt: line 1 has 4 numbers \(expected 5, class and box, or 7/);
    assert.match(refusalOf('0 0.5 0.5 0.25 0.5 0.9'), /remove the sixth, where it is the score of a prediction/);
    assert.match(refusalOf('0 32 24 20 16'), /line 1 has 32 \(expected fractions of the picture, 0 to 1\): divide/);
    assert.match(refusalOf('0 -0.2 0.5 0.1 0.1'), /has -0.2 /);
    assert.match(
      refusalOf('0 0.5 0.5 0.1 0.1 0.4 0.4 2 0 0 0'),
      /has 2 .*: poses need kpt_shape: \[2, 3\] in data\.yaml/,
    );
    assert.match(refusalOf('0 5 5 9 5 9 9 5 9 5 7'), /has 5 .*: divide pixels/);
    assert.match(refusalOf('0.5 0.5 0.5 0.25 0.5'), /is of class 0.5/);
    assert.match(refusalOf('thing 0.5 0.5 0.25 0.5'), /has "thing" \(expected numbers\)/);
    const remedies = {
      '0 0,5 0.5 0.25 0.5': /has "0,5" \(expected numbers\): write a point for the comma, 0\.5$/,
      '0,0.5,0.5,0.25,0.5': /separate numbers by blanks alone/,
      '0;0.5;0.5;0.25;0.5': /separate numbers by blanks alone/,
      '0 0.5 0.5 0.25 0.5,': /has "0\.5," .*separate numbers by blanks alone/,
      '0 50% 0.5 0.25 0.5': /has "50%" .*write fractions of the picture, such as 0\.5 for 50%/,
      'other 0.5 0.5 0.25 0.5': /write the number of the class, which is 1/,
      'Füchse 0.5 0.5 0.25 0.5': /write the number of the class, from 0 on/,
      '# class x y w h': /has "#" .*remove comments/,
      '0 0x1 0.5 0.25 0.5': /has "0x1" \(expected numbers\): write the object again/,
      '0 0.5 0.5 -0.25 0.5': /has -0\.25 \(expected fractions of the picture, 0 to 1\): correct it/,
    };
    for (const [line, expected] of Object.entries(remedies)) assert.match(refusalOf(line), expected);
    assert.match(refusalOf('0 nan 0.5 0.25 0.5'), /has "nan"/);
    assert.match(refusalOf('0 0.5 0.5 1e999 0.5'), /has "1e999"/);
    const pose: YoloClasses = { names, keypoints: { names: ['head'], numbers: 3 } };
    assert.match(refusalOf('0 0.5 0.5 0.25 0.5', pose), /has 5 numbers \(expected 8: class, box and 3 for each of 1/);
    assert.match(refusalOf('0 0.5 0.5 0.25 0.5 0.5 0.5 3', pose), /visibility 3 for keypoint 1/);
  });

  test('boxes over the border are clipped for training, points are left out; an evaluation keeps both', () => {
    const content = '0 0.05 0.5 0.2 0.5\n0 0.5 0.5 0 0.5';
    const trained = parse(content);
    assert.deepEqual([...trained.dataset.annotations[0]!.bbox].map(Math.round), [0, 12, 10, 24]);
    assert.deepEqual(
      trained.warnings.map(({ code }) => code),
      ['box-clipped', 'box-degenerate'],
    );
    const file = { fileName: 'a.txt', content, ...picture };
    assert.equal(parseYolo([file], { names, purpose: 'evaluation' }).dataset.annotations.length, 2);
    assert.equal(checkYolo([file], { names }).length, 2);
  });
});

describe('YOLO labels written and read again', () => {
  const image = { id: 5, fileName: 'a.jpg', width: 640, height: 427 };
  const categories = [
    { id: 9, name: 'late' },
    { id: 2, name: 'early' },
  ];
  const again = (dataset: Dataset) => {
    const task = yoloTaskOf(dataset);
    const { texts, losses } = formatYolo(dataset, task);
    const keypoints = dataset.categories[0]?.keypoints;
    const classes: YoloClasses = {
      names: ['early', 'late'],
      ...(keypoints === undefined ? {} : { keypoints: { names: keypoints, numbers: 3 } }),
    };
    const file = {
      fileName: 'a.txt',
      content: texts[0]!,
      image: image.fileName,
      width: image.width,
      height: image.height,
    };
    return { ...parseYolo([file], { ...classes, purpose: 'evaluation' }), task, losses };
  };
  const object = (more: Partial<Annotation>): Annotation => ({
    id: 1,
    imageId: 5,
    categoryId: 9,
    bbox: boxXywh(10, 20, 30, 40),
    area: 1200,
    isCrowd: false,
    ...more,
  });

  test('any box comes back within a billionth of a pixel, its category by the order of ids', () => {
    const side = fc.double({ min: 0.01, max: 300, noNaN: true });
    fc.assert(
      fc.property(side, side, side, side, (x, y, w, h) => {
        const bbox = boxXywh(x, Math.min(y, 120), w, Math.min(h, 300));
        const { dataset } = again({ images: [image], categories, annotations: [object({ bbox })] });
        const [read] = dataset.annotations;
        assert.equal(dataset.categories[read!.categoryId - 1]!.name, 'late');
        bbox.forEach((value, i) => {
          assert.ok(Math.abs(value - read!.bbox[i]!) < 1e-9);
        });
      }),
    );
  });

  test('polygons and keypoints come back', () => {
    const polygon = [10, 20.25, 40, 20, 40, 60, 12, 59];
    const area = rleArea(polygonsToRle([polygon], [image.height, image.width]));
    const masked = object({ area, segmentation: { kind: 'polygons', polygons: [polygon] } });
    const { dataset, task, losses } = again({ images: [image], categories, annotations: [masked] });
    assert.equal(task, 'segment');
    assert.ok(Object.values(losses).every((count) => count === 0));
    const other = again({ images: [image], categories, annotations: [{ ...masked, area: area + 1 }] });
    assert.deepEqual([other.losses.areas, other.dataset.annotations[0]!.area], [1, area]);
    const { segmentation } = dataset.annotations[0]!;
    assert.ok(segmentation?.kind === 'polygons');
    segmentation.polygons[0]!.forEach((value, i) => {
      assert.ok(Math.abs(value - polygon[i]!) < 1e-9);
    });

    const posed = categories.map((category) => ({ ...category, keypoints: ['head', 'tail'] }));
    const keypoints = [12, 30, 2, 0, 0, 0];
    const pose = again({ images: [image], categories: posed, annotations: [object({ keypoints }), object({})] });
    assert.equal(pose.task, 'pose');
    assert.deepEqual(pose.dataset.annotations[0]!.keypoints, keypoints);
    assert.equal(pose.dataset.annotations[1]!.numKeypoints, 0);
    assert.equal(pose.losses.bare, 1);
  });

  test('run lengths, holes and several parts become one outline of the same pixels, and that is counted', () => {
    const mask = new Uint8Array(image.width * image.height);
    const fill = (left: number, top: number, width: number, height: number, value: number) => {
      for (let y = top; y < top + height; y++) mask.fill(value, y * image.width + left, y * image.width + left + width);
    };
    fill(20, 30, 50, 40, 1);
    fill(30, 40, 10, 10, 0);
    fill(200, 100, 20, 10, 1);
    const size = [image.height, image.width] as const;
    const rle = encodeMask(mask, size);
    const masked = object({ segmentation: { kind: 'rle', rle } });
    const { dataset, losses } = again({ images: [image], categories, annotations: [masked] });
    const { segmentation } = dataset.annotations[0]!;
    assert.ok(segmentation?.kind === 'polygons');
    const read = polygonsToRle(segmentation.polygons, size);
    assert.ok(maskIou([read], [rle])[0]! > 0.97, String(maskIou([read], [rle])[0]));
    assert.deepEqual([losses.traced, losses.joined, losses.boxes], [1, 1, 1]);
  });

  test('crowds have no place, and that is counted', () => {
    const { dataset, losses } = again({ images: [image], categories, annotations: [object({ isCrowd: true })] });
    assert.deepEqual([dataset.annotations.length, losses.crowds], [0, 1]);
  });
});

test('categories have the keypoints and their pairs', () => {
  const keypoints = { names: ['l', 'r'], numbers: 3, flipPairs: [[0, 1]] } as const;
  assert.deepEqual(yoloCategories({ names: ['cat'], keypoints }), [
    { id: 1, name: 'cat', keypoints: ['l', 'r'], flipPairs: [[0, 1]] },
  ]);
});
