import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxXywh } from '../boxes/box.js';
import type { Dataset, Detection } from '../formats/dataset.js';
import { inputErrorOf } from '../testing/input-error.js';
import { randomScenes } from '../testing/random-scenes.js';
import { confusionMatrix } from './confusion-matrix.js';

function shared(a: BoxXywh, b: BoxXywh): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  return Math.max(0, width) * Math.max(0, height);
}

/** The definition, picture by picture, on names instead of indices. */
function plainMatrix(
  { images, annotations }: Dataset,
  detections: readonly Detection[],
  least: number,
  enough: number,
) {
  const cells = new Map<string, number>();
  const add = (truth: number | 'nothing', found: number | 'nothing') => {
    const cell = `${truth} as ${found}`;
    cells.set(cell, (cells.get(cell) ?? 0) + 1);
  };
  for (const { id } of images) {
    const here = annotations.filter(({ imageId }) => imageId === id);
    const free = new Set(here.filter(({ isCrowd }) => !isCrowd));
    const kept = detections.filter(({ imageId, score }) => imageId === id && score >= least);
    for (const { bbox, categoryId } of kept.sort((a, b) => b.score - a.score)) {
      const area = bbox![2] * bbox![3];
      const overlap = (other: BoxXywh) => shared(bbox!, other) / (area + other[2] * other[3] - shared(bbox!, other));
      const near = [...free].filter((truth) => overlap(truth.bbox) >= enough);
      const best = near.sort((a, b) => overlap(b.bbox) - overlap(a.bbox))[0];
      if (best) {
        free.delete(best);
        add(best.categoryId, categoryId);
      } else if (!here.some((truth) => truth.isCrowd && shared(bbox!, truth.bbox) / area > enough)) {
        add('nothing', categoryId);
      }
    }
    for (const { categoryId } of free) add(categoryId, 'nothing');
  }
  return cells;
}

describe('confusion matrix', () => {
  test('200 generated sets of pictures equal the definition', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      const [least, enough] = seed % 2 === 0 ? [0.25, 0.45] : [0.4, 0.3];
      const plain = plainMatrix(groundTruth, detections, least, enough);
      const { categories, counts, pairs } = confusionMatrix(
        { groundTruth, detections, iouType: 'bbox' },
        { scoreThreshold: least, iouThreshold: enough },
      );
      const nameOf = (index: number) => categories[index]?.id ?? 'nothing';
      const ours = new Map<string, number>();
      counts.forEach((row, truth) => {
        row.forEach((count, found) => {
          if (count > 0) ours.set(`${nameOf(truth)} as ${nameOf(found)}`, count);
          assert.equal(pairs.filter((pair) => pair.truth === truth && pair.found === found).length, count);
        });
      });
      assert.deepEqual([...ours].sort(), [...plain].sort(), `seed ${seed}`);
    }
  });

  test('no picture of nothing taken for nothing', () => {
    const { groundTruth, detections } = randomScenes(5);
    const { counts } = confusionMatrix({ groundTruth, detections, iouType: 'bbox' });
    assert.equal(counts.at(-1)!.at(-1), 0);
  });

  test('thresholds are 0 to 1', () => {
    const { groundTruth, detections } = randomScenes(5);
    const refuse = () => confusionMatrix({ groundTruth, detections, iouType: 'bbox' }, { scoreThreshold: 25 });
    assert.equal(inputErrorOf(refuse).message, 'confusionMatrix: scoreThreshold must be 0 to 1, got 25: correct it');
  });
});
