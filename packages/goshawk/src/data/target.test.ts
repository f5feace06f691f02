import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Annotation, boxXywh, torchvisionSize } from '@goshawk/core';
import { makeTarget } from './target.js';

const image = { id: 1, fileName: 'a.jpg', width: 20, height: 10 };
const size = torchvisionSize(20, 10, { minSize: 20, maxSize: 1000 });
const base = { size, flip: false, classes: [3], masks: false, keypointCount: 0, keypointFlipOrder: [] };
const annotation: Annotation = {
  id: 7,
  imageId: 1,
  categoryId: 44,
  bbox: boxXywh(-2, 1, 6, 4),
  area: 16,
  isCrowd: false,
  segmentation: { kind: 'polygons', polygons: [[0, 1, 4, 1, 4, 5, 0, 5]] },
  keypoints: [1, 2, 2, 3, 4, 1, 0, 0, 0],
};

test('a box is clipped to the picture and scaled; area by both scales', () => {
  const target = makeTarget([annotation], image, base);
  assert.deepEqual([...target.boxes], [0, 2, 8, 10]);
  assert.deepEqual([...target.classes], [3]);
  assert.deepEqual([...target.areas], [64]);
  assert.deepEqual(target.annotationIds, [7]);
  assert.equal(target.masks, undefined);
  assert.equal(target.keypoints, undefined);
});

test('box, mask and keypoints are mirrored alike', () => {
  const options = { ...base, flip: true, masks: true, keypointCount: 3, keypointFlipOrder: [1, 0, 2] };
  const target = makeTarget([annotation], image, options);
  assert.deepEqual([...target.boxes], [32, 2, 40, 10]);
  const mask = target.masks![0]!;
  assert.deepEqual([mask.x, mask.y, mask.width, mask.height], [32, 2, 8, 8]);
  assert.ok(mask.data.every((value) => value === 1));
  assert.deepEqual([...target.keypoints!], [34, 8, 1, 38, 4, 2, 0, 0, 0]);
});

test('a run-length mask is taken as it is; an object without keypoints has zeros', () => {
  const rle = { size: [10, 20] as const, counts: Uint32Array.of(10, 10, 180) };
  const { keypoints: _, ...plain } = annotation;
  const target = makeTarget([{ ...plain, segmentation: { kind: 'rle', rle } }], image, {
    ...base,
    masks: true,
    keypointCount: 1,
  });
  assert.deepEqual([target.masks![0]!.x, target.masks![0]!.width], [2, 2]);
  assert.deepEqual([...target.keypoints!], [0, 0, 0]);
});

test('a background picture has empty arrays', () => {
  const target = makeTarget([], image, { ...base, classes: [], masks: true });
  assert.deepEqual([target.boxes.length, target.classes.length, target.masks!.length], [0, 0, 0]);
});
