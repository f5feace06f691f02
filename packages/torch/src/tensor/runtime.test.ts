import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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
  zeros,
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

// glibc's own rule hands blocks of more than 32 MB back at once, and the next is made of fresh pages of 4 KiB.
test('memory that is freed serves the next tensor, without anything being set', { skip: !isGlibc() }, () => {
  const takeAndFree = () => scope(() => void zeros([64 << 20], { dtype: 'uint8' }));
  // Small blocks that stay come to lie between the first large ones: after these, nearly all are made of what was freed.
  for (let i = 0; i < 20; i++) takeAndFree();
  const before = process.resourceUsage().minorPageFault;
  for (let i = 0; i < 10; i++) takeAndFree();
  const pages = process.resourceUsage().minorPageFault - before;
  // One that is not takes 16,384 pages; all ten would be fresh by glibc's own rule.
  assert.ok(pages < (5 * (64 << 20)) / 4096, `${pages} fresh pages`);
});

test('what malloc was told in the environment holds', { skip: !isGlibc() }, () => {
  const program = `
    const { scope, zeros } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)});
    const before = process.resourceUsage().minorPageFault;
    for (let i = 0; i < 10; i++) scope(() => void zeros([64 << 20], { dtype: 'uint8' }));
    console.log(process.resourceUsage().minorPageFault - before);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    env: { ...process.env, MALLOC_MMAP_THRESHOLD_: '131072' },
  });
  // Huge pages, where the system gives them unasked, are 2 MiB.
  assert.ok(Number(stdout) >= 10 * 32, stdout);
});

function isGlibc(): boolean {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}
