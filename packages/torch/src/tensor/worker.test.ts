import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { getThreads, liveTensors, ones, tensorOver } from './index.js';

const script = new URL('./fixtures/worker.js', import.meta.url);

function start(job: string, shared?: SharedArrayBuffer): Worker {
  return new Worker(script, { workerData: { job, shared } });
}

test('several workers compute at once, each with its own tensors', async () => {
  const before = liveTensors();
  const workers = Array.from({ length: 4 }, () => start('compute'));
  const results = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number[]));
  // The gradient of sum((w * x)^2) at w = 3, x = 1..4 is 2 w x^2.
  for (const result of results) assert.deepEqual(result, [6, 24, 54, 96]);
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.equal(liveTensors(), before);
});

test('a worker takes one thread and leaves the number of the main thread alone', async () => {
  const before = getThreads();
  const worker = start('threads');
  assert.deepEqual((await once(worker, 'message'))[0], 1);
  await worker.terminate();
  assert.equal(getThreads(), before);
});

test('a worker writes into memory that both share', async () => {
  const shared = new SharedArrayBuffer(40);
  using x = tensorOver(new Float32Array(shared), [10]);
  const worker = start('fill', shared);
  await once(worker, 'message');
  assert.deepEqual(x.toNumbers(), Array(10).fill(2.5));
  await worker.terminate();
});

test('a worker that is terminated while it holds tensors and computes takes nothing with it', async () => {
  for (let i = 0; i < 3; i++) {
    const worker = start('busy');
    await once(worker, 'message');
    await worker.terminate();
  }
  using x = ones([3]);
  assert.deepEqual(x.add(1).toNumbers(), [2, 2, 2]);
});

test('a worker that ends by itself with live and borrowed tensors ends with code 0', async () => {
  const worker = start('hold');
  const [code] = await once(worker, 'exit');
  assert.equal(code, 0);
});

test('a tensor of another thread is refused by its number', async () => {
  const worker = start('count');
  const [live] = await once(worker, 'message');
  assert.equal(live, 0);
  await worker.terminate();
});
