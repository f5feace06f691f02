// The first stage's losses of fixed samples where an object's best anchor lies beyond the image's border.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { framesOf, padObjects, withFrames } from '../padded.js';
import { evenDraws } from '../sampling.js';
import type { Targets } from '../structures.js';
import { type AnchorLossOptions, anchorLosses } from './anchor-loss.js';
import { fixedAnchorLosses } from './fixed-anchor-loss.js';

// The object's overlap with the first anchor is the larger one, 0.4 to 0.2, but that one is left out of the loss.
const ANCHORS = [
  [-4, 0, 5, 9],
  [4, 0, 13, 9],
  [60, 0, 69, 9],
];
const TARGET: Targets = {
  boxes: tensor([0, 0, 5, 9], { shape: [1, 4] }),
  labels: tensor([1], { dtype: 'int64', shape: [1] }),
};
const OPTIONS: AnchorLossOptions = {
  foregroundIou: 0.7,
  backgroundIou: 0.3,
  batchSizePerImage: 8,
  positiveFraction: 0.5,
  straddle: 0,
  draws: evenDraws,
};

for (const [rules, hasPositive] of [
  ['torchvision', true],
  ['mmdetection', true],
  ['maskrcnn_benchmark', false],
] as const) {
  test(`the next anchor learns an object whose best lies outside, by ${rules}'s rules: ${hasPositive}`, () =>
    scope(() => {
      const conventions = CONVENTIONS[rules];
      const anchors = tensor(ANCHORS.flat(), { shape: [3, 4] });
      const logits = tensor([0.3, -0.7, 1.1], { shape: [1, 3, 1] });
      const offsets = tensor(
        Array.from({ length: 12 }, (_, i) => i / 10),
        { shape: [1, 3, 4] },
      );
      const exact = anchorLosses(
        { logits: [logits], offsets: [offsets], anchors: [anchors] },
        [[100, 100]],
        [TARGET],
        OPTIONS,
        conventions,
      );
      const { sizes } = framesOf(
        withFrames({ pixels: logits, sizes: [[100, 100]], originals: [[100, 100]], scales: [{ x: 1, y: 1 }] }),
      );
      const joined = { logits, offsets, anchors, counts: [3] };
      const fixed = fixedAnchorLosses(joined, sizes, padObjects([TARGET]), OPTIONS, conventions);
      const lossOf = (loss: Tensor | undefined): number => loss!.item();
      for (const name of ['loss_objectness', 'loss_rpn_box_reg'])
        assertClose([lossOf(fixed[name])], [lossOf(exact[name])], { absolute: 1e-6 });
      assert.equal(lossOf(fixed.loss_rpn_box_reg) > 0, hasPositive);
    }));
}
