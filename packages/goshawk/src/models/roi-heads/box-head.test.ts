import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import type { Detections } from '../structures.js';
import { type BoxPrediction, BoxPredictor, TwoLayerBoxHead } from './box-head.js';
import { boxLosses } from './box-loss.js';
import { candidatesOf, selectDetections } from './select-detections.js';

const matrix = (rows: readonly (readonly number[])[], columns: number): Tensor =>
  tensor(rows.flat(), { shape: [rows.length, columns] });
const int64 = (values: readonly number[]): Tensor =>
  tensor(BigInt64Array.from(values, BigInt), { shape: [values.length] });

const options = {
  scoreThreshold: 0.1,
  nmsThreshold: 0.5,
  maxDetections: 100,
  regressionWeights: [10, 10, 5, 5] as [number, number, number, number],
};

/** Logits whose softmax is the given probabilities (background, then classes). */
const logitsOf = (rows: readonly (readonly number[])[]): Tensor =>
  matrix(
    rows.map((row) => row.map((p) => Math.log(p + 1e-12))),
    rows[0]?.length ?? 3,
  );

/** Detections in an image of 100 x 100 pixels. */
function select(prediction: BoxPrediction, proposals: Tensor, settings: typeof options): Detections {
  const candidates = candidatesOf(prediction, proposals, [100, 100], { x: 1, y: 1 }, settings, CONVENTIONS.torchvision);
  return selectDetections(candidates, settings, CONVENTIONS.torchvision);
}

/** Detections in an image of 100 x 100 pixels of proposals that are not moved. */
function detect(
  proposals: readonly (readonly number[])[],
  probabilities: readonly (readonly number[])[],
  overrides: Partial<typeof options> | { maxDetections: number } = {},
): { boxes: number[][]; scores: number[]; labels: number[] } {
  return scope(() => {
    const found = select(
      { logits: logitsOf(probabilities), offsets: ops.zeros([proposals.length, 3 * 4]) },
      matrix(proposals, 4),
      { ...options, ...overrides },
    );
    const corners = found.boxes.toNumbers();
    return {
      boxes: Array.from({ length: corners.length / 4 }, (_, i) => corners.slice(i * 4, i * 4 + 4)),
      scores: found.scores.toNumbers().map((score) => Math.round(score * 1e4) / 1e4),
      labels: found.labels.toNumbers(),
    };
  });
}

describe('selectDetections', () => {
  const left = [0, 0, 20, 20];
  const right = [50, 50, 80, 80];

  test('gives a detection for each class above the threshold, best first, and none for the background', () => {
    const found = detect(
      [left, right],
      [
        [0.2, 0.3, 0.5],
        [0.05, 0.9, 0.05],
      ],
    );
    assert.deepEqual(found, { boxes: [right, left, left], scores: [0.9, 0.5, 0.3], labels: [1, 2, 1] });
  });

  test('drops what is at most the threshold', () => {
    // 1/4 is exact in float32, as is the softmax of equal logits.
    const equal = [0.25, 0.25, 0.5];
    assert.deepEqual(detect([left], [equal], { scoreThreshold: 0.25 } as object).labels, [2]);
  });

  test('keeps the better of two boxes of one class that overlap, and both of two classes', () => {
    const shifted = [1, 0, 21, 20];
    const probabilities = [
      [0.3, 0.7, 0],
      [0.4, 0.6, 0],
    ];
    assert.deepEqual(detect([left, shifted], probabilities).scores, [0.7]);
    const twoClasses = [
      [0.3, 0.7, 0],
      [0.4, 0, 0.6],
    ];
    assert.deepEqual(detect([left, shifted], twoClasses).labels, [1, 2]);
  });

  test('keeps two boxes whose IoU is exactly the threshold', () => {
    const half = [0, 0, 10, 20];
    const probabilities = [
      [0.3, 0.7, 0],
      [0.4, 0.6, 0],
    ];
    assert.deepEqual(detect([left, half], probabilities).scores, [0.7, 0.6]);
  });

  test('keeps the best of all classes, at most so many', () => {
    const found = detect(
      [left, right],
      [
        [0.2, 0.3, 0.5],
        [0.05, 0.6, 0.35],
      ],
      { maxDetections: 3 },
    );
    assert.deepEqual(found.scores, [0.6, 0.5, 0.35]);
  });

  test('cuts boxes to the image and drops those of which nothing is left', () => {
    const found = detect(
      [
        [-10, -10, 20, 20],
        [120, 120, 150, 150],
      ],
      [
        [0.1, 0.9, 0],
        [0.1, 0.9, 0],
      ],
    );
    assert.deepEqual(found.boxes, [left]);
  });

  test("refines a box by its class's own offsets", () =>
    scope(() => {
      // Class 2 moves the box by half its width: 10 * 0.5.
      const offsets = matrix([[0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]], 12);
      const found = select({ logits: logitsOf([[0.1, 0.4, 0.5]]), offsets }, matrix([left], 4), options);
      assertClose(found.boxes, [10, 0, 30, 20, 0, 0, 20, 20]);
    }));

  test('finds nothing in an image without proposals', () =>
    scope(() => {
      const found = select({ logits: ops.zeros([0, 3]), offsets: ops.zeros([0, 12]) }, ops.zeros([0, 4]), options);
      assert.deepEqual([found.boxes.shape, found.scores.shape, found.labels.shape], [[0, 4], [0], [0]]);
      assert.equal(found.labels.dtype, 'int64');
    }));
});

describe('boxLosses', () => {
  test('is the cross entropy of all, and the smooth L1 loss of the positives over the number of all', () =>
    scope(() => {
      const logits = logitsOf([
        [0.2, 0.3, 0.5],
        [0.6, 0.3, 0.1],
      ]);
      const offsets = matrix(
        [
          [9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 0, 0],
          [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
        ],
        12,
      );
      const goals = matrix(
        [
          [0, 0, 0, 0],
          [5, 5, 5, 5],
        ],
        4,
      );
      const losses = boxLosses({ logits, offsets }, int64([2, 0]), goals, 1 / 9);
      assertClose([losses.loss_classifier!.item()], [-(Math.log(0.5) + Math.log(0.6)) / 2]);
      assertClose([losses.loss_box_reg!.item()], [(1 - 1 / 18 + 2 - 1 / 18) / 2]);
    }));

  test('is 0 for no proposals and only background', () =>
    scope(() => {
      const none = boxLosses(
        { logits: ops.zeros([0, 3]), offsets: ops.zeros([0, 12]) },
        int64([]),
        ops.zeros([0, 4]),
        1 / 9,
      );
      assert.deepEqual(
        Object.values(none).map((loss) => loss.item()),
        [0, 0],
      );
      const background = boxLosses(
        { logits: ops.zeros([2, 3]), offsets: ops.ones([2, 12]) },
        int64([0, 0]),
        ops.zeros([2, 4]),
        1 / 9,
      );
      assert.equal(background.loss_box_reg!.item(), 0);
      assertClose([background.loss_classifier!.item()], [Math.log(3)]);
    }));
});

describe('TwoLayerBoxHead and BoxPredictor', () => {
  test('give logits of every class and four offsets of each, also of an empty batch', () =>
    scope(() => {
      const head = new TwoLayerBoxHead(4 * 2 * 2, 6);
      const predictor = new BoxPredictor(6, 3);
      for (const count of [5, 0]) {
        const { logits, offsets } = predictor.forward(head.forward(randn([count, 4, 2, 2])));
        assert.deepEqual(
          [logits.shape, offsets.shape],
          [
            [count, 3],
            [count, 12],
          ],
        );
      }
    }));
});
