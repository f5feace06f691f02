import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { evenDraws } from '../sampling.js';
import type { Targets } from '../structures.js';
import { keypointRoiLimit, keypointsOfPositives, sampleKeypoints } from './sample-keypoints.js';
import { sampleProposals } from './sample-proposals.js';

const boxesOf = (rows: readonly (readonly number[])[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });

type Point = readonly [x: number, y: number, visibility: number];

function targetOf(boxes: readonly (readonly number[])[], points: readonly (readonly Point[])[]): Targets {
  return {
    boxes: boxesOf(boxes),
    labels: tensor(
      BigInt64Array.from(boxes, () => 1n),
      { shape: [boxes.length] },
    ),
    keypoints: tensor(points.flat(2), { shape: [boxes.length, 2, 3] }),
  };
}

const CONFIG = { foregroundIou: 0.5, backgroundIou: 0.5, batchSizePerImage: 8, positiveFraction: 0.25 };
const UNSCALED = { x: 1, y: 1 };

describe('sampleKeypoints', () => {
  const left = [0, 0, 20, 20];
  const right = [50, 0, 70, 20];

  test('takes proposals that find an object of which a visible keypoint lies inside them', () =>
    scope(() => {
      // The left object's only visible point lies in its lower half; the right object has none.
      const target = targetOf(
        [left, right],
        [
          [
            [10, 18, 2],
            [10, 2, 0],
          ],
          [
            [60, 10, 0],
            [60, 10, 0],
          ],
        ],
      );
      const upper = [0, 0, 20, 15];
      const lower = [0, 5, 20, 20];
      const sample = sampleKeypoints(
        boxesOf([upper, lower, right, [200, 200, 220, 220]]),
        target,
        UNSCALED,
        CONFIG,
        CONVENTIONS.torchvision,
        evenDraws,
      );
      assert.deepEqual(sample.rois.toNumbers(), [lower, left].flat());
      assert.deepEqual(sample.boxes.toNumbers(), sample.rois.toNumbers());
      // maskrcnn-benchmark asks whether the point lies inside its object's box.
      const byObject = sampleKeypoints(
        boxesOf([upper, right]),
        target,
        UNSCALED,
        CONFIG,
        CONVENTIONS.maskrcnn_benchmark,
        evenDraws,
      );
      assert.deepEqual(byObject.rois.toNumbers(), [upper, left].flat());
      assert.deepEqual(sample.keypoints.toNumbers(), [10, 18, 2, 10, 2, 0, 10, 18, 2, 10, 2, 0]);
    }));

  test('gives boxes and keypoints in image pixels where the second stage is measured in them', () =>
    scope(() => {
      const target = targetOf(
        [left],
        [
          [
            [10, 18, 2],
            [4, 2, 1],
          ],
        ],
      );
      const sample = sampleKeypoints(boxesOf([]), target, { x: 2, y: 4 }, CONFIG, CONVENTIONS.detectron, evenDraws);
      assert.deepEqual(sample.rois.toNumbers(), left);
      assert.deepEqual(sample.boxes.toNumbers(), [0, 0, 10, 5]);
      assert.deepEqual(sample.keypoints.toNumbers(), [5, 4.5, 2, 2, 0.5, 1]);
    }));

  test('takes at most the share of positives of a batch', () =>
    scope(() => {
      const target = targetOf(
        [left],
        [
          [
            [10, 10, 2],
            [4, 2, 1],
          ],
        ],
      );
      const many = boxesOf(new Array<number[]>(10).fill(left));
      const sample = sampleKeypoints(many, target, UNSCALED, CONFIG, CONVENTIONS.detectron, evenDraws);
      assert.equal(sample.rois.size(0), 2);
      assert.equal(keypointRoiLimit(CONFIG), 2);
    }));

  test('takes none in an image without objects', () =>
    scope(() => {
      const sample = sampleKeypoints(
        boxesOf([left]),
        targetOf([], []),
        UNSCALED,
        CONFIG,
        CONVENTIONS.detectron,
        evenDraws,
      );
      assert.deepEqual(
        [sample.rois.shape, sample.keypoints.shape],
        [
          [0, 4],
          [0, 2, 3],
        ],
      );
    }));

  test('says what is missing in targets without keypoints', () =>
    scope(() => {
      const { boxes, labels } = targetOf([], []);
      assert.throws(
        () => sampleKeypoints(boxes, { boxes, labels }, UNSCALED, CONFIG, CONVENTIONS.torchvision, evenDraws),
        /internal: an image of the batch came without keypoints/,
      );
    }));
});

describe('keypointsOfPositives', () => {
  test("takes the box head's positives, also those in which no keypoint is seen", () =>
    scope(() => {
      const [left, right] = [
        [0, 0, 20, 20],
        [50, 0, 70, 20],
      ] as const;
      const unseen: readonly Point[] = [
        [60, 10, 0],
        [61, 10, 0],
      ];
      const seen: readonly Point[] = [
        [10, 18, 2],
        [10, 2, 0],
      ];
      const target = targetOf([left, right], [seen, unseen]);
      const regressionWeights: [number, number, number, number] = [10, 10, 5, 5];
      const drawn = sampleProposals(
        boxesOf([[0, 0, 20, 15], right, [200, 200, 220, 220]]),
        target,
        UNSCALED,
        { ...CONFIG, batchSizePerImage: 12, regressionWeights },
        CONVENTIONS.torchvision,
        evenDraws,
      );
      const { rois, keypoints } = keypointsOfPositives(drawn, target, UNSCALED, CONVENTIONS.torchvision);
      // Four positives, of which a quarter of 12 are drawn evenly: the first, the second and the third.
      assert.deepEqual(rois.toNumbers(), [[0, 0, 20, 15], right, left].flat());
      assert.deepEqual(keypoints.toNumbers(), [seen, unseen, seen].flat(2));
    }));

  test('takes none in an image without objects', () =>
    scope(() => {
      const target = targetOf([], []);
      const regressionWeights: [number, number, number, number] = [10, 10, 5, 5];
      const config = { ...CONFIG, regressionWeights };
      const drawn = sampleProposals(
        boxesOf([[0, 0, 9, 9]]),
        target,
        UNSCALED,
        config,
        CONVENTIONS.torchvision,
        evenDraws,
      );
      const { rois, keypoints } = keypointsOfPositives(drawn, target, UNSCALED, CONVENTIONS.torchvision);
      assert.deepEqual(
        [rois.shape, keypoints.shape],
        [
          [0, 4],
          [0, 2, 3],
        ],
      );
    }));
});
