// Masks against what pycocotools 2.0.11 makes of the same input (fixtures/), and against their own definitions.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { boxIouMatrix } from '../boxes/box-iou-matrix.js';
import { InputError } from '../errors/input-error.js';
import { inputErrorOf } from '../testing/input-error.js';
import { maskIou } from './mask-iou.js';
import { boxToRle, polygonsToRle } from './polygon-to-rle.js';
import { type MaskSize, type Rle, rleArea, rleFromCounts } from './rle.js';
import { decodeMask, encodeMask } from './rle-encode.js';
import { mergeRles } from './rle-merge.js';
import { compressRle, decompressRle, rleFromString, rleToString } from './rle-string.js';
import { rleToBbox } from './rle-to-bbox.js';

interface MaskCase {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly polygons?: readonly (readonly number[])[];
  readonly counts?: readonly number[];
  readonly rle: string;
  readonly area: number;
  readonly bbox: readonly number[];
  readonly mask_sha256: string;
}
interface IouTable {
  readonly height: number;
  readonly width: number;
  readonly detections: readonly string[];
  readonly ground_truth: readonly string[];
  readonly iscrowd: readonly number[];
  readonly iou: readonly (readonly number[])[];
  readonly boxes_dt: readonly BoxXywh[];
  readonly boxes_gt: readonly BoxXywh[];
  readonly box_iou: readonly (readonly number[])[];
  readonly union_rle: string;
  readonly intersection_rle: string;
}

const fixture = new URL('../../src/masks/fixtures/mask-cases.json', import.meta.url);
const { cases, iou: table } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: MaskCase[]; iou: IouTable };

const throwsInput = (action: () => unknown, message: RegExp) => {
  const { message: said } = inputErrorOf(action);
  assert.match(said, message);
  assert.ok(said.length < 250, said);
};

const columnMajor = (mask: Uint8Array, [height, width]: MaskSize) =>
  Uint8Array.from(mask, (_, at) => mask[(at % height) * width + Math.floor(at / height)]!);

const maskAndSize = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 }))
  .chain(([height, width]) =>
    fc.record({
      size: fc.constant<MaskSize>([height, width]),
      masks: fc.array(
        fc
          .array(fc.integer({ min: 0, max: 1 }), { minLength: height * width, maxLength: height * width })
          .map((bytes) => Uint8Array.from(bytes)),
        { minLength: 2, maxLength: 4 },
      ),
    }),
  );

for (const sample of cases) {
  const size: MaskSize = [sample.height, sample.width];
  test(`the mask "${sample.name}" is pycocotools' to the bit`, () => {
    const rle = sample.polygons ? polygonsToRle(sample.polygons, size) : rleFromCounts(sample.counts!, size);
    assert.equal(rleToString(rle), sample.rle);
    assert.deepEqual(rleFromString(sample.rle, size), rle);
    assert.equal(rleArea(rle), sample.area);
    assert.deepEqual([...rleToBbox(rle)], sample.bbox);
    const mask = decodeMask(rle);
    const digest = createHash('sha256').update(columnMajor(mask, size)).digest('hex');
    assert.equal(digest, sample.mask_sha256);
    assert.deepEqual(encodeMask(mask, size), rle);
  });
}

test('IoU of masks and of boxes, union and intersection equal pycocotools to the last bit, crowds included', () => {
  const size: MaskSize = [table.height, table.width];
  const detections = table.detections.map((text) => rleFromString(text, size));
  const truths = table.ground_truth.map((text) => rleFromString(text, size));
  const isCrowd = table.iscrowd.map(Boolean);
  assert.deepEqual([...maskIou(detections, truths, isCrowd)], table.iou.flat());
  assert.deepEqual([...boxIouMatrix(table.boxes_dt, table.boxes_gt, isCrowd)], table.box_iou.flat());
  assert.equal(rleToString(mergeRles([...detections, ...truths], 'union')), table.union_rle);
  assert.equal(rleToString(mergeRles(detections.slice(0, 2), 'intersection')), table.intersection_rle);
});

