import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import type { Detections } from '../structures.js';
import {
  type BoxPrediction,
  BoxPredictor,
  ConvolutionsBoxHead,
  meanOverCells,
  Stage5BoxHead,
  TwoLayerBoxHead,
} from './box-head.js';
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

describe('candidatesOf', () => {
  const proposal = [[0, 0, 19, 39]];

  test('gives all classes the one box of class-agnostic offsets', () =>
    scope(() => {
      // The first four offsets are the background's, which nobody reads: the object's move the box by its width.
      const offsets = matrix([[7, 7, 7, 7, 10, 0, 0, 0]], 8);
      const logits = logitsOf([[0.2, 0.3, 0.5]]);
      const candidates = candidatesOf(
        { logits, offsets },
        matrix([[0, 0, 20, 40]], 4),
        [100, 100],
        { x: 1, y: 1 },
        options,
        CONVENTIONS.torchvision,
      );
      assert.deepEqual(candidates.boxes.shape, [1, 1, 4]);
      const found = selectDetections(candidates, options, CONVENTIONS.torchvision);
      assertClose(found.boxes, [20, 0, 40, 40, 20, 0, 40, 40]);
      assert.deepEqual(found.labels.toNumbers(), [2, 1]);
    }));

  test("are in image pixels from the start by Detectron's rules", () =>
    scope(() => {
      const prediction = { logits: logitsOf([[0.2, 0.3, 0.5]]), offsets: ops.zeros([1, 12]) };
      const [measured, size] = [matrix(proposal, 4), [30, 50] as const];
      const found = candidatesOf(prediction, measured, size, { x: 2, y: 2 }, options, CONVENTIONS.detectron);
      assert.equal(found.pixels, 'image');
      // Cut at the last of 30 lines.
      assertClose(ops.select(found.boxes, 1, 0), [0, 0, 19, 29], { absolute: 1e-4 });
    }));

  test("are refined in network pixels and then divided by the scale by mmdetection's rules", () =>
    scope(() => {
      const prediction = { logits: logitsOf([[0.2, 0.3, 0.5]]), offsets: ops.zeros([1, 12]) };
      const [measured, size] = [matrix(proposal, 4), [30, 50] as const];
      const found = candidatesOf(prediction, measured, size, { x: 2, y: 4 }, options, CONVENTIONS.mmdetection);
      assert.equal(found.pixels, 'image');
      assertClose(ops.select(found.boxes, 1, 1), [0, 0, 19 / 2, 29 / 4], { absolute: 1e-4 });
    }));
});

describe('selectDetections by rules of other systems', () => {
  /** Candidates of one class, far from one another, in image pixels. */
  const apart = (scores: readonly number[]) => ({
    pixels: 'image' as const,
    boxes: tensor(
      scores.flatMap((_, i) => [i * 100, 0, i * 100 + 9, 9]),
      { shape: [scores.length, 1, 4] },
    ),
    scores: tensor([...scores], { shape: [scores.length, 1] }),
  });

  test('keeps all that reach the score of the last within the limit, where the limit is a score', () =>
    scope(() => {
      const scores = [0.5, 0.75, 0.5, 0.5, 0.25];
      const count = (rules: keyof typeof CONVENTIONS, maxDetections: number): number =>
        selectDetections(apart(scores), { ...options, maxDetections }, CONVENTIONS[rules]).scores.length;
      assert.deepEqual([count('detectron', 2), count('torchvision', 2), count('mmdetection', 2)], [4, 2, 2]);
      assert.deepEqual([count('detectron', 1), count('detectron', 4), count('detectron', 5)], [1, 4, 5]);
    }));

  test('suppresses boxes by their overlap in image pixels, their last ones counted', () =>
    scope(() => {
      // 2 of 3 pixels in common: 1/2 as inclusive boxes, which is dropped at the threshold; 1/3 as continuous ones.
      const pair = {
        pixels: 'image' as const,
        boxes: tensor([0, 0, 2, 0, 1, 0, 3, 0], { shape: [2, 1, 4] }),
        scores: tensor([0.9, 0.8], { shape: [2, 1] }),
      };
      const found = selectDetections(pair, options, CONVENTIONS.detectron);
      assert.deepEqual([found.scores.length, found.pixels], [1, 'image']);
      const looser = selectDetections(pair, { ...options, nmsThreshold: 0.51 }, CONVENTIONS.detectron);
      assert.equal(looser.scores.length, 2);
    }));

  test('keeps inclusive boxes of a single pixel', () =>
    scope(() => {
      const one = {
        pixels: 'image' as const,
        boxes: tensor([5, 5, 5, 5], { shape: [1, 1, 4] }),
        scores: tensor([0.9], { shape: [1, 1] }),
      };
      assert.equal(selectDetections(one, options, CONVENTIONS.detectron).scores.length, 1);
      assert.equal(selectDetections(one, options, CONVENTIONS.torchvision).scores.length, 0);
    }));
});

describe('boxLosses', () => {
  test('reads the second four offsets of class-agnostic heads for every class', () =>
    scope(() => {
      const offsets = matrix(
        [
          [9, 9, 9, 9, 1, 0, 0, 0],
          [9, 9, 9, 9, 2, 0, 0, 0],
          [9, 9, 9, 9, 9, 9, 9, 9],
        ],
        8,
      );
      const losses = boxLosses({ logits: ops.zeros([3, 4]), offsets }, int64([3, 1, 0]), ops.zeros([3, 4]), 1);
      assertClose([losses.loss_box_reg!.item()], [(0.5 + 1.5) / 3]);
    }));

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

describe('ConvolutionsBoxHead', () => {
  for (const norm of ['none', 'batch', 'group'] as const) {
    test(`has its convolutions, norm ${norm}, and one fully connected layer`, () =>
      scope(() => {
        const head = new ConvolutionsBoxHead(4, {
          convolutions: { count: 2, channels: 32 },
          norm,
          poolSize: 3,
          hiddenSize: 6,
        });
        assert.equal(head.outFeatures, 6);
        const hidden = head.forward(randn([5, 4, 3, 3]));
        assert.deepEqual(hidden.shape, [5, 6]);
        assert.ok(hidden.toNumbers().every((value) => value >= 0));
        const names = [...head.stateDict().keys()].filter((name) => name.startsWith('convs.1'));
        const ownNames = {
          none: ['convs.1.0.weight', 'convs.1.0.bias'],
          group: ['convs.1.0.weight', 'convs.1.1.weight', 'convs.1.1.bias'],
          batch: [
            'convs.1.0.weight',
            ...['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map(
              (key) => `convs.1.1.${key}`,
            ),
          ],
        };
        assert.deepEqual(names.toSorted(), ownNames[norm].toSorted());
      }));
  }
});

describe('Stage5BoxHead', () => {
  const resNet = { depth: 50, width: 4, norm: 'affine', frozenStages: 0, strideIn1x1: true } as const;

  test('halves 14 cells and keeps 7, and is their mean', () =>
    scope(() => {
      for (const poolSize of [14, 7]) {
        const head = new Stage5BoxHead(resNet, { poolSize });
        const pooled = randn([2, 64, poolSize, poolSize]);
        assert.deepEqual(head.features(pooled).shape, [2, 128, 7, 7]);
        assertClose(head.forward(pooled), meanOverCells(head.features(pooled)));
        assert.equal(head.outFeatures, 128);
      }
    }));
});
