import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ops, scope, tensor } from '@goshawk/torch';
import { CONVENTIONS } from './conventions.js';
import { type FixedCandidates, readDetections, suppressFixed } from './fixed-detections.js';

// Four boxes apart, three of them of the same score; of the second image only two are candidates.
const SCORES = [
  [0.5, 0.9, 0.5, 0.5],
  [0.7, -Infinity, 0.6, -Infinity],
];

function candidates(): FixedCandidates {
  const row = [0, 1, 2, 3].flatMap((place) => [place * 20, 0, place * 20 + 10, 10]);
  return {
    pixels: 'network',
    boxes: tensor([...row, ...row], { shape: [2, 4, 4] }),
    scores: tensor(SCORES.flat(), { shape: [2, 4] }),
    labels: ops.ones([2, 4], { dtype: 'int64' }),
  };
}

test('beyond the limit the best are kept, or all that reach the score of the last', () =>
  scope(() => {
    const counts = (rules: keyof typeof CONVENTIONS): number[] =>
      readDetections(suppressFixed(candidates(), { nmsThreshold: 0.5, maxDetections: 2 }, CONVENTIONS[rules])).map(
        ({ scores }) => scores.length,
      );
    assert.deepEqual(counts('torchvision'), [2, 2]);
    assert.deepEqual(counts('maskrcnn_benchmark'), [4, 2]);
  }));