test('encoding and decoding give back any mask, and so does the compressed string', () => {
  fc.assert(
    fc.property(maskAndSize, ({ size, masks }) => {
      for (const mask of masks) {
        const rle = encodeMask(mask, size);
        assert.deepEqual(decodeMask(decompressRle(compressRle(rle))), mask);
        assert.equal(
          rleArea(rle),
          mask.reduce((sum, byte) => sum + byte, 0),
        );
      }
    }),
  );
});

test('union, intersection, box and IoU are those of the pixels', () => {
  fc.assert(
    fc.property(maskAndSize, ({ size, masks }) => {
      const rles = masks.map((mask) => encodeMask(mask, size));
      const union = masks[0]!.map((_, at) => (masks.some((mask) => mask[at] === 1) ? 1 : 0));
      const shared = masks[0]!.map((_, at) => (masks.every((mask) => mask[at] === 1) ? 1 : 0));
      assert.deepEqual(mergeRles(rles, 'union'), encodeMask(union, size));
      assert.deepEqual(mergeRles(rles, 'intersection'), encodeMask(shared, size));
      assert.deepEqual(rleToBbox(rles[0]!), boxOfPixels(masks[0]!, size));
      const [first, second] = rles as [Rle, Rle];
      const both = rleArea(mergeRles([first, second], 'intersection'));
      const either = rleArea(mergeRles([first, second], 'union'));
      assert.equal(maskIou([first], [second])[0], both === 0 ? 0 : both / either);
      assert.equal(maskIou([first], [second], [true])[0], both === 0 ? 0 : both / rleArea(first));
    }),
  );
});

test('a polygon is the same mask whichever corner its list starts at, and moves with whole pixels', () => {
  const corner = fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 200 }));
  fc.assert(
    fc.property(fc.array(corner, { minLength: 3, maxLength: 8 }), fc.nat(7), (corners, turn) => {
      const polygon = (shift: number, by: number) =>
        corners.map((_, i) => corners[(i + by) % corners.length]!).flatMap(([x, y]) => [x / 5 + shift, y / 5]);
      const rle = polygonsToRle([polygon(0, 0)], [50, 60]);
      assert.deepEqual(polygonsToRle([polygon(0, turn)], [50, 60]), rle);
      const mask = decodeMask(rle);
      const moved = decodeMask(polygonsToRle([polygon(3, 0)], [50, 60]));
      // Where an edge passes half-way between two fifths of a pixel the rounding of a sum decides, which a move changes: a
      // pixel of that edge, in pycocotools too.
      const different = mask.filter((value, at) => at % 60 < 57 && value !== moved[at + 3]).length;
      assert.ok(different <= 2 * corners.length, `${different} pixels differ`);
    }),
  );
});

test('runs of length zero inside a mask change neither its pixels, its box, its merge nor its IoU', () => {
  const plain = rleFromCounts([4, 3, 5], [4, 3]);
  const padded = rleFromCounts([4, 1, 0, 2, 0, 0, 5], [4, 3]);
  const other = rleFromCounts([2, 3, 0, 0, 7], [4, 3]);
  assert.deepEqual(decodeMask(padded), decodeMask(plain));
  assert.deepEqual(rleToBbox(padded), rleToBbox(plain));
  assert.equal(maskIou([padded], [other])[0], 1 / 5);
  for (const how of ['union', 'intersection'] as const) {
    assert.deepEqual(decodeMask(mergeRles([padded, other], how)), decodeMask(mergeRles([plain, other], how)));
  }
});

test('a box with whole corners is its own pixels', () => {
  assert.deepEqual(rleToBbox(boxToRle(boxXywh(2, 3, 5, 4), [20, 30])), boxXywh(2, 3, 5, 4));
  assert.equal(rleArea(boxToRle(boxXywh(2, 3, 5, 4), [20, 30])), 20);
});

test('a polygon far outside of the picture costs no more than one inside', () => {
  const rle = polygonsToRle([[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]], [40, 50]);
  assert.equal(rleArea(rle), 2000);
});

