import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh, type Detection } from '@goshawk/core';
import { measureAgreement } from './measure-agreement.js';

type Sides = readonly [x: number, y: number, width: number, height: number];

const detection = (box: Sides, more: Partial<Detection> = {}): Detection => ({
  ...{ imageId: 0, categoryId: 1, score: 0.5, bbox: boxXywh(...box) },
  ...more,
});

/** Of one column of ten pixels, the first `area`. */
const columnMask = (area: number): Pick<Detection, 'segmentation'> => ({
  segmentation: { kind: 'rle', rle: { size: [10, 1], counts: Uint32Array.of(0, area, 10 - area) } },
});

describe('measureAgreement', () => {
  test('tells how far detections are apart, and those that one side alone has', () => {
    const own = [detection([0, 0, 100, 10]), detection([50, 50, 10, 10])];
    const other = [detection([0, 0, 99, 10], { score: 0.499 }), detection([200, 0, 10, 10])];
    const { detections, unmatched, leastIou, largestScoreDifference } = measureAgreement([[own, other]]);
    assert.deepEqual([detections, unmatched, leastIou], [2, 2, 0.99]);
    assert.ok(Math.abs(largestScoreDifference - 0.001) < 1e-9);
  });

  test('measures boxes as the model does: an inclusive one of no width is a pixel wide', () => {
    const pair = [[detection([499, 34.935, 0, 18.63])], [detection([499, 34.95, 0, 18.63])]] as const;
    assert.equal(measureAgreement([pair], { boxes: 'inclusive' }).unmatched, 0);
    assert.ok(measureAgreement([pair], { boxes: 'inclusive' }).leastIou > 0.99);
    assert.equal(measureAgreement([pair]).unmatched, 2);
  });

  test('says of the least alike masks in how many pixels they differ', () => {
    const masks = (area: number) => detection([0, 0, 1, 10], columnMask(area));
    const found = measureAgreement([[[masks(10)], [masks(9)]]]);
    assert.ok(Math.abs(found.leastMaskIou! - 0.9) < 1e-9);
    assert.deepEqual(found.leastMask, { pixels: 10, differing: 1 });
    assert.deepEqual(found.goodMasks, { byIou: 0, byPixel: 1 });
    assert.equal(measureAgreement([[[masks(0)], [masks(0)]]]).leastMaskIou, 1);
  });

  test('says how far keypoints are apart, and how many moved', () => {
    const points = (...keypoints: number[]) => detection([0, 0, 10, 10], { keypoints });
    const { keypoints } = measureAgreement([[[points(1, 1, 1, 5, 5, 1)], [points(1.5, 1, 1, 8, 9, 1)]]]);
    assert.deepEqual(keypoints, { count: 2, moved: 1, largestDistance: 5 });
    assert.equal(measureAgreement([[[detection([0, 0, 9, 9])], []]]).keypoints, undefined);
  });
});
