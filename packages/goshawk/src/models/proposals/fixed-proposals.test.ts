// Proposals in fixed sizes against those of one image after the other.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  assertClose,
  init,
  manualSeed,
  noGrad,
  operatorsThatWait,
  ops,
  randn,
  recordOperators,
  scope,
} from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { withFrames } from '../padded.js';
import type { Features, ImageBatch } from '../structures.js';
import { type FixedProposals, RegionProposalNetwork } from './region-proposal-network.js';
import type { RpnOptions } from './rpn-options.js';

const OPTIONS: RpnOptions = {
  anchors: {
    sizes: [
      [12, 20],
      [24, 40],
      [60, 90],
    ],
    ratios: [0.5, 1],
    strides: [8, 16, 32],
  },
  preNmsTopN: { train: 60, test: 50 },
  postNmsTopN: { train: 30, test: 25 },
  nmsThreshold: 0.6,
  scoreThreshold: 0,
  minSize: 4,
  foregroundIou: 0.7,
  backgroundIou: 0.3,
  batchSizePerImage: 16,
  positiveFraction: 0.5,
};

const VARIANTS: Readonly<Record<string, Partial<RpnOptions>>> = {
  'the best of an image': {},
  'more than there are candidates': { postNmsTopN: { train: 1000, test: 1000 } },
  'the first of each level': { levelPostNmsTopN: { train: 9, test: 7 } },
  'the best of the batch': { collectImages: 2 },
  'the best of the batch, first of each level': { collectImages: 1, levelPostNmsTopN: { train: 12, test: 7 } },
  'the best of the batch, as many however many images there are': { collectImages: 'batch' },
  'those above a score and a size': { scoreThreshold: 0.6, minSize: 15 },
  'none at all': { minSize: 1000 },
  'two logits an anchor': { activation: 'softmax' },
};

const SIDES = [
  [10, 14],
  [5, 7],
  [3, 4],
] as const;

function networkOf(options: RpnOptions): RegionProposalNetwork {
  manualSeed(1);
  const rpn = new RegionProposalNetwork(4, options);
  // Offsets that spread the boxes, and logits that tell them apart.
  noGrad(() => {
    for (const [name, parameter] of rpn.namedParameters())
      init.normal(parameter, { std: name.includes('bbox') ? 0.15 : 0.4 });
  });
  return rpn;
}

function batchWithFeatures(): { batch: ImageBatch; features: Features } {
  manualSeed(2);
  const sizes = [
    [80, 112],
    [61, 90],
    [33, 40],
  ] as const;
  const scales = [
    { x: 1, y: 1 },
    { x: 2, y: 2 },
    { x: 0.5, y: 0.5 },
  ];
  return {
    batch: {
      pixels: ops.zeros([3, 3, 80, 112]),
      sizes,
      originals: sizes.map(([height, width], image) => [height / scales[image]!.y, width / scales[image]!.x] as const),
      scales,
    },
    features: SIDES.map(([height, width]) => randn([3, 4, height, width])),
  };
}

for (const rules of Object.keys(CONVENTIONS) as (keyof typeof CONVENTIONS)[]) {
  describe(`proposals of fixed size by ${rules}'s rules`, () => {
    for (const [what, variant] of Object.entries(VARIANTS)) {
      for (const mode of ['training', 'evaluation']) {
        test(`${what}, in ${mode}`, () =>
          scope(() => {
            const rpn = networkOf({ ...OPTIONS, ...variant, conventions: CONVENTIONS[rules] });
            rpn.train(mode === 'training');
            const { batch, features } = batchWithFeatures();
            const expected = rpn.forward(batch, features);
            const framed = withFrames(batch);
            let found: FixedProposals | undefined;
            const operators = recordOperators(() => {
              found = rpn.fixed(framed, features);
            });
            assert.equal(operatorsThatWait(operators).size, 0);
            const { boxes, scores, valid } = found!;
            const most = boxes.size(1);
            const flags = valid.toNumbers();
            expected.boxes.forEach((own, image) => {
              const rows = flags.slice(image * most, (image + 1) * most).flatMap((flag, row) => (flag ? [row] : []));
              assert.equal(rows.length, own.size(0));
              rows.forEach((row, rank) => {
                const at = <T extends typeof boxes>(values: T) => ops.select(ops.select(values, 0, image), 0, row);
                assertClose(at(boxes), ops.select(own, 0, rank), { absolute: 1e-4 });
                assertClose([at(scores).item()], [ops.select(expected.scores[image]!, 0, rank).item()]);
              });
            });
          }));
      }
    }
  });
}