test('an outline that would fill the memory is refused', () => {
  const zigzag = Array.from({ length: 20_000 }, (_, i) => (i % 4 < 2 ? [0, 5000] : [5000, 0])[i % 2]! + i / 1e6);
  throwsInput(() => polygonsToRle([zigzag], [5000, 5000]), /at most 4194304 times/);
  throwsInput(() => polygonsToRle([[0, 0, 4e9, 0, 4e9, 1]], [1, 4e9]), /simplify it, or correct the image size/);
});

test('masks of different sizes overlap by -1, as in pycocotools', () => {
  assert.equal(maskIou([boxToRle(boxXywh(0, 0, 5, 5), [9, 9])], [boxToRle(boxXywh(0, 0, 5, 5), [9, 8])])[0], -1);
});

test('text that is no compressed mask is refused with the reason', () => {
  throwsInput(() => rleFromString('', [4, 4]), /must sum to 16 \(4 x 4\), got 0/);
  throwsInput(() => rleFromString('not a mask!', [4, 4]), /characters from '0' to 'o'/);
  throwsInput(() => rleFromString('P', [4, 4]), /the end of the text at 1/);
  throwsInput(() => rleFromString('oooooooooooo', [4, 4]), /runs of 1 to 7 characters/);
  throwsInput(() => rleFromString('a', [4, 4]), /the end of the text/);
  throwsInput(() => rleFromString('O', [4, 4]), /run 0 .* got -1/);
  throwsInput(() => rleFromString('1', [4, 4]), /must sum to 16/);
  throwsInput(() => rleFromString('\u00e9', [4, 4]), /characters/);
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      try {
        assert.equal(decodeMask(rleFromString(text, [6, 5])).length, 30);
      } catch (error) {
        assert.ok(error instanceof InputError, String(error));
      }
    }),
  );
});

test('run lengths, sizes, masks and polygons that do not fit are refused with the reason', () => {
  throwsInput(() => rleFromCounts([3, 4], [4, 4]), /must sum to 16 \(4 x 4\), got 7/);
  throwsInput(() => rleFromCounts([3, -4, 17], [4, 4]), /counts\[1\] must be a whole number from 0 to 16, got -4/);
  throwsInput(() => rleFromCounts([0.5, 15.5], [4, 4]), /counts\[0\]/);
  throwsInput(() => rleFromCounts([1], [1e6, 1e6]), /at most 2\*\*32 - 1/);
  throwsInput(() => rleFromCounts([1], [Number.NaN, 4]), /size must be/);
  throwsInput(() => decodeMask({ size: [4, 4], counts: Uint32Array.of(3, 40) }), /must sum to 16/);
  throwsInput(() => encodeMask(new Uint8Array(15), [4, 4]), /must hold 16 bytes \(4 x 4\), got 15/);
  throwsInput(() => polygonsToRle([], [4, 4]), /at least one polygon/);
  throwsInput(() => polygonsToRle([[1, 1, 3, 3]], [4, 4]), /at least 6, got 4/);
  throwsInput(() => polygonsToRle([[1, 1, 3, 3, 2, 2, 1]], [4, 4]), /even number of values/);
  throwsInput(
    () => polygonsToRle([[1, 1, Number.NaN, 3, 2, 2]], [4, 4]),
    /value 2 of a polygon must be a finite number/,
  );
  throwsInput(() => mergeRles([], 'union'), /at least one mask/);
  throwsInput(() => mergeRles([rleFromCounts([4], [2, 2]), rleFromCounts([6], [2, 3])], 'union'), /2 x 2 and 2 x 3/);
});

function boxOfPixels(mask: Uint8Array, [height, width]: MaskSize): BoxXywh {
  const xs: number[] = [];
  const ys: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (mask[y * width + x] === 1) {
        xs.push(x);
        ys.push(y);
      }
    }
  }
  if (xs.length === 0) return boxXywh(0, 0, 0, 0);
  const left = Math.min(...xs);
  const top = Math.min(...ys);
  return boxXywh(left, top, Math.max(...xs) - left + 1, Math.max(...ys) - top + 1);
}
