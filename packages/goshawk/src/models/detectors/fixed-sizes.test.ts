// Steps in tensors of fixed size against those of exact sizes where there is little to learn from, and what predictions of fixed sizes
// leave to the host. rcnn-kinds.test.ts compares the others.
import { before, describe, test } from 'node:test';
import { scope, setThreads } from '@goshawk/torch';
import { batchOf, build, KINDS, RULES } from '../../testing/rcnn-kinds.js';
import { assertSameDetections, assertSameStep, stepOf } from '../../testing/recorded-step.js';
import { SQUARES } from '../../testing/tiny-targets.js';

before(() => setThreads(1));

const MIXED = [SQUARES, SQUARES.slice(1), []];

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
