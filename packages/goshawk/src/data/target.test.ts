import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Annotation, aspectWindow, boxXywh, createRandom, networkSize, torchvisionSize } from '@goshawk/core';
import fc from 'fast-check';
import { makeTarget, proposalsInView } from './target.js';

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

test('a box that float32 holds at the corner of the picture, but not where that lies in the frame, is left out', () => {
  const small = { ...annotation, bbox: boxXywh(0, 1, 1e-6, 4) };
  assert.equal(makeTarget([small], image, base).boxes.length, 4);
  const frame = { width: 300, height: 20, left: 260, top: 0 };
  const options = { ...base, size: { ...size, frame } };
  assert.deepEqual(makeTarget([small], image, options).annotationIds, []);
  assert.deepEqual([...makeTarget([annotation], image, options).boxes], [260, 2, 268, 10]);
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

test('polygons are mirrored and scaled; those of a run-length mask go around its pixels', () => {
  const options = { ...base, flip: true, polygons: true, classes: [3, 3] };
  const rle = { size: [10, 20] as const, counts: Uint32Array.of(10, 10, 180) };
  const polygons = [
    [0, 1, 4, 1, 4, 5],
    [1, 2, 3, 4],
  ];
  const { polygons: found } = makeTarget(
    [
      { ...annotation, segmentation: { kind: 'polygons', polygons } },
      { ...annotation, segmentation: { kind: 'rle', rle } },
    ],
    image,
    options,
  );
  assert.deepEqual(found![0], [Float64Array.of(40, 2, 32, 2, 32, 10)]);
  // The mask is column 1, rows 0 to 9: x from 1 to 2, mirrored 18 to 19, twice as large.
  const [outline] = found![1]!;
  const corners = Array.from({ length: 4 }, (_, i) => `${outline![i * 2]} ${outline![i * 2 + 1]}`);
  assert.deepEqual([outline!.length, corners.toSorted()], [8, ['36 0', '36 20', '38 0', '38 20']]);
});

describe("with Detectron's conventions", () => {
  // lib/datasets/json_dataset.py and roidb.py of Detectron.pytorch: x2 = x1 + max(0, w - 1), clipped to 0..size - 1;
  // mirrored x is width - x - 1; then everything times the scale, here 2.
  const legacy = { ...base, legacyPlusOne: true, polygons: true, keypointCount: 3, keypointFlipOrder: [1, 0, 2] };

  test('a box holds its last pixel', () => {
    assert.deepEqual([...makeTarget([annotation], image, legacy).boxes], [0, 2, 6, 8]);
    const beyond = { ...annotation, bbox: boxXywh(15, 8, 9, 9) };
    assert.deepEqual([...makeTarget([beyond], image, legacy).boxes], [30, 16, 38, 18]);
  });

  test('x becomes width - 1 - x in boxes, polygons and keypoints', () => {
    const target = makeTarget([annotation], image, { ...legacy, flip: true });
    assert.deepEqual([...target.boxes], [32, 2, 38, 8]);
    assert.deepEqual(target.polygons, [[Float64Array.of(38, 2, 30, 2, 30, 10, 38, 10)]]);
    assert.deepEqual([...target.keypoints!], [32, 8, 1, 36, 4, 2, 0, 0, 0]);
  });

  test('objects of one pixel across, outside of the picture, or without an area are left out with all that is theirs', () => {
    const kept = { ...annotation, id: 9 };
    const objects: Annotation[] = [
      { ...annotation, bbox: boxXywh(3, 3, 1, 5) },
      { ...annotation, bbox: boxXywh(25, 3, 4, 5) },
      { ...annotation, area: 0 },
      kept,
    ];
    const target = makeTarget(objects, image, { ...legacy, masks: true, classes: [1, 2, 3, 4] });
    assert.deepEqual([...target.classes], [4]);
    assert.deepEqual(target.annotationIds, [9]);
    const { boxes, areas, masks, polygons, keypoints } = target;
    assert.deepEqual(
      [boxes, areas, masks!, polygons!, keypoints!].map((part) => part.length),
      [4, 1, 1, 1, 9],
    );
  });
});

const polygonsOf = (...polygons: number[][]): Annotation['segmentation'] => ({ kind: 'polygons', polygons });

function boundsOf(polygons: readonly Float64Array[]): number[] {
  const [xs, ys] = [0, 1].map((axis) => polygons.flatMap((points) => [...points].filter((_, i) => i % 2 === axis)));
  return [Math.min(...xs!), Math.min(...ys!), Math.max(...xs!), Math.max(...ys!)];
}

describe('in a window', () => {
  const window = { x: 4, y: 2, width: 10, height: 12 };
  const options = { ...base, window, masks: true, polygons: true, keypointCount: 3, keypointFlipOrder: [1, 0, 2] };

  test('boxes are clipped to it, masks cut, polygons and keypoints moved, points outside are not labelled', () => {
    const target = makeTarget([annotation], image, options);
    assert.deepEqual([...target.boxes], [0, 0, 4, 8]);
    const [mask] = target.masks!;
    assert.deepEqual([mask!.x, mask!.y, mask!.width, mask!.height], [0, 0, 4, 8]);
    assert.deepEqual(boundsOf(target.polygons![0]!), [0, 0, 4, 8]);
    assert.deepEqual([...target.keypoints!], [0, 0, 0, 2, 6, 1, 0, 0, 0]);
  });

  test('an object whose box reaches into it, but no polygon, is left out with polygons alone', () => {
    const corner = { ...annotation, bbox: boxXywh(0, 0, 9, 9), segmentation: polygonsOf([0, 0, 1, 0, 1, 9, 0, 9]) };
    assert.deepEqual(makeTarget([corner], image, options).annotationIds, []);
    assert.deepEqual(makeTarget([corner], image, { ...options, polygons: false }).annotationIds, [7]);
  });

  test('an object outside of it is left out', () => {
    const outside = { ...annotation, bbox: boxXywh(0, 0, 2, 9) };
    const target = makeTarget([outside, { ...annotation, id: 8 }], image, { ...options, classes: [1, 2] });
    assert.deepEqual([target.annotationIds, [...target.classes]], [[8], [2]]);
  });

  test("Detectron's boxes end at its last pixel", () => {
    const wide = { ...annotation, bbox: boxXywh(0, 0, 20, 10) };
    assert.deepEqual([...makeTarget([wide], image, { ...options, legacyPlusOne: true }).boxes], [0, 0, 9, 11]);
  });
});

test('proposals go the way of the boxes; those that a window leaves nothing of are left out', () => {
  const proposals = Float32Array.of(-2, 1, 4, 5, 0, 0, 1, 9, 10, 2, 30, 4);
  assert.deepEqual([...proposalsInView(proposals, image, base)], [0, 2, 8, 10, 0, 0, 2, 18, 20, 4, 40, 8]);
  const legacy = { ...base, flip: true, legacyPlusOne: true };
  assert.deepEqual([...proposalsInView(proposals.subarray(0, 4), image, legacy)], [30, 2, 38, 10]);
  const window = { x: 4, y: 2, width: 10, height: 12 };
  assert.deepEqual([...proposalsInView(proposals, image, { ...base, window })], [0, 0, 4, 8]);
});

test('a background picture has empty arrays', () => {
  const target = makeTarget([], image, { ...base, classes: [], masks: true });
  assert.deepEqual([target.boxes.length, target.classes.length, target.masks!.length], [0, 0, 0]);
});

test('no box without width or height in float32 reaches a network, however small it is and wherever it lies', () => {
  const side = fc.oneof(
    fc.integer({ min: -12_000, max: 3500 }).map((power) => 10 ** (power / 1000)),
    fc.constantFrom(0, 5e-324, 1e-45, 1e-30, 1),
  );
  const place = fc.oneof(
    fc.integer({ min: -5000, max: 4_000_000 }).map((value) => value / 1000),
    fc.constantFrom(0, 1000, 2999.999999),
  );
  const picture = { id: 1, fileName: 'a.jpg', width: 3000, height: 1500 };
  const view = fc.record({
    flip: fc.boolean(),
    legacyPlusOne: fc.boolean(),
    minSize: fc.integer({ min: 10, max: 2000 }),
    seed: fc.integer({ min: 0, max: 1000 }),
    isCropped: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.tuple(place, place, side, side), view, (box, { flip, legacyPlusOne, minSize, seed, isCropped }) => {
      const object = { ...annotation, bbox: boxXywh(...box), area: box[2] * box[3] };
      const fitted = networkSize(picture.width, picture.height, 'detectron', { minSize, maxSize: 4000 });
      const bounds = { low: 0.5, high: 1 };
      const window = isCropped ? aspectWindow(fitted, [], bounds, createRandom(seed)) : undefined;
      const options = { ...base, size: fitted, flip, legacyPlusOne, window };
      const { boxes } = makeTarget([object], picture, options);
      for (let i = 0; i < boxes.length; i += 4) {
        assert.ok(Math.fround(boxes[i + 2]! - boxes[i]!) > 0, `${boxes}`);
        assert.ok(Math.fround(boxes[i + 3]! - boxes[i + 1]!) > 0, `${boxes}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a box that float32 cannot tell from nothing is left out, where another of its size at the corner is kept', () => {
  const picture = { id: 1, fileName: 'a.jpg', width: 2000, height: 2000 };
  const own = { ...base, size: networkSize(2000, 2000, 'none', { minSize: 1, maxSize: 1 }) };
  const at = (x: number) => makeTarget([{ ...annotation, bbox: boxXywh(x, 10, 1e-9, 20) }], picture, own).boxes.length;
  assert.deepEqual([at(1000), at(0)], [0, 4]);
});
