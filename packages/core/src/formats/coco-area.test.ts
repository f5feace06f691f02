// The area of an object whose file gives none: pixels of its mask, as pycocotools' mask.area of the merged run lengths.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCoco } from './coco.js';

function areaOf(segmentation: unknown, size: { width?: number; height?: number } = { width: 100, height: 80 }): number {
  const { dataset } = parseCoco(
    JSON.stringify({
      images: [{ id: 1, file_name: 'a.png', ...size }],
      categories: [{ id: 1, name: 'x' }],
      annotations: [{ id: 1, image_id: 1, category_id: 1, bbox: [10, 10, 32, 30], segmentation }],
    }),
    { fileName: 'a.json', purpose: 'evaluation' },
  );
  return dataset.annotations[0]!.area;
}

const square = [10, 10, 42, 10, 42, 40, 10, 40];
const inner = [20, 15, 32, 15, 32, 30, 20, 30];

describe('an object without area', () => {
  test('has that of its one polygon', () => assert.equal(areaOf([square]), 32 * 30));

  test('counts pixels once where its polygons lie in or over one another', () => {
    assert.equal(areaOf([square, inner]), 32 * 30);
    assert.equal(areaOf([square, square]), 32 * 30);
    assert.equal(areaOf([square, [40, 10, 50, 10, 50, 40, 40, 40]]), 40 * 30);
  });

  test('has the area of the parts together where they lie apart', () => {
    assert.equal(areaOf([square, [50, 10, 60, 10, 60, 20, 50, 20]]), 32 * 30 + 100);
  });

  test('has no more than what lies in the picture', () => {
    assert.equal(areaOf([[90, 70, 120, 70, 120, 90, 90, 90]]), 10 * 10);
  });

  test('has that of its run lengths, holes left out', () => {
    assert.equal(areaOf({ size: [80, 100], counts: [80, 20, 10, 50, 7840] }), 70);
  });

  test('in a picture of unknown size has that of the mask on a canvas that holds it', () => {
    assert.equal(areaOf([square, inner], {}), 32 * 30);
    assert.equal(areaOf([square, [40, 10, 50, 10, 50, 40, 40, 40]], {}), 40 * 30);
  });

  test('without a mask has that of its box', () => assert.equal(areaOf(undefined), 32 * 30));
});
