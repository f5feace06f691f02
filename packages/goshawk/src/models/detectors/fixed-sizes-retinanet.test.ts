// A RetinaNet's steps in tensors of fixed size against those of exact sizes.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { manualSeed, operatorsThatWait, recordOperators, scope, setThreads } from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import { batchOf } from '../../testing/rcnn-kinds.js';
import { assertSameDetections, assertSameStep, stepOf } from '../../testing/recorded-step.js';
import { SQUARES } from '../../testing/tiny-targets.js';
import { buildModel } from '../build.js';
import { RETINA_CONVENTIONS } from '../dense-heads/index.js';
import type { Detector } from '../detector.js';
import { withFrames } from '../padded.js';
import type { Sizing } from '../sizing.js';
import type { Detections } from '../structures.js';

before(() => setThreads(1));

const MIXED = [SQUARES, SQUARES.slice(1), []];

describe('a step of fixed sizes has the losses and gradients of one of exact sizes, and waits for nothing', () => {
  const RETINANETS = {
    "by torchvision's rules": { rules: 'torchvision', factors: '' },
    "by mmdetection's rules": { rules: 'mmdetection', factors: '' },
    "by maskrcnn-benchmark's rules and factors": {
      rules: 'maskrcnn_benchmark',
      factors: ', regressionWeights: [10, 10, 5, 5], boxLossWeight: 0.25',
    },
  };
  for (const [what, { rules, factors }] of Object.entries(RETINANETS)) {
    for (const boxLoss of ['l1', 'smooth_l1', 'giou']) {
      test(`${what}, with the box loss ${boxLoss}`, () => {
        const { model } = parseConfig(
          `model:
  type: retinanet
  conventions: ${rules}
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  head: { convolutions: 1, boxLoss: ${boxLoss}, backgroundIou: 0.4${factors} }`,
          { file: 'test' },
        );
        const of = (sizing: Sizing): Detector => {
          manualSeed(7);
          return buildModel(model, { classes: 2, sizing }).to({ memoryFormat: 'channels_last' }) as Detector;
        };
        const [exact, fixed] = [of('exact'), of('fixed')];
        for (const objects of [MIXED, [[], []]]) {
          scope(() => {
            stepOf(fixed, objects);
            const step = stepOf(fixed, objects);
            assert.ok(step.operators.has('goshawk::match_batch'));
            assertSameStep(step, stepOf(exact, objects));
            assert.deepEqual(operatorsThatWait(step.operators), new Map());
          });
        }
      });
    }
  }
});

describe('a prediction of fixed sizes finds what one of exact sizes finds, and reads one number an image', () => {
  for (const rules of Object.keys(RETINA_CONVENTIONS)) {
    for (const limits of [
      'preNmsTopN: 40, maxDetections: 15, regressionWeights: [10, 10, 5, 5]',
      'preNmsTopN: 3000',
      'scoreThreshold: 0.99',
    ]) {
      test(`by ${rules}'s rules, with ${limits}`, () => {
        const { model } = parseConfig(
          `model:
  type: retinanet
  conventions: ${rules}
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  head: { convolutions: 1, ${limits.includes('score') ? '' : 'scoreThreshold: 0.0099, '}${limits} }`,
          { file: 'test' },
        );
        const of = (sizing: Sizing): Detector => {
          manualSeed(7);
          return buildModel(model, { classes: 3, sizing }).eval() as Detector;
        };
        scope(() => {
          const fixed = of('fixed');
          const batch = withFrames(batchOf(MIXED));
          fixed.predict(batch);
          let found: readonly Detections[] = [];
          const operators = recordOperators(() => {
            found = fixed.predict(batch);
          });
          assertSameDetections(found, of('exact').predict(batch));
          assert.equal(
            found.some(({ scores }) => scores.length > 5),
            !limits.includes('0.99'),
          );
          assert.deepEqual(Object.fromEntries(operatorsThatWait(operators)), { 'goshawk::to_host': 1 });
        });
      });
    }
  }
});
