import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, init, manualSeed, noGrad, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { evenDraws } from '../sampling.js';
import { type Features, type ImageBatch, type Targets, unscaledBatch } from '../structures.js';
import { RegionProposalNetwork } from './region-proposal-network.js';
import type { RpnOptions } from './rpn-options.js';

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

  test('a level keeps its best proposals, or its first where all of its anchors were candidates', () =>
    scope(() => {
      const features = featuresOf([
        [0, 5, 3],
        [0, 6, 5],
        [0, 10, 4],
        [1, 0, 1],
        [1, 3, 4],
      ]);
      const levelPostNmsTopN = { train: 100, test: 2 };
      const conventions = { ...CONVENTIONS.torchvision, levelProposals: 'first_of_few' } as const;
      // Of the 16 finer anchors 15 are candidates, so they are sorted; of the 4 coarser ones all.
      const sorted = transparentRpn({ preNmsTopN: { train: 100, test: 15 }, levelPostNmsTopN, conventions });
      const coarse = [
        [0, 0, 8, 8],
        [8, 0, 24, 8],
      ];
      assert.deepEqual(proposalsOf(sorted, features)[0], [FINE_6, FINE_10, ...coarse]);
      // With 16 candidates the finer level is cut in the order of its anchors as well.
      const unsorted = transparentRpn({ preNmsTopN: { train: 100, test: 16 }, levelPostNmsTopN, conventions });
      const fine = [
        [0, 0, 4, 4],
        [4, 0, 12, 4],
      ];
      const found = proposalsOf(unsorted, features)[0]!;
      assert.deepEqual(found[0], coarse[0]);
      assert.deepEqual(new Set(found.map(String)), new Set([...coarse, ...fine].map(String)));
      // Other systems keep the best of every level.
      const best = transparentRpn({ preNmsTopN: { train: 100, test: 16 }, levelPostNmsTopN });
      const kept = proposalsOf(best, features)[0]!;
      assert.deepEqual(kept.slice(0, 2), [FINE_6, FINE_10]);
      assert.equal(kept.length, 4);
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

const targetsOf = (boxes: readonly (readonly number[])[]): Targets => ({
  boxes: tensor(boxes.flat(), { shape: [boxes.length, 4] }),
  labels: tensor(
    BigInt64Array.from(boxes, () => 1n),
    { shape: [boxes.length] },
  ),
});

describe('RegionProposalNetwork that keeps the best of a whole batch', () => {
  const options = { collectImages: 2, postNmsTopN: { train: 3, test: 100 }, scoreThreshold: 0.51 };
  const features = (): Features => {
    const one = featuresOf([
      [0, 5, 3],
      [1, 3, 4],
      [0, 10, 1],
    ]);
    const other = featuresOf([
      [0, 6, 2],
      [0, 15, 0.5],
    ]);
    return one.map((level, i) => ops.cat([level, other[i]!]));
  };

  test('in training lets an image give more than another, best first', () =>
    scope(() => {
      const rpn = transparentRpn(options).train();
      assert.deepEqual(proposalsOf(rpn, features(), batchOf(2)), [[COARSE_3, FINE_5], [FINE_6]]);
    }));

  test('counts postNmsTopN for every so many images', () =>
    scope(() => {
      const rpn = transparentRpn({ ...options, collectImages: 1, postNmsTopN: { train: 2, test: 100 } }).train();
      assert.deepEqual(
        proposalsOf(rpn, features(), batchOf(2)).map((found) => found.length),
        [3, 1],
      );
    }));

  test('or postNmsTopN in all, however many images there are', () =>
    scope(() => {
      const rpn = transparentRpn({ ...options, collectImages: 'batch', postNmsTopN: { train: 2, test: 100 } }).train();
      assert.deepEqual(proposalsOf(rpn, features(), batchOf(2)), [[COARSE_3, FINE_5], []]);
    }));

  test('in evaluation keeps the best of each image', () =>
    scope(() => {
      const rpn = transparentRpn({ ...options, postNmsTopN: { train: 3, test: 1 } });
      assert.deepEqual(proposalsOf(rpn, features(), batchOf(2)), [[COARSE_3], [FINE_6]]);
    }));
});

describe("RegionProposalNetwork by Detectron's rules", () => {
  // Cell (1, 1) of stride 8 has its middle at 11.5: 8 pixels are 8 to 15.
  const options: Partial<RpnOptions> = {
    anchors: { sizes: [[8], [16]], ratios: [1], strides: [8, 16] },
    conventions: CONVENTIONS.detectron,
    scoreThreshold: 0.51,
    minSize: 0,
  };

  test('ends proposals at the padding in evaluation, at the picture in training', () =>
    scope(() => {
      const rpn = transparentRpn(options);
      const features = featuresOf([[0, 5, 2]]);
      const batch = batchOf(1, [14, 13]);
      assert.deepEqual(proposalsOf(rpn, features, batch), [[[8, 8, 15, 15]]]);
      assert.deepEqual(proposalsOf(rpn.train(), features, batch), [[[8, 8, 12, 13]]]);
    }));

  test('drops proposals smaller than the least size in image pixels', () =>
    scope(() => {
      const found = (minSize: number, scale: number): number =>
        proposalsOf(transparentRpn({ ...options, minSize }), featuresOf([[0, 5, 2]]), {
          ...batchOf(1),
          scales: [{ x: scale, y: scale }],
        })[0]!.length;
      assert.deepEqual([found(4, 2), found(4.1, 2), found(4.1, 1)], [1, 0, 1]);
    }));

  test('drops of two proposals whose IoU is exactly the threshold the worse one', () =>
    scope(() => {
      // Cells side by side: anchors of 16 pixels every 8 share a third.
      const count = (conventions: (typeof CONVENTIONS)['detectron' | 'torchvision'], strides?: number[]): number =>
        proposalsOf(
          transparentRpn({
            ...options,
            anchors: { sizes: [[16], [64]], ratios: [1], strides },
            conventions,
            nmsThreshold: Math.fround(1 / 3),
          }),
          featuresOf([
            [0, 5, 3],
            [0, 6, 2],
          ]),
        )[0]!.length;
      assert.deepEqual([count(CONVENTIONS.detectron, [8, 16]), count(CONVENTIONS.torchvision)], [1, 2]);
    }));
});

describe('RegionProposalNetwork with two logits an anchor', () => {
  const softmax = (anchorsPerCell = 1, options: Partial<RpnOptions> = {}): RegionProposalNetwork =>
    new RegionProposalNetwork(1, {
      ...OPTIONS,
      anchors: {
        sizes: [new Array<number>(anchorsPerCell).fill(8), new Array<number>(anchorsPerCell).fill(16)],
        ratios: [1],
      },
      activation: 'softmax',
      draws: evenDraws,
      ...options,
    });

  /** Sets the logits of every cell: those of the background for each anchor, then those of the objects. */
  function fillLogits(rpn: RegionProposalNetwork, logits: readonly number[]): RegionProposalNetwork {
    noGrad(() => {
      for (const parameter of rpn.parameters()) init.constant(parameter, 0);
      ops.copy_(rpn.head.clsLogits.bias!, tensor([...logits]));
    });
    return rpn;
  }

  test('reads the backgrounds from the first half of the channels and the objects from the second', () =>
    scope(() => {
      // Three anchors a cell, of objectness 1 - 2, 5 - 3 and 4 - 4; none is suppressed.
      const rpn = fillLogits(softmax(3, { nmsThreshold: 1 }), [2, 3, 4, 1, 5, 4]).eval();
      const scores = rpn.forward(batchOf(1), featuresOf([])).scores[0]!.toNumbers();
      const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
      const cells = 4 * 4 + 2 * 2;
      assertClose(
        scores,
        [2, 0, -1].flatMap((objectness) => new Array<number>(cells).fill(sigmoid(objectness))),
      );
    }));

  test("'s loss is the cross entropy of both logits", () =>
    scope(() => {
      const rpn = fillLogits(softmax(), [0.5, 1.5]);
      const { losses } = rpn.forward(batchOf(1), featuresOf([]), [targetsOf([FINE_5])]);
      // One positive and 15 negatives, both with a softmax of (1, e) / (1 + e).
      const total = Math.log(1 + Math.E);
      assert.ok(Math.abs(losses.loss_objectness!.item() - (total - 1 + 15 * total) / 16) < 1e-5);
    }));

  test("'s loss by Detectron's rules is the sum of the levels' means over what was drawn of each", () =>
    scope(() => {
      const detectron: Partial<RpnOptions> = {
        conventions: CONVENTIONS.detectron,
        anchors: { sizes: [[8], [16]], ratios: [1], strides: [8, 16] },
        batchSizePerImage: 4,
        positiveFraction: 0.25,
      };
      const rpn = fillLogits(softmax(1, detectron), [0.5, 1.5]);
      // Only the object's own anchor, 5, is positive; of the 19 others the even draw takes 0, 7, 13: all of level 0.
      const one = rpn.forward(batchOf(1), featuresOf([]), [targetsOf([[8, 8, 15, 15]])]).losses.loss_objectness!.item();
      const total = Math.log(1 + Math.E);
      const sixteen = rpn.forward(batchOf(1), featuresOf([]), [targetsOf([[16, 16, 31, 31]])]).losses;
      // The coarse anchor, 19, is positive and alone on its level; 0, 6 and 12 are negatives of the other.
      assert.ok(Math.abs(sixteen.loss_objectness!.item() - (total - 1 + total)) < 1e-5);
      assert.ok(Math.abs(one - (total - 1 + 3 * total) / 4) < 1e-5);
    }));
});

describe("the losses of RegionProposalNetwork by Detectron's rules", () => {
  const detectron: Partial<RpnOptions> = {
    conventions: CONVENTIONS.detectron,
    anchors: { sizes: [[8], [16]], ratios: [1], strides: [8, 16] },
    batchSizePerImage: 8,
    draws: evenDraws,
  };

  test('divide the classes by the capacity of the batch, and the boxes by what was drawn of the image', () =>
    scope(() => {
      // Moved by one of 8 pixels; 7 negatives are drawn in the first image, none in the other, where 8 are wanted of 0.
      const moved = [9, 8, 16, 15];
      const rpn = transparentRpn(detectron);
      const { losses } = rpn.forward(batchOf(1), featuresOf([]), [targetsOf([moved])]);
      assert.ok(Math.abs(losses.loss_objectness!.item() - Math.LN2) < 1e-6);
      assert.ok(Math.abs(losses.loss_rpn_box_reg!.item() - (1 / 8 - 1 / 18) / 8) < 1e-6);
      // With room for 40 no negatives are drawn: there are not more than that.
      const few = transparentRpn({ ...detectron, batchSizePerImage: 40 });
      const alone = few.forward(batchOf(1), featuresOf([]), [targetsOf([moved])]).losses;
      assert.ok(Math.abs(alone.loss_objectness!.item() - Math.LN2 / 40) < 1e-6);
      assert.ok(Math.abs(alone.loss_rpn_box_reg!.item() - (1 / 8 - 1 / 18)) < 1e-6);
    }));

  test('divide the boxes of a batch by its images, each by its own draw', () =>
    scope(() => {
      const moved = [9, 8, 16, 15];
      const both = featuresOf([]).map((level) => ops.cat([level, level]));
      const { losses } = transparentRpn(detectron).forward(batchOf(2), both, [targetsOf([moved]), targetsOf([])]);
      assert.ok(Math.abs(losses.loss_rpn_box_reg!.item() - (1 / 8 - 1 / 18) / 8 / 2) < 1e-6);
    }));

  test('of a single level divide the classes by what was drawn', () =>
    scope(() => {
      const rpn = transparentRpn({
        ...detectron,
        anchors: { sizes: [[8]], ratios: [1], strides: [8] },
        batchSizePerImage: 40,
      });
      const single = featuresOf([]).slice(0, 1);
      const { losses } = rpn.forward(batchOf(1), single, [targetsOf([[9, 8, 16, 15]])]);
      assert.ok(Math.abs(losses.loss_objectness!.item() - Math.LN2) < 1e-6);
    }));
});

describe('the losses of RegionProposalNetwork', () => {
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
