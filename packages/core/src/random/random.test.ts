import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, randomPermutation, restoreRandom } from './random.js';

test('the words are those of xoshiro128** from state 1, 2, 3, 4', () => {
  // Computed from the authors' definition with Python's integers.
  const random = restoreRandom([1, 2, 3, 4]);
  const words = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];
  assert.deepEqual(
    words.map(() => random.uint32()),
    words,
  );
});

test('equal seeds give equal numbers; another seed, stream or high word gives others', () => {
  const first = (seed: number, ...stream: number[]) => createRandom(seed, ...stream).uint32();
  assert.equal(first(7, 1), first(7, 1));
  const all = [first(0), first(0, 0), first(7), first(7, 1), first(7, 2), first(8, 1), first(7 + 2 ** 32)];
  assert.equal(new Set(all).size, all.length);
});

test('a restored generator continues', () => {
  const random = createRandom(3);
  random.uint32();
  const restored = restoreRandom(random.state());
  assert.deepEqual([restored.uint32(), restored.uniform()], [random.uint32(), random.uniform()]);
});

test('integers are even: 60,000 draws of 6 leave each within 5 standard deviations', () => {
  const random = createRandom(1);
  const counts = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 60_000; i++) counts[random.integer(6)]!++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 5 * Math.sqrt(60_000 * (1 / 6) * (5 / 6)));
});

test('a permutation holds every number once', () => {
  const order = randomPermutation(1000, createRandom(5));
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  assert.notDeepEqual([...order], [...Array(1000).keys()]);
});
