import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Annotation, boxXywh, type Dataset } from '@goshawk/core';
import type { StoredProposals } from './proposals-file.js';
import { selectProposals } from './select-proposals.js';

// Corners; picture 2 has none.
const proposals = new Map<number, StoredProposals>([
  [
    1,
    {
      imageId: 1,
      boxes: Float32Array.of(0, 0, 10, 10, 5, 0, 15, 10, 40, 40, 50, 50),
      scores: Float32Array.of(3, 2, 1),
    },
  ],
  [2, { imageId: 2, boxes: new Float32Array(0), scores: new Float32Array(0) }],
]);

function annotated(
  ...boxes: (readonly [x: number, y: number, width: number, height: number, isCrowd: boolean])[]
): Dataset {
  const annotations = boxes.map(
    ([x, y, width, height, isCrowd], i): Annotation => ({
      id: i + 1,
      imageId: 1,
      categoryId: 1,
      bbox: boxXywh(x, y, width, height),
      area: width * height,
      isCrowd,
    }),
  );
  return { images: [], categories: [], annotations };
}

describe('selectProposals', () => {
  test('keeps the first so many of each picture', () => {
    const kept = selectProposals(proposals, { limit: 2, convention: 'continuous' });
    assert.deepEqual(kept.get(1), {
      imageId: 1,
      boxes: Float32Array.of(0, 0, 10, 10, 5, 0, 15, 10),
      scores: Float32Array.of(3, 2),
    });
    assert.equal(kept.get(2)?.scores.length, 0);
    assert.equal(selectProposals(proposals, { convention: 'continuous' }), proposals);
  });

  test('leaves out what lies in a crowd region by more than the share', () => {
    // The first lies in it wholly, the second by a half, the third not at all; objects do not count.
    const data = annotated([0, 0, 10, 10, true], [40, 40, 10, 10, false]);
    const scores = (share: number) => [
      ...selectProposals(proposals, { crowds: { share, in: data }, convention: 'continuous' }).get(1)!.scores,
    ];
    assert.deepEqual(scores(0.7), [2, 1]);
    assert.deepEqual(scores(0.49), [1]);
    assert.deepEqual(scores(0.5), [2, 1]);
  });

  test('takes the crowds one by one and counts the last pixel where it is the box', () => {
    const half = annotated([0, 0, 5, 11, true], [5, 0, 6, 11, true]);
    const scores = (share: number, convention: 'inclusive' | 'continuous') => [
      ...selectProposals(proposals, { crowds: { share, in: half }, convention }).get(1)!.scores,
    ];
    assert.deepEqual(scores(0.6, 'inclusive'), [3, 2, 1]);
    // From 0 to 10 are 11 columns, of which the two cover 5 and 6: 45 % and 55 %. Or 10 columns, and 50 % each.
    assert.deepEqual(scores(0.52, 'inclusive'), [1]);
    assert.deepEqual(scores(0.52, 'continuous'), [3, 1]);
  });
});
