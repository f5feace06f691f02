import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { evenDraws } from '../sampling.js';
import type { Targets } from '../structures.js';
import { sampleProposals, toImage, toNetwork, toSecondStage } from './sample-proposals.js';

const boxesOf = (rows: readonly (readonly number[])[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });
const targetOf = (rows: readonly (readonly number[])[]): Targets => ({
  boxes: boxesOf(rows),
  labels: tensor(
    BigInt64Array.from(rows, (_, i) => BigInt(i + 5)),
    { shape: [rows.length] },
  ),
});

const CONFIG = {
  foregroundIou: 0.5,
  backgroundIou: 0.5,
  batchSizePerImage: 8,
  positiveFraction: 0.5,
  regressionWeights: [10, 10, 5, 5] as [number, number, number, number],
};

describe('toImage and toNetwork', () => {
  const scale = { x: 2, y: 0.5 };

  test('scale x and y each by its own factor, and undo each other', () =>
    scope(() => {
      const boxes = boxesOf([[2, 4, 20, 40]]);
      assert.deepEqual(toImage(boxes, scale).toNumbers(), [1, 8, 10, 80]);
      assert.deepEqual(toNetwork(boxes, scale).toNumbers(), [4, 2, 40, 20]);
      assert.deepEqual(toNetwork(toImage(boxes, scale), scale).toNumbers(), boxes.toNumbers());
    }));

  test('leave boxes in network pixels where the second stage is measured in them', () =>
    scope(() => {
      const boxes = boxesOf([[2, 4, 20, 40]]);
      assert.deepEqual(toSecondStage(boxes, scale, CONVENTIONS.torchvision).toNumbers(), [2, 4, 20, 40]);
      assert.deepEqual(toSecondStage(boxes, scale, CONVENTIONS.detectron).toNumbers(), [1, 8, 10, 80]);
    }));
});

describe('sampleProposals', () => {
  const object = [0, 0, 20, 40];
  const near = [0, 0, 20, 30];
  const far = [100, 100, 120, 140];

  test('lists positives first, the objects themselves among them, and background behind them', () =>
    scope(() => {
      const sample = sampleProposals(
        boxesOf([far, near]),
        targetOf([object]),
        { x: 1, y: 1 },
        CONFIG,
        CONVENTIONS.torchvision,
        evenDraws,
      );
      assert.deepEqual(sample.rois.toNumbers(), [near, object, far].flat());
      assert.deepEqual(sample.labels.toNumbers(), [5, 5, 0]);
      assert.deepEqual([sample.positives, sample.objects.toNumbers()], [2, [0, 0, 0]]);
      // The proposal's centre (10, 15) lies 5 of 30 above the object's, whose height is 4 / 3 of its own.
      assertClose(sample.goals.toNumbers().slice(0, 8), [0, 10 / 6, 0, 5 * Math.log(4 / 3), 0, 0, 0, 0]);
    }));

  test('measures overlap and offsets in image pixels where the conventions say so', () =>
    scope(() => {
      const sample = sampleProposals(
        boxesOf([near]),
        targetOf([object]),
        { x: 2, y: 2 },
        CONFIG,
        CONVENTIONS.detectron,
        evenDraws,
      );
      assert.deepEqual(sample.rois.toNumbers(), [near, object].flat());
      assert.deepEqual(
        sample.boxes.toNumbers(),
        [near, object].flat().map((side) => side / 2),
      );
      // In image pixels, their last ones counted: heights of 21 and 16, centres at 10.5 and 8.
      assertClose(sample.goals.toNumbers().slice(0, 4), [0, (10 * 2.5) / 16, 0, 5 * Math.log(21 / 16)]);
    }));

  test('calls everything background in an image without objects, and takes no proposals too', () =>
    scope(() => {
      const sample = (rows: readonly (readonly number[])[]) =>
        sampleProposals(boxesOf(rows), targetOf([]), { x: 1, y: 1 }, CONFIG, CONVENTIONS.torchvision, evenDraws);
      const some = sample([near, far]);
      assert.deepEqual([some.positives, some.labels.toNumbers()], [0, [0, 0]]);
      assert.deepEqual(some.goals.shape, [2, 4]);
      assert.deepEqual(sample([]).rois.shape, [0, 4]);
    }));

  test('draws at most so many, and at most the share of positives', () =>
    scope(() => {
      const sample = sampleProposals(
        boxesOf([...new Array<number[]>(10).fill(near), ...new Array<number[]>(10).fill(far)]),
        targetOf([object]),
        { x: 1, y: 1 },
        CONFIG,
        CONVENTIONS.torchvision,
        evenDraws,
      );
      assert.deepEqual([sample.positives, sample.rois.shape], [4, [8, 4]]);
    }));
});
