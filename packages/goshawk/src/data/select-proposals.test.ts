import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Annotation, boxXywh, type Dataset } from '@goshawk/core';
import type { StoredProposals } from './proposals-file.js';
import { type ProposalSelection, selectProposals } from './select-proposals.js';

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
    const kept = selectProposals(proposals, annotated(), { limit: 2, convention: 'continuous' });
    assert.deepEqual(kept.get(1), {
      imageId: 1,
      boxes: Float32Array.of(0, 0, 10, 10, 5, 0, 15, 10),
      scores: Float32Array.of(3, 2),
    });
    assert.equal(kept.get(2)?.scores.length, 0);
    assert.equal(selectProposals(proposals, annotated(), { convention: 'continuous' }), proposals);
  });

  test('leaves out repeats and what is too small, before it counts', () => {
    // As clipped to 20 x 20 pixels and rounded: the second is the first, the third two columns wide, the fourth new.
    const boxes = Float32Array.of(2, 2, 19, 19, 1.6, 2.4, 30, 25, 17.8, 0, 24, 19, 2, 2, 12, 12);
    const stored = new Map([[1, { imageId: 1, boxes, scores: Float32Array.of(4, 3, 2, 1) }]]);
    const data: Dataset = { ...annotated(), images: [{ id: 1, fileName: 'a.png', width: 20, height: 20 }] };
    const scores = (selection: Partial<ProposalSelection>) => [
      ...selectProposals(stored, data, { convention: 'inclusive', ...selection }).get(1)!.scores,
    ];
    assert.deepEqual(scores({ distinct: true }), [4, 2, 1]);
    // From 17.8 to the last pixel, 19, are 2.2 columns.
    assert.deepEqual(scores({ minSize: 2 }), [4, 3, 2, 1]);
    assert.deepEqual(scores({ minSize: 2.3 }), [4, 3, 1]);
    assert.deepEqual(scores({ distinct: true, minSize: 3, limit: 2 }), [4, 1]);
    assert.deepEqual(
      [...selectProposals(stored, data, { convention: 'inclusive', limit: 1 }).get(1)!.boxes],
      [2, 2, 19, 19],
    );
  });

  test('leaves out what lies in a crowd region by more than the share', () => {
    // The first lies in it wholly, the second by a half, the third not at all; objects do not count.
    const data = annotated([0, 0, 10, 10, true], [40, 40, 10, 10, false]);
    const scores = (share: number) => [
      ...selectProposals(proposals, data, { crowdShare: share, convention: 'continuous' }).get(1)!.scores,
    ];
    assert.deepEqual(scores(0.7), [2, 1]);
    assert.deepEqual(scores(0.49), [1]);
    assert.deepEqual(scores(0.5), [2, 1]);
  });

  test('takes the crowds one by one and counts the last pixel where it is the box', () => {
    const half = annotated([0, 0, 5, 11, true], [5, 0, 6, 11, true]);
    const scores = (share: number, convention: 'inclusive' | 'continuous') => [
      ...selectProposals(proposals, half, { crowdShare: share, convention }).get(1)!.scores,
    ];
    assert.deepEqual(scores(0.6, 'inclusive'), [3, 2, 1]);
    // From 0 to 10 are 11 columns, of which the two cover 5 and 6: 45 % and 55 %. Or 10 columns, and 50 % each.
    assert.deepEqual(scores(0.52, 'inclusive'), [1]);
    assert.deepEqual(scores(0.52, 'continuous'), [3, 1]);
  });
});
