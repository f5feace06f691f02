import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recordOperators, scope } from '@goshawk/torch';
import { frameValues } from '../models/index.js';
import { type DeviceBatch, deviceBatchOf, imageBatchOf, targetsOf } from './network-batch.js';

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

describe('deviceBatchOf', () => {
  const height = 80;
  const width = 96;
  const batch = () => ({
    pixels: Float32Array.from({ length: 2 * height * width * 3 }, (_, i) => Math.sin(i)),
    height,
    width,
    images: [1, 2].map((scale) => ({
      height,
      width: 64,
      originalHeight: height * scale,
      originalWidth: 64 * scale,
      scaleX: 1 / scale,
      scaleY: 1 / scale,
      proposals: Float32Array.from({ length: 4 * scale }, (_, i) => i),
    })),
    targets: [
      {
        boxes: Float32Array.of(1, 2, 30, 40, 5, 6, 7, 8),
        classes: Int32Array.of(2, 1),
        masks: [
          { x: 1, y: 2, width: 3, height: 5, data: new Uint8Array(15).fill(1) },
          { x: 5, y: 6, width: 1, height: 1, data: Uint8Array.of(1) },
        ],
        keypoints: Float32Array.from({ length: 2 * 3 * 3 }, (_, i) => i / 2),
        areas: new Float32Array(2),
        annotationIds: [1, 2],
      },
      {
        boxes: new Float32Array(0),
        classes: new Int32Array(0),
        masks: [],
        keypoints: new Float32Array(0),
        areas: new Float32Array(0),
        annotationIds: [],
      },
    ],
  });
  const contents = ({ images, targets }: DeviceBatch) =>
    [
      images.pixels,
      ...(images.proposals ?? []),
      ...targets.flatMap(({ boxes, labels, masks, keypoints }) => [
        boxes,
        labels,
        masks!.pixels,
        masks!.crops,
        keypoints!,
      ]),
    ].map((value) => [value.dtype, value.shape, value.strides, value.toNumbers()]);

  test('gathered into one copy is the same batch, in memory of its own', () =>
    scope(() => {
      const source = batch();
      const gathered = deviceBatchOf(source, 'cpu', { gathered: true });
      const ordinary = deviceBatchOf(source, 'cpu', { gathered: false });
      assert.deepEqual(contents(gathered), contents(ordinary));
      const { pixels: _, proposals: __, frames, ...facts } = gathered.images;
      const { pixels: ___, proposals: ____, ...expected } = ordinary.images;
      assert.deepEqual(facts, expected);
      assert.deepEqual(frames!.shape, [2, 3, 4]);
      assert.deepEqual(frames!.toFloat32Array(), frameValues(expected));
      const before = contents(gathered);
      // The loader's workers write the next pictures there.
      source.pixels.fill(0);
      source.images[0]!.proposals.fill(0);
      assert.deepEqual(contents(gathered), before);
    }));

  test('goes to the device in one copy, whatever there is in it', () =>
    scope(() => {
      const counts = recordOperators(() => deviceBatchOf(batch(), 'cpu', { gathered: true }));
      assert.equal(counts.get('aten::to.dtype_layout'), 1);
      // What lies in JavaScript is read twice: the pixels, and all else.
      assert.equal(counts.get('goshawk::from_host'), 2);
    }));

  test('copies no pixels on the CPU', () =>
    scope(() => {
      const source = batch();
      const { images } = deviceBatchOf(source);
      source.pixels[0] = 99;
      assert.equal(images.pixels.toNumbers()[0], 99);
    }));
});
