import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { assertClose, manualSeed, ops, rand, scope, tensor, zeros } from '@goshawk/torch';
import { cellScores, type MaskSource, type SelectMasksOptions, selectMasks } from './select-masks.js';

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
      assertClose(found.scores, [0.81, 0.63, 0.64 * Math.exp(-2)], { absolute: 3e-7 });
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
      assert.ok(Math.abs(all.scores.toNumbers()[0]! - best) < 1e-7);
    }));
});

/** Numbers of few binary digits: sums and products are exact, so that equal ones are equal however they are added up. */
function tiedScene(seed: number) {
  const random = createRandom(seed);
  const eighth = (least: number, most: number): number => (least + random.integer(most - least + 1)) / 8;
  const cells = 1 + random.integer(24);
  const classes = 1 + random.integer(3);
  const masks = Array.from({ length: cells }, () => {
    const [x, y, width, height] = [6, 6, 4, 4].map((most) => random.integer(most)) as [number, number, number, number];
    // 4 / 8 is the threshold itself, which no pixel of a mask has.
    return rectangle(x, y, 1 + width, 1 + height, eighth(4, 8)).map((value) => (value === 0.1 ? 0.125 : value));
  });
  const scores = Array.from({ length: cells }, () => Array.from({ length: classes }, () => eighth(0, 6)));
  const strides = Array.from({ length: cells }, () => [0, 2, 4, 8][random.integer(4)]!);
  return { masks, scores, strides };
}

interface PlainDetection {
  readonly cell: number;
  readonly label: number;
  readonly score: number;
}

/** By SOLOv2's definition (the original's get_seg_single), one candidate after another; of equal ones the first is better. */
function plainSelection(
  { masks, scores, strides }: ReturnType<typeof tiedScene>,
  options: SelectMasksOptions,
): PlainDetection[] {
  const { scoreThreshold, maskThreshold, preNmsTopN, nms, nmsSigma, minScore, maxDetections } = options;
  const inside = masks.map((mask) => mask.map((value) => value > maskThreshold));
  const area = inside.map((pixels) => pixels.filter(Boolean).length);
  const candidates = scores.flatMap((row, cell) =>
    row.flatMap((score, index): PlainDetection[] => {
      if (!(score > scoreThreshold) || !(area[cell]! > strides[cell]!)) return [];
      const sum = masks[cell]!.reduce((total, value, at) => total + (inside[cell]![at] ? value : 0), 0);
      return [{ cell, label: index + 1, score: Math.fround(score * Math.fround(sum / area[cell]!)) }];
    }),
  );
  const best = candidates.toSorted((a, b) => b.score - a.score).slice(0, preNmsTopN);
  const iou = (a: number, b: number): number => {
    const shared = inside[a]!.filter((value, at) => value && inside[b]![at]).length;
    return shared / (area[a]! + area[b]! - shared);
  };
  const left = (overlap: number): number => (nms === 'gaussian' ? Math.exp(-nmsSigma * overlap ** 2) : 1 - overlap);
  const overlaps = best.map((own, j) =>
    best.slice(0, j).map((other) => (other.label === own.label ? iou(other.cell, own.cell) : 0)),
  );
  const most = overlaps.map((own) => Math.max(0, ...own));
  const lowered = best.map((own, j) => ({
    ...own,
    score:
      own.score *
      overlaps[j]!.reduce(
        (least, overlap, i) => (most[i] === 1 ? least : Math.min(least, left(overlap) / left(most[i]!))),
        1,
      ),
  }));
  // Scores that are equal but for the last digits of an exponential are equal.
  const digits = (score: number): number => Number(score.toFixed(6));
  return lowered
    .filter(({ score }) => score >= minScore)
    .toSorted((a, b) => digits(b.score) - digits(a.score))
    .slice(0, maxDetections);
}

describe('selectMasks, in a hundred scenes full of equal scores and equal masks,', () => {
  for (const nms of ['gaussian', 'linear'] as const)
    test(`is its definition, ${nms}: at thresholds, at cuts, and the first of equals before the others`, () =>
      scope(() => {
        let found = 0;
        for (let seed = 0; seed < 100; seed++) {
          const scene = tiedScene(seed);
          const random = createRandom(1000 + seed);
          const options: SelectMasksOptions = {
            ...OPTIONS,
            nms,
            scoreThreshold: random.integer(3) / 8,
            preNmsTopN: 1 + random.integer(30),
            // Just above the middle of what scores become, which are eighths of eighths before they are lowered.
            minScore: 0.05 + random.integer(3) / 64 + 1e-4,
            maxDetections: 1 + random.integer(12),
          };
          const own = selectMasks(
            tensor(scene.scores.flat(), { shape: [scene.scores.length, scene.scores[0]!.length] }),
            tensor(scene.strides, { dtype: 'float32' }),
            sourceOf(scene.masks),
            options,
          );
          const wanted = plainSelection(scene, options);
          found += wanted.length;
          const name = `seed ${seed}`;
          assert.deepEqual(
            own.labels.toNumbers(),
            wanted.map(({ label }) => label),
            name,
          );
          assertClose(
            own.scores,
            wanted.map(({ score }) => score),
            { absolute: 3e-7, relative: 0 },
          );
          assert.deepEqual(
            own.wholeMasks!.probabilities.toNumbers(),
            wanted.flatMap(({ cell }) => scene.masks[cell]!),
            name,
          );
          wanted.forEach(({ cell }, i) => {
            const pixels = scene.masks[cell]!.flatMap((value, at) => (value > 0.5 ? [at] : []));
            const [xs, ys] = [pixels.map((at) => at % SIDE), pixels.map((at) => Math.floor(at / SIDE))];
            const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1];
            assert.deepEqual(
              ops.select(own.boxes, 0, i).toNumbers(),
              box.map((side) => 4 * side),
              name,
            );
          });
        }
        assert.ok(found > 200, `${found} detections`);
      }));
});

test('points NMS of ties: of a plateau all cells stay, whatever class', () =>
  scope(() => {
    const flat = cellScores(tensor(new Array(2 * 9).fill(0.3), { shape: [1, 2, 3, 3] }));
    assertClose(flat, new Array(18).fill(1 / (1 + Math.exp(-0.3))));
  }));

test('points NMS is that of its definition on random maps, level by level and picture by picture', () =>
  scope(() => {
    const random = createRandom(9);
    const [images, classes, side] = [2, 3, 6];
    const logits = Array.from({ length: images * classes * side * side }, () => random.integer(5) - 2);
    const at = (image: number, index: number, row: number, column: number): number =>
      row < 0 || column < 0
        ? Number.NEGATIVE_INFINITY
        : logits[((image * classes + index) * side + row) * side + column]!;
    const wanted: number[] = [];
    for (let image = 0; image < images; image++)
      for (let row = 0; row < side; row++)
        for (let column = 0; column < side; column++)
          for (let index = 0; index < classes; index++) {
            const own = at(image, index, row, column);
            const others = [at(image, index, row - 1, column), at(image, index, row, column - 1)];
            others.push(at(image, index, row - 1, column - 1));
            wanted.push(own >= Math.max(...others) ? 1 / (1 + Math.exp(-own)) : 0);
          }
    assertClose(cellScores(tensor(logits, { shape: [images, classes, side, side], dtype: 'float32' })), wanted, {
      absolute: 1e-7,
    });
  }));
