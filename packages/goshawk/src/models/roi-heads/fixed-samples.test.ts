// The keypoint head's own draw in fixed sizes against that of one image after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ops, scope, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { framesOf, padBoxes, padObjects, withFrames } from '../padded.js';
import { evenDraws } from '../sampling.js';
import type { Targets } from '../structures.js';
import { matchProposals, sampleFixedKeypoints } from './fixed-samples.js';
import { sampleKeypoints } from './sample-keypoints.js';

const CONFIG = { foregroundIou: 0.5, backgroundIou: 0.5, batchSizePerImage: 8, positiveFraction: 0.25 };
const SCALE = { x: 1, y: 1 };

// The object's only visible point lies in its lower half.
const OBJECT = [0, 0, 20, 20];
const UPPER = [0, 0, 20, 15];
const TARGET: Targets = {
  boxes: tensor(OBJECT, { shape: [1, 4] }),
  labels: tensor([1], { dtype: 'int64', shape: [1] }),
  keypoints: tensor([10, 18, 2, 10, 2, 0], { shape: [1, 2, 3] }),
};

for (const [rules, rois] of [
  ['detectron', OBJECT],
  ['maskrcnn_benchmark', [...UPPER, ...OBJECT]],
] as const) {
  test(`keypoints are learned from the boxes that hold a visible point as ${rules} asks`, () =>
    scope(() => {
      const conventions = CONVENTIONS[rules];
      const proposals = tensor(UPPER, { shape: [1, 4] });
      const batch = withFrames({
        pixels: ops.zeros([1, 3, 40, 40]),
        sizes: [[40, 40]],
        originals: [[40, 40]],
        scales: [SCALE],
      });
      const objects = padObjects([TARGET]);
      const matched = matchProposals(padBoxes([proposals]), objects, framesOf(batch), CONFIG, conventions);
      const fixed = sampleFixedKeypoints(matched, objects.keypoints!, CONFIG, conventions, evenDraws);
      const flags = fixed.valid.toNumbers();
      const found = fixed.rois.toNumbers().filter((_, i) => flags[Math.floor(i / 4)]);
      assert.deepEqual(found, rois);
      assert.deepEqual(
        found,
        sampleKeypoints(proposals, TARGET, SCALE, CONFIG, conventions, evenDraws).rois.toNumbers(),
      );
    }));
}
