// Masks as outlines and as pixels go through the same things: they come out alike.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXyxy, type ImageSize } from '../boxes/index.js';
import { encodeMask } from '../masks/index.js';
import { BitmapMasks } from './bitmap-masks.js';
import { masksAs, PolygonMasks, type SegmentationMasks } from './polygon-masks.js';

const size: ImageSize = { width: 40, height: 30 };

/** A star around a point: any outline whose corners turn round once, some of it beyond the picture. */
const star = fc
  .record({
    x: fc.integer({ min: 5, max: 35 }),
    y: fc.integer({ min: 5, max: 25 }),
    radii: fc.array(fc.integer({ min: 3, max: 16 }), { minLength: 3, maxLength: 9 }),
    turn: fc.integer({ min: 0, max: 10 }),
  })
  .map(({ x, y, radii, turn }) =>
    radii.flatMap((radius, i) => {
      const angle = ((i + turn / 10) / radii.length) * 2 * Math.PI;
      return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
    }),
  );
const objects = fc.array(fc.array(star, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 3 });

const rectangle = fc
  .tuple(
    fc.integer({ min: 0, max: 35 }),
    fc.integer({ min: 0, max: 25 }),
    fc.integer({ min: 1, max: 5 }),
    fc.integer({ min: 1, max: 5 }),
  )
  .map(([x, y, w, h]) => [x, y, x + w, y, x + w, y + h, x, y + h]);

const part = fc
  .tuple(
    fc.double({ min: -5, max: 38, noNaN: true }),
    fc.double({ min: -5, max: 28, noNaN: true }),
    fc.double({ min: 0, max: 50, noNaN: true }),
    fc.double({ min: 0, max: 50, noNaN: true }),
  )
  .map(([x, y, w, h]) => boxXyxy(x, y, x + w, y + h));

type Change = (masks: SegmentationMasks) => SegmentationMasks;

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>((masks) => masks.flip('horizontal')),
  fc.constant<Change>((masks) => masks.flip('vertical')),
  fc.constant<Change>((masks) => masks.transpose()),
  part.map(
    (box): Change =>
      (masks) =>
        masks.crop(box),
  ),
  fc.record({ width: fc.integer({ min: 20, max: 80 }), height: fc.integer({ min: 15, max: 60 }) }).map(
    (to): Change =>
      (masks) =>
        masks.resize(to),
  ),
);

/**
 * Pixels in which two masks differ and that are further than `reach` from a border of either. The masks are cut out of larger ones,
 * whose borders may lie just outside of the cut: the pixels along it are left to the test of whole rectangles.
 */
function farDifferences(a: Uint8Array, b: Uint8Array, { width, height }: ImageSize, reach: number): number {
  let far = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (a[y * width + x] === b[y * width + x]) continue;
      let isNear = x < reach || y < reach || x >= width - reach || y >= height - reach;
      for (let v = y - reach; v <= y + reach && !isNear; v++)
        for (let u = x - reach; u <= x + reach; u++) {
          const at = v * width + u;
          if (a[at] !== a[y * width + x] || b[at] !== b[y * width + x]) isNear = true;
        }
      if (!isNear) far++;
    }
  return far;
}

function assertAlike(a: SegmentationMasks, b: SegmentationMasks, reach: number): void {
  assert.deepEqual(a.size, b.size);
  assert.equal(a.length, b.length);
  const [one, two] = [masksAs(a, 'bitmaps'), masksAs(b, 'bitmaps')];
  for (let i = 0; i < one.length; i++)
    assert.equal(farDifferences(one.bitmap(i), two.bitmap(i), one.size, reach), 0, `object ${i}`);
}

const bitmapsOf = (masks: SegmentationMasks): Uint8Array[] => {
  const bitmaps = masksAs(masks, 'bitmaps');
  return Array.from({ length: bitmaps.length }, (_, i) => bitmaps.bitmap(i));
};

