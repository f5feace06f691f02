import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { init, manualSeed, noGrad, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { type Features, type ImageBatch, type Targets, unscaledBatch } from '../structures.js';
import { RegionProposalNetwork, type RpnOptions } from './region-proposal-network.js';

const OPTIONS: RpnOptions = {
  anchors: { sizes: [[8], [16]], ratios: [1] },
  preNmsTopN: { train: 100, test: 100 },
  postNmsTopN: { train: 100, test: 100 },
  nmsThreshold: 0.7,
  scoreThreshold: 0,
  minSize: 1e-3,
  foregroundIou: 0.7,
  backgroundIou: 0.3,
  batchSizePerImage: 16,
  positiveFraction: 0.5,
};

/** A network that takes its one feature channel for the objectness logit (where positive) and moves no anchor. */
function transparentRpn(options: Partial<RpnOptions> = {}): RegionProposalNetwork {
  const rpn = new RegionProposalNetwork(1, { ...OPTIONS, ...options }).eval();
  noGrad(() => {
    for (const parameter of rpn.parameters()) init.constant(parameter, 0);
    ops.fill_(ops.narrow(ops.view(rpn.head.conv[0]!.parameters()[0]!, [9]), 0, 4, 1), 1);
    init.constant(rpn.head.clsLogits.weight, 1);
  });
  return rpn;
}

/** Features of a 32 x 32 picture: 4 x 4 cells of stride 8 and 2 x 2 of stride 16. */
const SIDES = [4, 2] as const;

function featuresOf(cells: readonly (readonly [level: number, cell: number, logit: number])[]): Features {
  return SIDES.map((side, level) => {
    const values = new Array<number>(side * side).fill(0);
    for (const [of, cell, logit] of cells) if (of === level) values[cell] = logit;
    return tensor(values, { shape: [1, 1, side, side] });
  });
}

const batchOf = (count: number, size: readonly [number, number] = [32, 32]): ImageBatch =>
  unscaledBatch(ops.zeros([count, 3, 32, 32]), new Array(count).fill(size));

function proposalsOf(rpn: RegionProposalNetwork, features: Features, batch = batchOf(1)): number[][][] {
  return rpn.forward(batch, features).boxes.map((boxes) => {
    const corners = boxes.toNumbers();
    return Array.from({ length: corners.length / 4 }, (_, i) => corners.slice(i * 4, i * 4 + 4));
  });
}

// Anchors of cells: (1, 1) of level 0 lies around (8, 8), (1, 1) of level 1 around (16, 16).
const FINE_5 = [4, 4, 12, 12];
const FINE_6 = [12, 4, 20, 12];
const FINE_10 = [12, 12, 20, 20];
const COARSE_3 = [8, 8, 24, 24];

describe('RegionProposalNetwork', () => {
  test('proposes the best anchors of each level, the best of all first', () =>
    scope(() => {
      const features = featuresOf([
        [0, 5, 3],
        [0, 6, 5],
        [0, 10, 1],
        [1, 3, 4],
      ]);
      const rpn = transparentRpn({ preNmsTopN: { train: 1, test: 2 } });
      const [found = []] = proposalsOf(rpn, features);
      // Two of the finer level; of the coarser one the anchor of logit 4 and one of logit 0.
      assert.deepEqual(found.slice(0, 3), [FINE_6, COARSE_3, FINE_5]);
      assert.equal(found.length, 4);
    }));

  test('takes the training counts in training mode', () =>
    scope(() => {
      const features = featuresOf([
        [0, 5, 3],
        [0, 6, 5],
        [1, 3, 4],
      ]);
      const rpn = transparentRpn({ preNmsTopN: { train: 1, test: 2 } }).train();
      assert.deepEqual(proposalsOf(rpn, features), [[FINE_6, COARSE_3]]);
    }));

  test('keeps at most so many of an image', () =>
    scope(() => {
      const features = featuresOf([
        [0, 5, 3],
        [1, 3, 4],
      ]);
      const rpn = transparentRpn({ postNmsTopN: { train: 5, test: 1 } });
      assert.deepEqual(proposalsOf(rpn, features), [[COARSE_3]]);
    }));

  test('cuts proposals to the picture without its padding and drops what vanishes', () =>
    scope(() => {
      // The picture is 10 high and 16 wide: the second box keeps a corner, the third nothing.
      const features = featuresOf([
        [0, 5, 5],
        [0, 6, 4],
        [0, 10, 3],
      ]);
      const rpn = transparentRpn({ preNmsTopN: { train: 3, test: 3 }, scoreThreshold: 0.6 });
      const found = proposalsOf(rpn, features, batchOf(1, [10, 16]));
      assert.deepEqual(found, [
        [
          [4, 4, 12, 10],
          [12, 4, 16, 10],
        ],
      ]);
    }));

  test('suppresses overlapping proposals of a level, not of different levels', () =>
    scope(() => {
      // Both sizes round to the box [-4, -4, 4, 4]; cell (2, 2) of one level lies where (1, 1) of the other does.
      const sizes = [
        [8, 8.4],
        [8, 8.4],
      ];
      const rpn = transparentRpn({ anchors: { sizes, ratios: [1] }, scoreThreshold: 0.6 });
      const features = featuresOf([
        [0, 10, 3],
        [1, 3, 2],
      ]);
      assert.deepEqual(proposalsOf(rpn, features), [[FINE_10, FINE_10]]);
    }));

  test('drops proposals below the score threshold', () =>
    scope(() => {
      // sigmoid(0) is 0.5, sigmoid(2) 0.88.
      const rpn = transparentRpn({ scoreThreshold: 0.51 });
      assert.deepEqual(proposalsOf(rpn, featuresOf([[0, 5, 2]])), [[FINE_5]]);
    }));

  test('gives every image of a batch its own proposals', () =>
    scope(() => {
      const one = featuresOf([[0, 5, 2]]);
      const other = featuresOf([[0, 6, 2]]);
      const both = one.map((level, i) => ops.cat([level, other[i]!]));
      const rpn = transparentRpn({ scoreThreshold: 0.51 });
      assert.deepEqual(proposalsOf(rpn, both, batchOf(2)), [[FINE_5], [FINE_6]]);
    }));
});

describe('the losses of RegionProposalNetwork', () => {
  const targetsOf = (boxes: readonly (readonly number[])[]): Targets => ({
    boxes: tensor(boxes.flat(), { shape: [boxes.length, 4] }),
    labels: tensor(
      BigInt64Array.from(boxes, () => 1n),
      { shape: [boxes.length] },
    ),
  });

  test('are log 2 and 0 where all logits are 0 and every anchor fits', () =>
    scope(() => {
      const { losses } = transparentRpn().forward(batchOf(1), featuresOf([]), [targetsOf([FINE_5])]);
      assert.ok(Math.abs(losses.loss_objectness!.item() - Math.LN2) < 1e-6);
      assert.equal(losses.loss_rpn_box_reg!.item(), 0);
    }));

  test('measure the offsets of positives by the number of anchors drawn', () =>
    scope(() => {
      // The object is the anchor moved by 1 of 8 pixels: an offset of 1/8, beyond beta = 1/9.
      const moved = [5, 4, 13, 12];
      const { losses } = transparentRpn().forward(batchOf(1), featuresOf([]), [targetsOf([moved])]);
      assert.ok(Math.abs(losses.loss_rpn_box_reg!.item() - (1 / 8 - 1 / 18) / 16) < 1e-6);
    }));

  test('of images without objects are finite and reach all parameters', () =>
    scope(() => {
      manualSeed(6);
      const rpn = new RegionProposalNetwork(4, OPTIONS);
      const features = SIDES.map((side) => randn([2, 4, side, side]));
      const { losses, boxes } = rpn.forward(batchOf(2), features, [targetsOf([]), targetsOf([])]);
      assert.equal(boxes.length, 2);
      assert.equal(losses.loss_rpn_box_reg!.item(), 0);
      assert.ok(losses.loss_objectness!.item() > 0);
      const total: Tensor = ops.add(losses.loss_objectness!, losses.loss_rpn_box_reg!);
      total.backward();
      for (const [name, parameter] of rpn.namedParameters())
        assert.ok(parameter.grad?.toNumbers().every(Number.isFinite), name);
    }));

  test('of one image with objects and one without are finite', () =>
    scope(() => {
      const rpn = new RegionProposalNetwork(4, OPTIONS);
      const features = SIDES.map((side) => randn([2, 4, side, side]));
      const { losses } = rpn.forward(batchOf(2), features, [targetsOf([]), targetsOf([COARSE_3, FINE_5])]);
      for (const [name, loss] of Object.entries(losses)) assert.ok(Number.isFinite(loss.item()), name);
    }));
});
