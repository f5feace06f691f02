import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  aspectGroup,
  type BatchSampler,
  type Draw,
  evenBatches,
  sequentialBatches,
  shareOf,
  shuffledBatches,
  torchvisionAspectBoundaries,
} from './samplers.js';

const take = (sampler: BatchSampler, count: number) => Array.from({ length: count }, () => sampler.next()!);
const indices = (batches: readonly (readonly Draw[])[]) => batches.flat().map((draw) => draw.index);

test('each pass holds every picture once, in another order', () => {
  const drawn = indices(take(shuffledBatches({ count: 12, batchSize: 4, seed: 1 }), 6));
  const [first, second] = [drawn.slice(0, 12), drawn.slice(12)];
  for (const pass of [first, second])
    assert.deepEqual(
      [...pass].sort((a, b) => a - b),
      [...Array(12).keys()],
    );
  assert.notDeepEqual(first, second);
});

test('the order depends on the seed alone', () => {
  const order = (seed: number) => indices(take(shuffledBatches({ count: 50, batchSize: 2, seed }), 60));
  assert.deepEqual(order(3), order(3));
  assert.notDeepEqual(order(3), order(4));
});

test('a batch holds one group, and no picture is lost', () => {
  const groups = Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? 1 : 0));
  const batches = take(shuffledBatches({ count: 30, batchSize: 4, seed: 2, groups }), 75);
  for (const batch of batches) assert.equal(new Set(batch.map((draw) => groups[draw.index])).size, 1);
  const positions = new Set(batches.flat().map((draw) => draw.position));
  assert.equal(positions.size, 300);
  // All but those that still wait for their batch are among the first positions.
  assert.ok([...Array(290).keys()].filter((position) => !positions.has(position)).length <= 6);
});

test('from any saved state on, the batches are those of the run that was not stopped', () => {
  const options = fc.record({
    count: fc.integer({ min: 1, max: 20 }),
    batchSize: fc.integer({ min: 1, max: 7 }),
    seed: fc.nat(),
    stop: fc.integer({ min: 0, max: 30 }),
  });
  fc.assert(
    fc.property(options, ({ count, batchSize, seed, stop }) => {
      const groups = Array.from({ length: count }, (_, i) => (i * 7) % 3);
      const whole = shuffledBatches({ count, batchSize, seed, groups });
      take(whole, stop);
      const saved = JSON.parse(JSON.stringify(whole.state()));
      const resumed = shuffledBatches({ count, batchSize, seed: 0, groups, startAt: saved });
      assert.deepEqual(take(resumed, 20), take(whole, 20));
      assert.deepEqual(resumed.state(), whole.state());
    }),
  );
});

test('a state of another dataset is refused', () => {
  const { state } = shuffledBatches({ count: 10, batchSize: 2, seed: 1 });
  assert.throws(
    () => shuffledBatches({ count: 11, batchSize: 2, seed: 1, startAt: state() }),
    /saved state is of a dataset of 10 pictures, this one has 11/,
  );
});

test('the shares of a batch are the batch, one behind the other, and as even as they can be', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 64 }), (batchSize, extra) => {
      const count = Math.min(batchSize, extra);
      const shares = Array.from({ length: count }, (_, index) => shareOf(batchSize, { index, count }));
      assert.deepEqual(
        shares.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i)),
        [...Array(batchSize).keys()],
      );
      const sizes = shares.map(([first, end]) => end - first);
      assert.ok(Math.min(...sizes) >= 1 && Math.max(...sizes) - Math.min(...sizes) <= 1);
    }),
  );
});

test('a state goes on in batches of another size: no picture is shown twice or left out', () => {
  const groups = Array.from({ length: 30 }, (_, i) => (i % 4 === 0 ? 1 : 0));
  for (const [before, after] of [
    [8, 2],
    [2, 8],
    [6, 5],
  ] as const)
    for (let steps = 1; steps < 9; steps++) {
      const first = shuffledBatches({ count: 30, batchSize: before, seed: 4, groups });
      const shown = take(first, steps);
      const second = shuffledBatches({ count: 30, batchSize: after, seed: 4, groups, startAt: first.state() });
      const more = take(second, 40);
      for (const batch of more) {
        assert.equal(batch.length, after);
        assert.equal(new Set(batch.map((draw) => groups[draw.index])).size, 1);
      }
      const positions = [...shown, ...more].flat().map((draw) => draw.position);
      assert.equal(new Set(positions).size, positions.length);
      const { position, pending } = second.state();
      assert.deepEqual(
        [...positions, ...pending].sort((a, b) => a - b),
        [...Array(position).keys()],
      );
    }
});

test('a pass in order ends with a smaller batch and can be continued', () => {
  const sampler = sequentialBatches({ count: 5, batchSize: 2 });
  sampler.next();
  const resumed = sequentialBatches({ count: 5, batchSize: 2, startAt: sampler.state() });
  assert.deepEqual(indices([sampler.next()!, sampler.next()!]), [2, 3, 4]);
  assert.equal(sampler.next(), undefined);
  assert.deepEqual(indices(take(resumed, 2)), [2, 3, 4]);
});

test('tall pictures are group 0, wide and square ones group 1', () => {
  const sizes = [
    { width: 2, height: 3 },
    { width: 3, height: 3 },
    { width: 4, height: 3 },
  ];
  assert.deepEqual(
    sizes.map((size) => aspectGroup(size)),
    [0, 1, 1],
  );
});

test("torchvision's seven boundaries run from a half to two", () => {
  const boundaries = torchvisionAspectBoundaries(3);
  // 2 ** numpy.linspace(-1, 1, 7)
  const expected = [0.5, 0.6299605249474366, 0.7937005259840998, 1, 1.2599210498948732, 1.5874010519681994, 2];
  boundaries.forEach((boundary, i) => {
    assert.ok(Math.abs(boundary - expected[i]!) < 1e-12);
  });
  assert.equal(aspectGroup({ width: 640, height: 480 }, boundaries), 5);
});

test('even batches hold one kind, and every picture once, none far from its turn', () => {
  const options = fc.record({
    kinds: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 200 }),
    batchSize: fc.integer({ min: 1, max: 6 }),
  });
  fc.assert(
    fc.property(options, ({ kinds, batchSize }) => {
      const sampler = evenBatches({ count: kinds.length, batchSize, kindOf: (index) => String(kinds[index]) });
      const seen: number[] = [];
      for (let batch = sampler.next(); batch !== undefined; batch = sampler.next()) {
        assert.ok(batch.length > 0 && batch.length <= batchSize);
        assert.equal(new Set(batch.map(({ index }) => kinds[index])).size, 1);
        const latest = Math.max(-1, ...seen);
        for (const { index } of batch) {
          assert.ok(latest - index <= 16 * batchSize);
          seen.push(index);
        }
      }
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        kinds.map((_, index) => index),
      );
    }),
  );
});

test('even batches are full where pictures of few kinds come by turns', () => {
  const sampler = evenBatches({ count: 40, batchSize: 4, kindOf: (index) => String(index % 2) });
  assert.deepEqual(
    take(sampler, 10).map((batch) => batch.length),
    Array(10).fill(4),
  );
});
