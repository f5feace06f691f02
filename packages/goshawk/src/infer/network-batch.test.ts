import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scope } from '@goshawk/torch';
import { imageBatchOf, targetsOf } from './network-batch.js';

describe('imageBatchOf', () => {
  // Two pictures of 1 x 2 pixels; red, green and blue of a pixel lie side by side.
  const batch = () => ({
    pixels: Float32Array.from({ length: 12 }, (_, i) => i),
    height: 1,
    width: 2,
    images: [
      { height: 1, width: 2, originalHeight: 2, originalWidth: 4, scaleX: 0.5, scaleY: 0.5 },
      { height: 1, width: 1, originalHeight: 1, originalWidth: 1, scaleX: 1, scaleY: 1 },
    ],
  });

  test('gives [N, 3, H, W] in channels_last over the same memory', () =>
    scope(() => {
      const source = batch();
      const { pixels, sizes, originals, scales } = imageBatchOf(source);
      assert.deepEqual(pixels.shape, [2, 3, 1, 2]);
      assert.ok(pixels.isContiguous('channels_last'));
      assert.deepEqual(pixels.toNumbers(), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
      assert.deepEqual(sizes, [
        [1, 2],
        [1, 1],
      ]);
      assert.deepEqual(originals[0], [2, 4]);
      assert.deepEqual(scales[0], { x: 0.5, y: 0.5 });
      source.pixels[0] = 99;
      assert.equal(pixels.toNumbers()[0], 99);
    }));
});

describe('targetsOf', () => {
  const crop = (x: number, y: number, width: number, height: number) => ({
    x,
    y,
    width,
    height,
    data: new Uint8Array(width * height).fill(x),
  });
  const target = (count: number) => ({
    boxes: Float32Array.from({ length: count * 4 }, (_, i) => i),
    classes: Int32Array.from({ length: count }, (_, i) => i + 1),
    areas: new Float32Array(count),
    annotationIds: [],
  });

  test('lays the masks of an image one after another, each with its place', () =>
    scope(() => {
      const [found] = targetsOf({ targets: [{ ...target(2), masks: [crop(1, 2, 2, 3), crop(5, 6, 1, 2)] }] });
      assert.deepEqual(found!.boxes.shape, [2, 4]);
      assert.deepEqual(found!.labels.toNumbers(), [1, 2]);
      assert.deepEqual(found!.masks!.pixels.toNumbers(), [1, 1, 1, 1, 1, 1, 5, 5]);
      assert.deepEqual(found!.masks!.crops.toNumbers(), [0, 1, 2, 2, 3, 6, 5, 6, 1, 2]);
    }));

  test('gives keypoints as [G, K, 3], also to an image without objects, and polygons as they are', () =>
    scope(() => {
      const points = { ...target(2), keypoints: Float32Array.from({ length: 12 }, (_, i) => i), polygons: [[], []] };
      const [two, none] = targetsOf({ targets: [points, { ...target(0), keypoints: new Float32Array(0) }] });
      assert.deepEqual(two!.keypoints!.shape, [2, 2, 3]);
      assert.deepEqual(two!.keypoints!.toNumbers(), [...points.keypoints]);
      assert.deepEqual(none!.keypoints!.shape, [0, 2, 3]);
      assert.deepEqual([two!.polygons, none!.polygons], [[[], []], undefined]);
    }));

  test('takes images without objects, and objects without masks', () =>
    scope(() => {
      const [none, boxes] = targetsOf({ targets: [{ ...target(0), masks: [] }, target(1)] });
      assert.deepEqual([none!.boxes.shape, none!.labels.shape, none!.masks!.crops.shape], [[0, 4], [0], [0, 5]]);
      assert.equal(boxes!.masks, undefined);
    }));
});
