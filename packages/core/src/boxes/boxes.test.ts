import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXywh, boxXyxy, xywhToXyxy, xyxyToXywh } from './box.js';
import { boxArea, boxIntersection, boxIou } from './measure-box.js';
import { clipBox, flipBoxHorizontally, scaleBox } from './transform-box.js';

const image = { width: 64, height: 48 };
const anyBox = fc
  .tuple(fc.integer({ min: -80, max: 80 }), fc.integer({ min: -80, max: 80 }), fc.nat(90), fc.nat(90))
  .map(([x, y, w, h]) => boxXyxy(x, y, x + w, y + h));

describe('conversion', () => {
  test('xywh and xyxy name the same rectangle', () => {
    assert.deepEqual(xywhToXyxy(boxXywh(10, 8, 20, 16)), [10, 8, 30, 24]);
    assert.deepEqual(xyxyToXywh(boxXyxy(10, 8, 30, 24)), [10, 8, 20, 16]);
  });
});

describe('clipBox', () => {
  test('cuts what reaches over the border', () => {
    assert.deepEqual(clipBox(boxXyxy(-6.5, 40, 23.5, 70), image), [0, 40, 23.5, 48]);
  });
  test('keeps the last pixel as the limit under the legacy convention', () => {
    assert.deepEqual(clipBox(boxXyxy(-5, 0, 100, 100), image, { legacyPlusOne: true }), [0, 0, 63, 47]);
  });
  test('leaves nothing of a box outside', () => {
    assert.equal(boxArea(clipBox(boxXyxy(70, 10, 90, 20), image)), 0);
  });
});

describe('flipBoxHorizontally', () => {
  test('mirrors about the middle of the picture', () => {
    assert.deepEqual(flipBoxHorizontally(boxXyxy(10, 8, 30, 24), 64), [34, 8, 54, 24]);
  });
  test('mirrors pixel 0 onto the last pixel under the legacy convention', () => {
    assert.deepEqual(flipBoxHorizontally(boxXyxy(0, 8, 0, 24), 64, { legacyPlusOne: true }), [63, 8, 63, 24]);
  });
  test('twice is the box itself', () => {
    fc.assert(
      fc.property(anyBox, (box) => assert.deepEqual(flipBoxHorizontally(flipBoxHorizontally(box, 64), 64), box)),
    );
  });
});

test('scaleBox scales each axis by its own factor', () => {
  assert.deepEqual(scaleBox(boxXyxy(10, 8, 30, 24), 0.5, 2), [5, 16, 15, 48]);
});

describe('overlap', () => {
  test('the legacy convention counts the far corner as inside', () => {
    assert.equal(boxArea(boxXyxy(0, 0, 9, 9)), 81);
    assert.equal(boxArea(boxXyxy(0, 0, 9, 9), { legacyPlusOne: true }), 100);
    // 5 x 10 pixels shared by two boxes of 10 x 10 pixels
    assert.equal(boxIou(boxXyxy(0, 0, 9, 9), boxXyxy(5, 0, 14, 9), { legacyPlusOne: true }), 50 / 150);
  });
  test('boxes that only touch do not overlap', () => {
    assert.equal(boxIntersection(boxXyxy(0, 0, 10, 10), boxXyxy(10, 0, 20, 10)), 0);
  });
  test('two empty boxes have IoU 0, not NaN', () => {
    assert.equal(boxIou(boxXyxy(3, 3, 3, 3), boxXyxy(3, 3, 3, 3)), 0);
  });
  test('corners in the wrong order have no area', () => {
    assert.equal(boxArea(boxXyxy(10, 0, 5, 10)), 0);
  });
  test('IoU is symmetric, within 0..1, and 1 for a box with itself', () => {
    fc.assert(
      fc.property(anyBox, anyBox, (a, b) => {
        const iou = boxIou(a, b);
        assert.equal(iou, boxIou(b, a));
        assert.ok(iou >= 0 && iou <= 1);
        if (boxArea(a) > 0) assert.equal(boxIou(a, a), 1);
      }),
    );
  });
});
