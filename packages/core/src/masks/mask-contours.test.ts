import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { contourSideMiddles, simplifyPolygon, traceContours } from './mask-contours.js';
import { maskIou } from './mask-iou.js';
import { polygonsToRle } from './polygon-to-rle.js';
import { decodeMask, encodeMask } from './rle-encode.js';

const parse = (...rows: string[]) => Uint8Array.from(rows.join('').split('').map(Number));

describe('traceContours', () => {
  test('a single pixel has its four corners', () => {
    const [contour, ...others] = traceContours(parse('000', '010', '000'), [3, 3]);
    assert.deepEqual(contour, { points: [2, 1, 2, 2, 1, 2, 1, 1], area: 1, isHole: false });
    assert.deepEqual(others, []);
  });
  test('a ring has an outline and a hole', () => {
    const contours = traceContours(parse('111', '101', '111'), [3, 3]);
    assert.deepEqual(
      contours.map(({ isHole }) => isHole),
      [false, true],
    );
    assert.equal(contours[1]!.points.length, 8);
  });
  test('pixels that touch at a corner are two parts', () => {
    assert.equal(traceContours(parse('10', '01'), [2, 2]).length, 2);
  });
  test('an empty mask has none', () => {
    assert.deepEqual(traceContours(new Uint8Array(6), [2, 3]), []);
  });
  test('outlines minus holes have the area of the mask', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 99, maxLength: 99, max: 1 }), (mask) => {
        const area = traceContours(mask, [9, 11]).reduce((sum, { points }) => {
          let twice = 0;
          for (let i = 0; i < points.length; i += 2) {
            const j = (i + 2) % points.length;
            twice += points[i]! * points[j + 1]! - points[j]! * points[i + 1]!;
          }
          return sum + twice / 2;
        }, 0);
        assert.equal(
          area,
          mask.reduce((sum, value) => sum + value, 0),
        );
      }),
    );
  });
  test('a mask without holes comes back from its outlines', () => {
    const disk = Uint8Array.from({ length: 40 * 40 }, (_, i) =>
      ((i % 40) - 19) ** 2 + (Math.floor(i / 40) - 20) ** 2 < 196 ? 1 : 0,
    );
    const polygons = traceContours(disk, [40, 40]).map(({ points }) => points);
    assert.deepEqual(decodeMask(polygonsToRle(polygons, [40, 40])), disk);
  });
});

test('contourSideMiddles has the middle of each side of a pixel', () => {
  assert.deepEqual(contourSideMiddles([2, 1, 2, 2, 1, 2, 1, 1]), [2, 1.5, 1.5, 2, 1, 1.5, 1.5, 1]);
});

describe('simplifyPolygon', () => {
  test('drops corners on a straight line', () => {
    assert.deepEqual(simplifyPolygon([0, 0, 5, 0, 10, 0, 10, 10, 0, 10, 0, 5], 0.1), [0, 0, 10, 0, 10, 10, 0, 10]);
  });
  test('keeps a thin triangle a polygon', () => {
    assert.ok(simplifyPolygon([0, 0, 10, 0.1, 20, 0, 10, 0.2], 5).length >= 6);
  });
  test('keeps a disk at IoU above 0.97 with less than half of the corners', () => {
    const disk = Uint8Array.from({ length: 60 * 60 }, (_, i) =>
      ((i % 60) - 30) ** 2 + (Math.floor(i / 60) - 29) ** 2 < 400 ? 1 : 0,
    );
    const outline = traceContours(disk, [60, 60])[0]!.points;
    const simple = simplifyPolygon(outline, 0.75);
    assert.ok(simple.length < outline.length / 2, `${simple.length} of ${outline.length}`);
    const [iou] = maskIou([polygonsToRle([simple], [60, 60])], [encodeMask(disk, [60, 60])]);
    assert.ok(iou! > 0.97, String(iou));
  });
});
