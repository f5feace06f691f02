import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorMs } from '../testing/processor-time.js';
import { assignWithin } from './assignment.js';

/** The least sum of (cost - limit) over all ways to pair, by trying them all. */
function leastSum(costs: Float64Array, rows: number, columns: number, limit: number): number {
  const best = (row: number, taken: ReadonlySet<number>): number => {
    if (row === rows) return 0;
    let least = best(row + 1, taken);
    for (let column = 0; column < columns; column++) {
      const cost = costs[row * columns + column]!;
      if (taken.has(column) || cost >= limit) continue;
      least = Math.min(least, cost - limit + best(row + 1, new Set([...taken, column])));
    }
    return least;
  };
  return best(0, new Set());
}

const problems = fc
  .record({ rows: fc.nat(5), columns: fc.nat(5), limit: fc.integer({ min: -3, max: 12 }) })
  .chain(({ rows, columns, limit }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      limit: fc.constant(limit),
      // Whole numbers: ties are frequent.
      costs: fc
        .array(fc.integer({ min: -4, max: 10 }), { minLength: rows * columns, maxLength: rows * columns })
        .map((costs) => Float64Array.from(costs)),
    }),
  );

test('the pairs cost the least that any pairs can, none above the limit, and no row or column is in two', () => {
  fc.assert(
    fc.property(problems, ({ costs, rows, columns, limit }) => {
      const pairs = [...assignWithin(costs, rows, columns, limit)];
      assert.equal(pairs.length, rows);
      const made = pairs.flatMap((column, row) => (column < 0 ? [] : [costs[row * columns + column]!]));
      const taken = pairs.filter((column) => column >= 0);
      assert.equal(new Set(taken).size, taken.length);
      assert.ok(made.every((cost) => cost < limit));
      const sum = made.reduce((total, cost) => total + cost - limit, 0);
      assert.equal(sum, leastSum(costs, rows, columns, limit));
    }),
    { numRuns: 500 },
  );
});

test('taking the nearest first is not the best: the exact pairs keep both', () => {
  // Row 0 is a little nearer to column 0, which is all that row 1 can have.
  const costs = Float64Array.from([0.1, 0.2, 0.3, 0.95]);
  assert.deepEqual([...assignWithin(costs, 2, 2, 0.8)], [1, 0]);
});

test('a hundred by a hundred and fifty is done in a moment', () => {
  const costs = Float64Array.from({ length: 15000 }, (_, i) => ((i * 7919) % 10007) / 10007);
  let pairs: ReturnType<typeof assignWithin> | undefined;
  const ms = processorMs(() => {
    pairs = assignWithin(costs, 100, 150, 2);
  });
  assert.ok(ms < 500, `${ms} ms`);
  assert.equal(new Set(pairs).size, 100);
});
