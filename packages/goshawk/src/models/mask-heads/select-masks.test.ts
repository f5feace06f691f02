import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, manualSeed, ops, rand, scope, tensor, zeros } from '@goshawk/torch';
import { cellScores, type MaskSource, selectMasks } from './select-masks.js';

const OPTIONS = {
  scoreThreshold: 0.1,
  maskThreshold: 0.5,
  preNmsTopN: 500,
  nms: 'gaussian',
  nmsSigma: 2,
  minScore: 0.05,
  maxDetections: 100,
} as const;

const SIDE = 8;

/** Masks of 8 x 8 cells of 4 pixels. */
function sourceOf(masks: readonly (readonly number[])[]): MaskSource {
  const all = tensor(masks.flat(), { shape: [masks.length, SIDE * SIDE] });
  return { size: [SIDE, SIDE], stride: 4, masksOf: (cells) => ops.index_select(all, 0, cells) };
}

/** `inside` in a rectangle, 0.1 around it. */
const rectangle = (x: number, y: number, width: number, height: number, inside = 0.9): number[] =>
  Array.from({ length: SIDE * SIDE }, (_, at) => {
    const [column, row] = [at % SIDE, Math.floor(at / SIDE)];
    return column >= x && column < x + width && row >= y && row < y + height ? inside : 0.1;
  });

describe('cellScores', () => {
  test('keeps what is no less likely than its neighbours left, above and left above', () =>
    scope(() => {
      const map = tensor([1, 2, 1, 3, 0, 2, 0, 0, 5], { shape: [1, 1, 3, 3] });
      const wanted = [1, 2, 0, 3, 0, 2, 0, 0, 5].map((logit, i) =>
        [2, 4, 6, 7].includes(i) ? 0 : 1 / (1 + Math.exp(-logit)),
      );
      // Left of cell 5 lies 0, above it 1, left above 2: equal ones stay.
      assertClose(cellScores(map), wanted);
    }));

  test('keeps each class by itself, cell by cell', () =>
    scope(() => {
      const scores = cellScores(tensor([0, 1, 1, 0], { shape: [1, 2, 1, 2] }));
      assert.deepEqual(scores.shape, [1, 2, 2]);
      assertClose(scores, [0.5, 1 / (1 + Math.exp(-1)), 1 / (1 + Math.exp(-1)), 0]);
    }));
});

describe('selectMasks', () => {
  test('rescores by the mean probability in the mask, and lowers what overlaps a better one of its class', () =>
    scope(() => {
      const source = sourceOf([rectangle(0, 0, 4, 4), rectangle(0, 0, 4, 4, 0.8), rectangle(4, 4, 4, 4)]);
      const scores = tensor([0.9, 0, 0.8, 0, 0, 0.7], { shape: [3, 2] });
      const found = selectMasks(scores, zeros([3]), source, OPTIONS);
      assert.deepEqual(found.labels.toNumbers(), [1, 2, 1]);
      assertClose(found.scores, [0.81, 0.63, 0.64 * Math.exp(-2)], { absolute: 1e-6 });
      assertClose(found.boxes, [0, 0, 16, 16, 16, 16, 32, 32, 0, 0, 16, 16]);
      assertClose(ops.select(found.wholeMasks!.probabilities, 0, 2), rectangle(0, 0, 4, 4, 0.8));
    }));

  test('drops masks of no more cells than the stride', () =>
    scope(() => {
      const source = sourceOf([rectangle(0, 0, 4, 2), rectangle(4, 4, 3, 3)]);
      const found = selectMasks(tensor([0.9, 0.8], { shape: [2, 1] }), tensor([8, 8]), source, OPTIONS);
      assertClose(found.scores, [0.72]);
    }));

  test('limits what it compares and what it gives', () =>
    scope(() => {
      const source = sourceOf([rectangle(0, 0, 2, 8), rectangle(2, 0, 2, 8), rectangle(4, 0, 2, 8)]);
      const scores = tensor([0.7, 0.9, 0.8], { shape: [3, 1] });
      const limited = (options: Partial<typeof OPTIONS> | object) =>
        selectMasks(scores, zeros([3]), source, { ...OPTIONS, ...options }).scores.toNumbers();
      assert.equal(limited({ preNmsTopN: 2 }).length, 2);
      assert.deepEqual(
        limited({ maxDetections: 1 }).map((score) => score.toFixed(2)),
        ['0.81'],
      );
      assert.equal(limited({ minScore: 0.7 }).length, 2);
    }));

  test('gives nothing where no class is likely or no mask is large enough', () =>
    scope(() => {
      const source = sourceOf([rectangle(0, 0, 2, 2)]);
      for (const [score, stride] of [
        [0.1, 0],
        [0.9, 64],
      ] as const) {
        const found = selectMasks(tensor([score], { shape: [1, 1] }), tensor([stride]), source, OPTIONS);
        assert.deepEqual(found.boxes.shape, [0, 4]);
        assert.deepEqual(found.wholeMasks!.probabilities.shape, [0, SIDE, SIDE]);
      }
    }));

  test('finds the same where the masks are too many to be made at once', () =>
    scope(() => {
      manualSeed(3);
      const masks = rand([600, SIDE * SIDE]);
      const scores = rand([600, 3]);
      let most = 0;
      const source: MaskSource = {
        size: [SIDE, SIDE],
        stride: 4,
        masksOf(cells) {
          most = Math.max(most, cells.length);
          return ops.index_select(masks, 0, cells);
        },
      };
      const all = selectMasks(scores, zeros([600]), source, { ...OPTIONS, scoreThreshold: 0, preNmsTopN: 40 });
      assert.ok(most <= 512);
      // By definition: the best 40 pairs by score times mean probability above one half.
      const [flat, values] = [scores.toNumbers(), masks.toNumbers()];
      const certainty = Array.from({ length: 600 }, (_, cell) => {
        const above = values.slice(cell * 64, cell * 64 + 64).filter((value) => value > 0.5);
        return above.reduce((a, b) => a + b, 0) / above.length;
      });
      const best = Math.max(...flat.map((score, i) => score * certainty[Math.floor(i / 3)]!));
      assert.ok(Math.abs(all.scores.toNumbers()[0]! - best) < 1e-6);
    }));
});
