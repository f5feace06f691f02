import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { arange, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import { drawFixed } from './fixed-sampling.js';
import { type BatchDraws, drawFrom, drawsOf, type PlaceDraws } from './sampling.js';
import { unscaledBatch } from './structures.js';
import { turnDraws } from './turn-draws.js';

/** The draws of a stage for pictures of these turns. */
function drawsFor(
  turns: readonly number[],
  { seed = 1, stage = 'anchors' as 'anchors' | 'proposals' } = {},
): BatchDraws {
  const batch = { ...unscaledBatch(tensor([0]), []), turns };
  return drawsOf(turnDraws(seed), batch, stage);
}

/** From all of `total` candidates. */
function distinct(draws: PlaceDraws, total: number, count: number): Tensor {
  return draws.distinct(total, count, int64Below(total));
}

function int64Below(count: number): Tensor {
  return arange(0, count, { dtype: 'int64' });
}

/** Chi-squared of `counts` against the same for all. */
function deviation(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

function rowsOf(values: Tensor): number[][] {
  return Array.from({ length: values.size(0) }, (_, row) => ops.select(values, 0, row).toNumbers());
}

describe('draws by the turns of pictures', () => {
  test('are the same whichever pictures share the batch', () =>
    scope(() => {
      const together = drawsFor([30, 31, 32]);
      for (const [image, turn] of [30, 31, 32].entries()) {
        const own = drawsFor([turn]).ofImage(0);
        const shared = together.ofImage(image);
        assert.deepEqual(distinct(shared, 1000, 20).toNumbers(), distinct(own, 1000, 20).toNumbers());
        assert.deepEqual(shared.withRepeats(50, 20).toNumbers(), own.withRepeats(50, 20).toNumbers());
      }
      const candidates = (images: number) => ops.new_ones(tensor([1], { dtype: 'bool' }), [images, 200]);
      const never = (): Tensor => assert.fail('the number wanted is not asked for');
      const [all, places] = [together.priorities(candidates(3), never), together.places(counts(3), 40, counts(3))];
      for (const [image, turn] of [30, 31, 32].entries()) {
        const alone = drawsFor([turn]);
        assert.deepEqual(rowsOf(alone.priorities(candidates(1), never))[0], rowsOf(all)[image]);
        assert.deepEqual(rowsOf(alone.places(counts(1), 40, counts(1)))[0], rowsOf(places)[image]);
      }
    }));

  test('differ from turn to turn, seed to seed, stage to stage and draw to draw', () =>
    scope(() => {
      const drawn = [
        drawsFor([5]),
        drawsFor([6]),
        drawsFor([5], { seed: 2 }),
        drawsFor([5], { stage: 'proposals' }),
      ].flatMap((draws) => {
        const own = draws.ofImage(0);
        const ones = ops.new_ones(tensor([1], { dtype: 'bool' }), [1, 30]);
        return [
          ...[distinct(own, 1000, 8), distinct(own, 1000, 8)].map((places) => places.toNumbers().join()),
          ...[0, 1].map(() =>
            draws
              .priorities(ones, () => counts(1))
              .toNumbers()
              .join(),
          ),
        ];
      });
      assert.equal(new Set(drawn).size, drawn.length);
    }));

  test('of exact size are uniform: every pair is as likely as any other', () =>
    scope(() => {
      const pairs = new Map<string, number>();
      const turns = Array.from({ length: 4000 }, (_, turn) => turn);
      const draws = drawsFor(turns);
      for (const image of turns) {
        const drawn = distinct(draws.ofImage(image), 7, 4).toNumbers();
        assert.equal(new Set(drawn).size, 4);
        for (const a of drawn)
          for (const b of drawn) if (a < b) pairs.set(`${a} ${b}`, (pairs.get(`${a} ${b}`) ?? 0) + 1);
      }
      assert.equal(pairs.size, 21);
      // 20 degrees of freedom: above 45.3 once in a thousand.
      assert.ok(deviation([...pairs.values()]) < 45.3);
    }));

  test('of fixed size are uniform, and every place is as likely as any other', () =>
    scope(() => {
      const turns = Array.from({ length: 4000 }, (_, turn) => turn);
      const draws = drawsFor(turns);
      const flags = ops.new_ones(tensor([1], { dtype: 'bool' }), [turns.length, 7]);
      const { places } = drawFixed(flags, 4, () => counts(turns.length), draws);
      const pairs = new Map<string, number>();
      for (const drawn of rowsOf(places))
        for (const a of drawn)
          for (const b of drawn) if (a < b) pairs.set(`${a} ${b}`, (pairs.get(`${a} ${b}`) ?? 0) + 1);
      assert.equal(pairs.size, 21);
      assert.ok(deviation([...pairs.values()]) < 45.3);
      const ranks = drawsFor([9])
        .places(tensor([[5]], { dtype: 'int64' }), 5000, counts(1))
        .toNumbers();
      const found = [0, 1, 2, 3, 4].map((place) => ranks.filter((own) => own === place).length);
      assert.equal(
        found.reduce((sum, count) => sum + count, 0),
        5000,
      );
      // 4 degrees of freedom: above 18.5 once in a thousand.
      assert.ok(deviation(found) < 18.5);
    }));

  test('of candidates with names do not hang on their order, nor on which others there are, in exact and in fixed sizes', () =>
    scope(() => {
      const names = Array.from({ length: 40 }, (_, i) => (i < 37 ? 3 * i + 1 : 36 - i));
      const drawn = (order: readonly number[], count: number): { exact: number[]; fixed: number[] } => {
        const own = tensor([...order], { dtype: 'int64' });
        const batch = { ...unscaledBatch(tensor([0]), []), turns: [17] };
        const draws = drawsOf(turnDraws(1), batch, 'proposals', () => [own]);
        const flags = ops.new_ones(tensor([1], { dtype: 'bool' }), [1, order.length]);
        const { places } = drawFixed(flags, count, () => counts(1), draws);
        const called = (found: Tensor): number[] => found.toNumbers().map((place) => order[place]!);
        return { exact: called(drawFrom(int64Below(order.length), count, draws.ofImage(0))), fixed: called(places) };
      };
      const { exact, fixed } = drawn(names, 12);
      assert.equal(new Set(exact).size, 12);
      assert.deepEqual(exact, fixed);
      assert.deepEqual(drawn([...names].reverse(), 12), { exact, fixed });
      const swapped = [...names];
      [swapped[5], swapped[6]] = [names[6]!, names[5]!];
      assert.deepEqual(drawn(swapped, 12), { exact, fixed });
      // One candidate less: if it was drawn another takes its place, and nobody else moves.
      for (const gone of names) {
        const others = drawn(
          names.filter((name) => name !== gone),
          12,
        ).exact;
        assert.equal(exact.filter((name) => !others.includes(name)).length, exact.includes(gone) ? 1 : 0);
      }
    }));

  test('of candidates with names are uniform over turns', () =>
    scope(() => {
      const turns = Array.from({ length: 4000 }, (_, turn) => turn);
      const batch = { ...unscaledBatch(tensor([0]), []), turns };
      const own = tensor([2, 3, 500, 70_000, 90_001, -1, -2], { dtype: 'int64' });
      const draws = drawsOf(turnDraws(3), batch, 'proposals', () => turns.map(() => own));
      const pairs = new Map<string, number>();
      for (const image of turns) {
        const drawn = drawFrom(int64Below(7), 4, draws.ofImage(image)).toNumbers();
        for (const a of drawn)
          for (const b of drawn) if (a < b) pairs.set(`${a} ${b}`, (pairs.get(`${a} ${b}`) ?? 0) + 1);
      }
      assert.equal(pairs.size, 21);
      assert.ok(deviation([...pairs.values()]) < 45.3);
    }));

  test('without turns are the generator of the engine', () => {
    const draws = turnDraws(1);
    assert.equal(drawsOf(draws, unscaledBatch(tensor([0]), []), 'anchors'), draws);
  });
});

/** [images, 1] int64: plenty of places. */
function counts(images: number): Tensor {
  return ops.new_full(tensor([0], { dtype: 'int64' }), [images, 1], 100);
}