describe('outlines and pixels', () => {
  test('come out alike of cropping, resizing, mirroring and transposing, but for the pixels on their borders', () => {
    fc.assert(
      fc.property(objects, change, (outlines, apply) => {
        const polygons = PolygonMasks.of(outlines, size);
        assertAlike(apply(polygons), apply(polygons.toBitmaps()), 2);
      }),
      { numRuns: 300 },
    );
  });

  test('of rectangles on whole pixels come out the same', () => {
    const exact = fc.oneof(
      fc.constantFrom<Change>(
        (masks) => masks.flip('horizontal'),
        (masks) => masks.flip('vertical'),
        (masks) => masks.transpose(),
        (masks) => masks.resize(size),
      ),
      part.map(
        (box): Change =>
          (masks) =>
            masks.crop(box),
      ),
    );
    fc.assert(
      fc.property(fc.array(rectangle, { minLength: 1, maxLength: 4 }), exact, (corners, apply) => {
        const polygons = PolygonMasks.of(
          corners.map((one) => [one]),
          size,
        );
        assert.deepEqual(bitmapsOf(apply(polygons)), bitmapsOf(apply(polygons.toBitmaps())));
      }),
    );
  });

  test('are as they were after two turns of a kind', () => {
    const twice = fc.constantFrom<Change>(
      (masks) => masks.flip('horizontal').flip('horizontal'),
      (masks) => masks.flip('vertical').flip('vertical'),
      (masks) => masks.transpose().transpose(),
    );
    fc.assert(
      fc.property(fc.array(rectangle, { minLength: 1, maxLength: 4 }), twice, (corners, apply) => {
        const polygons = PolygonMasks.of([corners], size);
        assert.deepEqual((apply(polygons) as PolygonMasks).polygons(0), polygons.polygons(0));
        assert.deepEqual(bitmapsOf(apply(polygons.toBitmaps())), bitmapsOf(polygons));
      }),
    );
  });

  test('become one another: a mask without holes comes back from its outlines', () => {
    fc.assert(
      fc.property(star, (outline) => {
        const bitmaps = PolygonMasks.of([[outline]], size).toBitmaps();
        assert.deepEqual(bitmapsOf(masksAs(bitmaps, 'polygons')), bitmapsOf(bitmaps));
      }),
    );
  });

  test('choose objects alike', () => {
    fc.assert(
      fc.property(objects, fc.array(fc.nat(20), { maxLength: 4 }), (outlines, picks) => {
        const indices = picks.map((pick) => pick % outlines.length);
        const polygons = PolygonMasks.of(outlines, size);
        assert.deepEqual(bitmapsOf(polygons.select(indices)), bitmapsOf(polygons.toBitmaps().select(indices)));
      }),
    );
  });
});

describe('pixels', () => {
  const ring = [1, 1, 1, 1, 0, 1, 1, 1, 1];

  test('of a ring lose their hole as outlines', () => {
    const [outlines] = BitmapMasks.of(ring, { width: 3, height: 3 }).toPolygons();
    assert.deepEqual(bitmapsOf(PolygonMasks.of([outlines!], { width: 3, height: 3 })), [new Uint8Array(9).fill(1)]);
  });

  test('come from run lengths and go into them', () => {
    const rle = encodeMask(Uint8Array.from(ring), [3, 3]);
    const masks = BitmapMasks.ofRles([rle, rle], { width: 3, height: 3 });
    assert.deepEqual([...masks.areas()], [8, 8]);
    assert.deepEqual(masks.rle(1), rle);
    assert.throws(() => BitmapMasks.ofRles([rle], size), /mask 0 is 3 x 3 pixels, the picture 40 x 30/);
    assert.throws(() => BitmapMasks.of([1, 0], { width: 3, height: 1 }), /2 pixels are no masks of 3 x 1/);
  });

  test('that are doubled have four for each', () => {
    const masks = BitmapMasks.of([0, 1, 1, 0, 1, 1], { width: 3, height: 2 }).resize({ width: 6, height: 4 });
    const row = [0, 0, 1, 1, 1, 1];
    assert.deepEqual([...masks.bitmap(0)], [...row, ...row, ...row, ...row]);
  });
});
