import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { suppressSimilarPersons } from './oks-nms.js';

// COCO's, of its 17 keypoints; Detectron's nms_oks has them too.
const SIGMAS = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89].map((value) => value / 1000);

/** Persons whose keypoints stand on a diagonal, each moved to the right and with one logit. */
function persons(rows: readonly (readonly [right: number, logit: number])[]): Float32Array {
  return Float32Array.from(
    rows.flatMap(([right, logit]) => SIGMAS.flatMap((_, point) => [5 * point + right, 5 * point, logit, 0.5])),
  );
}
/** Object keypoint similarity of two persons `right` pixels apart, in a box of 100 x 100 pixels. */
const similarityAt = (right: number): number =>
  SIGMAS.reduce((sum, sigma) => sum + Math.exp(-(right ** 2) / (2 * (2 * sigma) ** 2 * 100 ** 2)), 0) / SIGMAS.length;

describe('suppressSimilarPersons', () => {
  const boxes = (count: number): Float32Array =>
    new Float32Array(Array.from({ length: count }, () => [0, 0, 99, 99]).flat());

  test('goes by the mean logit of the keypoints, best first', () => {
    const far = persons([
      [0, 1],
      [500, 3],
      [1000, 2],
    ]);
    assert.deepEqual(suppressSimilarPersons(far, boxes(3), 0.3), [1, 2, 0]);
  });

  test('drops a person that is more similar to a better one than the threshold, and no other', () => {
    for (const right of [3, 6, 12, 20]) {
      const pair = persons([
        [0, 2],
        [right, 1],
      ]);
      const similarity = similarityAt(right);
      assert.deepEqual(suppressSimilarPersons(pair, boxes(2), similarity - 0.01), [0], `${right} apart`);
      assert.deepEqual(suppressSimilarPersons(pair, boxes(2), similarity + 0.01), [0, 1], `${right} apart`);
    }
  });

  test('measures in the area of the better box, one pixel added to each side', () => {
    const pair = persons([
      [0, 2],
      [12, 1],
    ]);
    const small = new Float32Array([0, 0, 9, 9, 0, 0, 99, 99]);
    const large = new Float32Array([0, 0, 99, 99, 0, 0, 9, 9]);
    const threshold = similarityAt(12) - 0.01;
    assert.deepEqual(suppressSimilarPersons(pair, small, threshold), [0, 1]);
    assert.deepEqual(suppressSimilarPersons(pair, large, threshold), [0]);
  });

  test('lets a dropped person drop no other', () => {
    // Each is similar to its neighbour alone.
    const row = persons([
      [0, 3],
      [15, 2],
      [30, 1],
    ]);
    const threshold = (similarityAt(15) + similarityAt(30)) / 2;
    assert.deepEqual(suppressSimilarPersons(row, boxes(3), threshold), [0, 2]);
  });

  test('keeps nobody of nobody', () => {
    assert.deepEqual(suppressSimilarPersons(new Float32Array(0), new Float32Array(0), 0.3), []);
  });
});
