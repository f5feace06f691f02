import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { manualSeed, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { drawFixed, drawFixedSample, positivesFirst } from './fixed-sampling.js';
import { BACKGROUND, drawSample, evenDraws, IGNORED, randomDraws } from './sampling.js';

const int64 = (rows: readonly (readonly number[])[]): Tensor => tensor(rows, { dtype: 'int64' });

/** An image's drawn places, of [N, K] places and flags. */
function drawnOf(places: Tensor, flags: Tensor): number[][] {
  const width = places.size(1);
  const values = places.toNumbers();
  const isDrawn = flags.toNumbers();
  return Array.from({ length: places.size(0) }, (_, image) =>
    values.slice(image * width, (image + 1) * width).filter((_, i) => isDrawn[image * width + i] === 1),
  );
}

const match = fc.constantFrom(0, 3, BACKGROUND, BACKGROUND, IGNORED);
const batches = fc
  .integer({ min: 1, max: 30 })
  .chain((anchors) =>
    fc.array(fc.array(match, { minLength: anchors, maxLength: anchors }), { minLength: 1, maxLength: 3 }),
  );
const options = fc.record({
  count: fc.integer({ min: 1, max: 40 }),
  positiveFraction: fc.constantFrom(0, 0.25, 0.5, 1),
});

describe('drawFixedSample', () => {
  test('draws as many of each kind as drawSample does of the image alone, each once', () => {
    manualSeed(1);
    fc.assert(
      fc.property(batches, options, (matches, sampling) =>
        scope(() => {
          const drawn = drawFixedSample(int64(matches), sampling, randomDraws);
          const positive = drawnOf(drawn.positive, drawn.isPositive);
          const negative = drawnOf(drawn.negative, drawn.isNegative);
          matches.forEach((own, image) => {
            const alone = drawSample(tensor(own, { dtype: 'int64' }), sampling);
            assert.equal(positive[image]!.length, alone.positive.length);
            assert.equal(negative[image]!.length, alone.negative.length);
            assert.equal(
              new Set([...positive[image]!, ...negative[image]!]).size,
              alone.positive.length + alone.negative.length,
            );
            assert.ok(positive[image]!.every((place) => own[place]! >= 0));
            assert.ok(negative[image]!.every((place) => own[place] === BACKGROUND));
          });
        }),
      ),
    );
  });

  test('draws the very places of drawSample where these are evenly spaced', () => {
    fc.assert(
      fc.property(batches, options, (matches, sampling) =>
        scope(() => {
          const drawn = drawFixedSample(int64(matches), sampling, evenDraws);
          const sorted = (rows: number[][]): number[][] => rows.map((row) => row.toSorted((a, b) => a - b));
          const alone = matches.map((own) => drawSample(tensor(own, { dtype: 'int64' }), sampling, evenDraws));
          assert.deepEqual(
            sorted(drawnOf(drawn.positive, drawn.isPositive)),
            alone.map(({ positive }) => positive.toNumbers()),
          );
          assert.deepEqual(
            sorted(drawnOf(drawn.negative, drawn.isNegative)),
            alone.map(({ negative }) => negative.toNumbers()),
          );
        }),
      ),
    );
  });

  test('puts the drawn places of both kinds into one row, positives first', () => {
    manualSeed(2);
    fc.assert(
      fc.property(batches, options, (matches, sampling) =>
        scope(() => {
          const drawn = drawFixedSample(int64(matches), sampling, randomDraws);
          const { places, valid, isPositive } = positivesFirst(drawn);
          assert.deepEqual(places.shape, [matches.length, Math.min(sampling.count, matches[0]!.length)]);
          const positive = drawnOf(drawn.positive, drawn.isPositive);
          const negative = drawnOf(drawn.negative, drawn.isNegative);
          assert.deepEqual(
            drawnOf(places, valid),
            positive.map((own, image) => [...own, ...negative[image]!]),
          );
          assert.deepEqual(
            ops.sum(isPositive, [1]).toNumbers(),
            positive.map((own) => own.length),
          );
        }),
      ),
    );
  });
});

describe('random draws of fixed size', () => {
  /** Chi-squared of `counts` against the same for all. */
  const deviation = (counts: readonly number[]): number => {
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
  };

  test('are uniform: every pair of candidates is as likely as any other', () =>
    scope(() => {
      manualSeed(3);
      // 4 of 7 candidates, in many images at once: 6 of their 21 pairs a draw.
      const isCandidate = [1, 0, 1, 1, 1, 0, 1, 1, 1];
      const images = 4000;
      const flags = ops.expand(tensor([isCandidate], { dtype: 'bool' }), [images, isCandidate.length]);
      const { places, isDrawn } = drawFixed(flags, 4, () => ops.new_full(places, [images, 1], 4), randomDraws);
      const pairs = new Map<string, number>();
      for (const drawn of drawnOf(places, isDrawn)) {
        assert.equal(new Set(drawn).size, 4);
        assert.ok(drawn.every((place) => isCandidate[place] === 1));
        for (const a of drawn)
          for (const b of drawn) if (a < b) pairs.set(`${a} ${b}`, (pairs.get(`${a} ${b}`) ?? 0) + 1);
      }
      assert.equal(pairs.size, 21);
      // 20 degrees of freedom: above 45.3 once in a thousand, and pairs of one draw are not independent.
      assert.ok(deviation([...pairs.values()]) < 45.3);
    }));

  test('with repeats: every place is as likely as any other, and none lies beyond the last', () =>
    scope(() => {
      manualSeed(4);
      const totals = int64([[5], [1], [0]]);
      const places = randomDraws.places(totals, 5000, totals);
      const [first, second, third] = [0, 1, 2].map((image) => ops.select(places, 0, image).toNumbers());
      const counts = [0, 1, 2, 3, 4].map((place) => first!.filter((own) => own === place).length);
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        5000,
      );
      // 4 degrees of freedom: above 18.5 once in a thousand.
      assert.ok(deviation(counts) < 18.5);
      assert.ok([...second!, ...third!].every((place) => place === 0));
    }));

  test("are the same for the same seed of the engine's generator", () => {
    const draw = (): number[] =>
      scope(() => {
        manualSeed(5);
        return drawFixedSample(
          int64([new Array(50).fill(BACKGROUND)]),
          { count: 8, positiveFraction: 0.5 },
          randomDraws,
        ).negative.toNumbers();
      });
    assert.deepEqual(draw(), draw());
  });
});
