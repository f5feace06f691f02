// Steps in tensors of fixed size against those of exact sizes: the same losses and gradients, and no operator that makes the
// host wait for a card.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { operatorsThatWait, recordOperators, scope, setThreads } from '@goshawk/torch';
import { batchOf, build, KINDS, RULES } from '../../testing/rcnn-kinds.js';
import { assertSameDetections, assertSameStep, stepOf } from '../../testing/recorded-step.js';
import { SQUARES } from '../../testing/tiny-targets.js';
import { CONVENTIONS } from '../conventions.js';
import { withFrames } from '../padded.js';
import type { Detections } from '../structures.js';

before(() => setThreads(1));

/** What makes the host wait once, by the rules and the kind that ask for it; nothing else does. */
function expectedWaits(kind: string, rules: (typeof RULES)[number]): Record<string, number> {
  const isDrawn = kind.includes('maskHead') && CONVENTIONS[rules].maskTargets.endsWith('polygons');
  const levels = kind.includes('stored') ? 0 : /type: none|finestOnly/.test(kind) ? 1 : 5;
  const uploads = levels + (isDrawn ? 1 : 0);
  return {
    // The first step brings the anchors of a cell of each level to the device.
    ...(uploads > 0 && { 'goshawk::from_host': uploads }),
    // The masks of Detectron and maskrcnn-benchmark are drawn from polygons, by the host.
    ...(isDrawn && { 'goshawk::to_host': 1 }),
    // A batch norm's statistics are those of real rows alone, of the box head's and of the mask head's.
    ...(kind.includes('norm: batch') && { 'aten::nonzero': 2 }),
  };
}

const MIXED = [SQUARES, SQUARES.slice(1), []];

describe('fixed sizes', () => {
  for (const [what, kind] of Object.entries(KINDS)) {
    for (const rules of RULES) {
      test(`have the losses and gradients of exact ones without waiting, then find the same for one number an image: ${what}, by ${rules}'s rules`, () => {
        scope(() => {
          const [exact, fixed] = (['exact', 'fixed'] as const).map((sizing) => build(kind, rules, { sizing }));
          const step = stepOf(fixed!, MIXED);
          assert.ok(step.operators.has('goshawk::match_batch'));
          assertSameStep(step, stepOf(exact!, MIXED));
          assert.deepEqual(Object.fromEntries(operatorsThatWait(step.operators)), expectedWaits(kind, rules));

          for (const model of [exact!, fixed!]) model.eval();
          const batch = withFrames(batchOf(MIXED));
          let found: readonly Detections[] = [];
          const operators = recordOperators(() => {
            found = fixed!.predict(batch);
          });
          assertSameDetections(found, exact!.predict(batch));
          assert.ok(found.some(({ scores }) => scores.length > 0));
          assert.ok(operators.has('goshawk::nms_first'));
          // Keypoints are decoded one detection after the other, from boxes that the host reads.
          if (!kind.includes('keypointHead'))
            assert.deepEqual(Object.fromEntries(operatorsThatWait(operators)), { 'goshawk::to_host': 1 });
        });
      });
    }
  }
});

describe('a step with few or no objects has the losses and gradients of one of exact sizes', () => {
  for (const what of [
    'Keypoint R-CNN with masks',
    'Mask R-CNN on stage 4, stage 5 shared',
    'Faster R-CNN of stored proposals',
  ]) {
    for (const rules of RULES) {
      test(`${what}, by ${rules}'s rules`, () => {
        const [exact, fixed] = (['exact', 'fixed'] as const).map((sizing) => build(KINDS[what]!, rules, { sizing }));
        for (const objects of [[SQUARES.slice(0, 1)], [[], []]])
          scope(() => assertSameStep(stepOf(fixed!, objects), stepOf(exact!, objects)));
      });
    }
  }
});

describe('a prediction of fixed sizes', () => {
  test('leaves soft suppression and box voting to the host', () => {
    const kind = KINDS['Faster R-CNN on a pyramid']!;
    for (const rule of ['softNms: { method: linear }', 'boxVoting: { threshold: 0.5 }']) {
      scope(() => {
        const text = kind.replace('scoreThreshold: 0', `scoreThreshold: 0, ${rule}`);
        const [exact, fixed] = (['exact', 'fixed'] as const).map((sizing) =>
          build(text, 'detectron', { sizing }).eval(),
        );
        assertSameDetections(fixed!.predict(batchOf(MIXED)), exact!.predict(batchOf(MIXED)));
      });
    }
  });
});
