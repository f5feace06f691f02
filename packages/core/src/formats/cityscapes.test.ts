// Cityscapes labels painted by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeMask } from '../masks/rle-encode.js';
import { cityscapesDataset } from './cityscapes.js';
import { cityscapesCategories } from './cityscapes-labels.js';
import { drawCityscapesPolygons } from './cityscapes-polygons.js';
import type { Dataset } from './dataset.js';

const labels = (rows: readonly (readonly number[])[]) => ({
  fileName: 'labels.png',
  image: 'city/a_leftImg8bit.png',
  width: rows[0]!.length,
  height: rows.length,
  ids: Uint16Array.from(rows.flat()),
});

/** Masks as rows of 0 and 1. */
const maskRows = ({ images, annotations }: Dataset, place: number) => {
  const { segmentation } = annotations[place]!;
  assert.ok(segmentation?.kind === 'rle');
  const mask = decodeMask(segmentation.rle);
  const { width, height } = images[0]!;
  return Array.from({ length: height }, (_, y) => [...mask.subarray(y * width, (y + 1) * width)].join(''));
};

describe('instance labels', () => {
  const dataset = cityscapesDataset([
    labels([
      [26001, 26001, 7, 24000],
      [26001, 26, 26, 24000],
      [0, 9, 26, 29001],
    ]),
  ]);

  test('become objects with masks, boxes and areas, groups become crowds', () => {
    assert.deepEqual(
      dataset.annotations.map(({ categoryId, isCrowd, area, bbox }) => ({
        categoryId,
        isCrowd,
        area,
        bbox: [...bbox],
      })),
      [
        { categoryId: 26, isCrowd: true, area: 3, bbox: [1, 1, 2, 2] },
        { categoryId: 24, isCrowd: false, area: 2, bbox: [3, 0, 1, 2] },
        { categoryId: 26, isCrowd: false, area: 3, bbox: [0, 0, 2, 2] },
      ],
    );
    assert.deepEqual(maskRows(dataset, 0), ['0000', '0110', '0010']);
    assert.deepEqual(maskRows(dataset, 2), ['1100', '1000', '0000']);
    assert.equal(dataset.images[0]?.fileName, 'city/a_leftImg8bit.png');
  });

  test('void classes are one ignored region; single caravans are background, as in the original', () => {
    const mask = decodeMask(dataset.ignoredRegions!.get(1)!);
    assert.deepEqual([...mask], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
  });

  test('the eight classes have the ids of Cityscapes', () => {
    assert.equal(
      cityscapesCategories.map(({ id, name }) => `${id} ${name}`).join(', '),
      '24 person, 25 rider, 26 car, 27 truck, 28 bus, 31 train, 32 motorcycle, 33 bicycle',
    );
  });

  test('an id that cannot be, and a wrong size, are named', () => {
    assert.throws(() => cityscapesDataset([labels([[7, 11003]])]), /^InputError: labels\.png: pixel 1, 0 is 11003/);
    assert.throws(() => cityscapesDataset([labels([[255]])]), /pixel 0, 0 is 255 \(expected an id of Cityscapes/);
    assert.throws(() => cityscapesDataset([{ ...labels([[7]]), width: 2 }]), /has 1 pixels \(expected 1 x 2\)/);
  });
});

describe('polygons', () => {
  const square = (x: number, y: number, side: number) => [
    [x, y],
    [x + side, y],
    [x + side, y + side],
    [x, y + side],
  ];
  const draw = (objects: readonly object[], size = { imgHeight: 4, imgWidth: 6 }) =>
    drawCityscapesPolygons(JSON.stringify({ ...size, objects }), { fileName: 'p.json', image: 'p.png' });

  test('are numbered by class and cover what came before', () => {
    const { ids } = draw([
      { label: 'road', polygon: square(0, 0, 6) },
      { label: 'car', polygon: square(0, 0, 2) },
      { label: 'cargroup', polygon: square(4, 0, 2) },
      { label: 'car', polygon: square(1, 1, 2) },
      { label: 'person', polygon: square(0, 0, 6), deleted: 1 },
      { label: 'license plate', polygon: square(0, 0, 1) },
    ]);
    assert.deepEqual(
      Array.from({ length: 4 }, (_, y) => [...ids.subarray(6 * y, 6 * y + 6)]),
      [
        [26000, 26000, 7, 7, 26, 26],
        [26000, 26001, 26001, 7, 26, 26],
        [7, 26001, 26001, 7, 7, 7],
        [7, 7, 7, 7, 7, 7],
      ],
    );
  });

  test('faults are named with the object', () => {
    assert.throws(() => draw([{ label: 'cow', polygon: [] }]), /p\.json: objects\[0\]\.label is "cow"/);
    assert.throws(() => draw([{ label: 'car', polygon: [[1, 'x']] }]), /objects\[0\]\.polygon is/);
    assert.throws(() => draw([], { imgHeight: 0, imgWidth: 6 }), /imgHeight is 0/);
    assert.throws(() => draw([], { imgHeight: 1e6, imgWidth: 1e6 }), /is 1000000 x 1000000/);
    const options = { fileName: 'p.json', image: 'p.png' };
    assert.throws(() => drawCityscapesPolygons('{"imgHeight": 1, "imgWidth": 1}', options), /objects is missing/);
    assert.throws(() => drawCityscapesPolygons('[', options), /p\.json: is not JSON/);
  });
});
