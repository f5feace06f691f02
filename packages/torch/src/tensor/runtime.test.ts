import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  engineInfo,
  getThreads,
  manualSeed,
  rand,
  randn,
  randomState,
  randperm,
  scope,
  setRandomState,
  setThreads,
} from './index.js';

test('a restored random state goes on with the same numbers', () => {
  scope(() => {
    manualSeed(11);
    // An odd count leaves the generator with a cached normal number, which belongs to its state too.
    randn([3]);
    const state = randomState();
    const draw = () => [...randn([5]).toNumbers(), ...rand([20]).toNumbers(), ...randperm(10).toNumbers()];
    const first = draw();
    assert.notDeepEqual(draw(), first);
    setRandomState(state);
    assert.deepEqual(draw(), first);
  });
});

test('a state taken as bytes restores the generator as well', () => {
  scope(() => {
    const bytes = randomState();
    const copy = bytes.clone();
    const first = randn([4]).toNumbers();
    setRandomState(copy);
    assert.deepEqual(randn([4]).toNumbers(), first);
    assert.equal(bytes.dtype, 'uint8');
    assert.throws(() => setRandomState(bytes.narrow(0, 0, 10)), /^Error: setRandomState: [^\n]*$/);
    assert.throws(() => setRandomState(rand([4])), Error);
  });
});

test('seeds decide the numbers, whole seeds of 53 bits and bigints alike', () => {
  scope(() => {
    const from = (seed: number | bigint) => {
      manualSeed(seed);
      return rand([3]).toNumbers();
    };
    assert.deepEqual(from(5), from(5n));
    assert.notDeepEqual(from(5), from(6));
    assert.doesNotThrow(() => from(2 ** 53));
    assert.throws(() => manualSeed(0.5), /whole number/);
  });
});

test('the number of threads is set and read', () => {
  const before = getThreads();
  setThreads(1);
  assert.equal(getThreads(), 1);
  setThreads(before);
  assert.equal(getThreads(), before);
  for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1]) assert.throws(() => setThreads(wrong), Error, `${wrong}`);
  assert.equal(getThreads(), before);
});

test('sums over many threads and one agree', () => {
  const before = getThreads();
  scope(() => {
    const x = rand([300_000], { dtype: 'float64' });
    const many = x.sum().item();
    setThreads(1);
    const one = x.sum().item();
    setThreads(before);
    assert.ok(Math.abs(many - one) < 1e-6 * one);
  });
});

test('the engine says what it is', () => {
  const info = engineInfo();
  assert.match(info.version, /^\d+\.\d+\.\d+$/);
  assert.match(info.configuration, /PyTorch built with/);
  assert.ok(info.threads >= 1);
});
