import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { empty, type HostMemory, hostMemory, keepFreedMemory, scope, trimMemory, zeros } from './index.js';
import { keptByDefault } from './kept-memory.js';
import { native } from './native.js';

const MiB = 2 ** 20;
const PAGE = 2 * MiB;
const isLinux = process.platform === 'linux';

function memory(): HostMemory {
  const found = hostMemory();
  assert.ok(found);
  return found;
}

/** Of this process, as the system counts it. */
function residentBytes(): number {
  return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
}

const takeAndFree = (mebibytes: number) => scope(() => void zeros([mebibytes * MiB], { dtype: 'uint8' }));

describe('what is kept where nothing is said', () => {
  const GiB = 2 ** 30;

  test('is half of the memory, of the machine or its container', () => {
    assert.equal(keptByDefault(64 * GiB, undefined), 32 * GiB);
    assert.equal(keptByDefault(64 * GiB, 4 * GiB), 2 * GiB);
    // What systems say that set no limit.
    assert.equal(keptByDefault(8 * GiB, 0), 4 * GiB);
    assert.equal(keptByDefault(8 * GiB, 2 ** 64), 4 * GiB);
  });

  test('holds in every process, also where the first thread that uses tensors is a worker, until keepFreedMemory() says more', () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const index = ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
      const worker = (body) => new Promise((done) => {
        const script = \`Promise.all([import('\${index}'), import('node:worker_threads')]).then(([{ hostMemory, keepFreedMemory }, { parentPort }]) => { \${body}; parentPort.postMessage(hostMemory().mostKept); })\`;
        new Worker(script, { eval: true }).on('message', done);
      });
      const kept = [await worker(''), await worker('keepFreedMemory(3 * 2 ** 30)'), await worker('')];
      const { hostMemory } = await import(index);
      console.log(JSON.stringify([...kept, hostMemory().mostKept]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    const mine = keptByDefault();
    assert.deepEqual(JSON.parse(stdout || '[]'), [mine, 3 * GiB, 3 * GiB, 3 * GiB], stderr);
  });
});

describe('memory of tensors', () => {
  test('what is freed serves the next tensor, without anything being set', () => {
    takeAndFree(64);
    const before = process.resourceUsage().minorPageFault;
    for (let i = 0; i < 10; i++) takeAndFree(64);
    const pages = process.resourceUsage().minorPageFault - before;
    // One that is not takes 16,384 pages of 4 KiB, or 32 large ones.
    assert.ok(pages < 300, `${pages} fresh pages`);
  });

  test('neighbours that are freed serve one as large as both', () => {
    trimMemory();
    const { reserved } = memory();
    // In either order, and between others that stay.
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const parts = [0, 1].map(() => zeros([16 * MiB], { dtype: 'uint8' }));
      for (const index of order) parts[index]?.dispose();
      takeAndFree(32);
    }
    assert.ok(memory().reserved - reserved < 40 * MiB, `${(memory().reserved - reserved) / MiB} MiB`);
  });

  test('what tensors take is counted, and its most', () => {
    const before = memory();
    const x = empty([32 * MiB], { dtype: 'uint8' });
    const with_ = memory();
    x.dispose();
    const after = memory();
    assert.ok(Math.abs(with_.inUse - before.inUse - 32 * MiB) < 8192, `${with_.inUse - before.inUse}`);
    assert.equal(after.inUse, before.inUse);
    assert.ok(after.mostInUse >= before.inUse + 32 * MiB && after.mostReserved >= after.mostInUse - PAGE);
  });

  test('trimMemory() gives all that is free back to the system', { skip: !isLinux }, () => {
    takeAndFree(256);
    const full = residentBytes();
    trimMemory();
    assert.ok(full - residentBytes() > 240 * MiB, `${(full - residentBytes()) / MiB} MiB`);
    const { inUse, reserved } = memory();
    // A page is kept for each block that lies in it alone.
    assert.ok(reserved <= inUse + 16 * PAGE, `${inUse} of ${reserved}`);
  });

  test('no more than keepFreedMemory() says stays free', { skip: !isLinux }, () => {
    try {
      for (const kept of [0, 64 * MiB]) {
        trimMemory();
        keepFreedMemory(kept);
        const before = residentBytes();
        takeAndFree(256);
        takeAndFree(128);
        const more = residentBytes() - before;
        assert.ok(more <= kept + 8 * MiB, `${more / MiB} MiB of ${kept / MiB}`);
      }
    } finally {
      keepFreedMemory(keptByDefault());
    }
  });

  test('it goes back to the system by itself when nothing happens', { skip: !isLinux }, async () => {
    try {
      keepFreedMemory(2 ** 31, 0.2);
      takeAndFree(256);
      const full = residentBytes();
      const until = performance.now() + 10_000;
      while (full - residentBytes() < 240 * MiB && performance.now() < until) await sleep(50);
      assert.ok(full - residentBytes() >= 240 * MiB, `${(full - residentBytes()) / MiB} MiB`);
    } finally {
      keepFreedMemory(keptByDefault());
    }
    assert.throws(() => keepFreedMemory(-1), /0 or more/);
    assert.throws(() => keepFreedMemory(Number.NaN), /0 or more|number/);
  });

  test('every tensor begins at a multiple of 64 bytes, and large ones do not all lie alike in their pages', () => {
    scope(() => {
      const sizes = [0, 1, 63, 1000, 32 << 10, (32 << 10) + 1, 100_000, MiB, MiB, MiB, 3 * MiB + 7];
      const addresses = sizes.map((size) => native.dataAddress(empty([size], { dtype: 'uint8' }).id));
      for (const [index, address] of addresses.entries()) assert.equal(address % 64, 0, `${sizes[index]} bytes`);
      assert.ok(new Set(addresses.slice(-4).map((address) => address % 4096)).size > 1);
    });
  });

  test('tensors of no bytes, and more than there are, are what they were', () => {
    scope(() => {
      assert.deepEqual(zeros([0, 3]).toNumbers(), []);
      assert.throws(
        () => empty([2 ** 50], { dtype: 'uint8' }),
        /DefaultCPUAllocator: (?:can't allocate|not enough) memory/,
      );
    });
  });

  test('threads take and free at once, and none writes into the memory of another', async () => {
    const { inUse } = memory();
    const script = new URL('./fixtures/memory-worker.js', import.meta.url);
    const workers = [1, 2, 3, 4].map((seed) => new Worker(script, { workerData: { seed: seed * 7919 } }));
    const wrong = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number));
    assert.deepEqual(wrong, [0, 0, 0, 0]);
    await Promise.all(workers.map((worker) => worker.terminate()));
    assert.equal(memory().inUse, inUse);
  });
});

describe('threads that end', () => {
  test('leave no memory in use, whether they free their tensors or end with them, fifty times', {
    timeout: 120_000,
  }, async () => {
    const index = JSON.stringify(new URL('./index.js', import.meta.url).href);
    // Half of them end in the middle of it: process.exit() in a worker ends the thread.
    const script = (ends: boolean) => `
      import(${index}).then(({ keep, ones, scope }) => {
        const held = [];
        for (let i = 0; i < 40; i++) {
          held.push(keep(ones([1 + ((i * 7919) % 300), 1000])));
          if (i % 3 === 0) held.splice(0, 1)[0].dispose();
        }
        scope(() => void held[0].add(1).sum().item());
        ${ends ? 'process.exit(0);' : 'held.forEach((tensor) => tensor.dispose());'}
      });`;
    const { inUse } = memory();
    const mine = zeros([4 * MiB], { dtype: 'uint8' });
    scope(() => void mine.fill_(7));
    for (let round = 0; round < 25; round++) {
      const workers = [true, false].map((ends) => new Worker(script(ends), { eval: true }));
      const codes = await Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0] as number));
      assert.deepEqual(codes, [0, 0]);
    }
    scope(() => assert.equal(mine.sum().item(), 7 * 4 * MiB));
    mine.dispose();
    assert.equal(memory().inUse, inUse);
    trimMemory();
    assert.ok(memory().reserved <= memory().inUse + 16 * PAGE);
  });

  test('may be all that ever load the addon, one after another', () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const script = ${JSON.stringify(
        `import(${JSON.stringify(new URL('./index.js', import.meta.url).href)}).then(({ keep, ones }) => {
           const held = [1, 2, 3].map((n) => keep(ones([n * 100_000])));
           if (held[2].sum().item() !== 300_000) throw new Error('another wrote here');
         });`,
      )};
      for (let i = 0; i < 10; i++) {
        const code = await new Promise((done) => new Worker(script, { eval: true }).on('exit', done));
        if (code !== 0) process.exit(3);
      }
      console.log('all ended');`;
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.deepEqual([stdout.trim(), status, signal], ['all ended', 0, null], stderr);
  });
});

describe('GOSHAWK_ALLOCATOR=malloc', () => {
  const program = `
    const { hostMemory, scope, zeros } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)});
    for (let i = 0; i < 20; i++) scope(() => void zeros([64 << 20], { dtype: 'uint8' }));
    const before = process.resourceUsage().minorPageFault;
    for (let i = 0; i < 10; i++) scope(() => void zeros([64 << 20], { dtype: 'uint8' }));
    console.log(process.resourceUsage().minorPageFault - before, hostMemory());`;
  const run = (env: NodeJS.ProcessEnv) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...process.env, GOSHAWK_ALLOCATOR: 'malloc', ...env },
    });
    const [pages = Number.NaN, own] = stdout.trim().split(' ');
    assert.equal(own, 'undefined', stderr);
    return Number(pages);
  };

  // glibc's own rule hands blocks of more than 32 MB back at once, and the next is made of fresh pages of 4 KiB: all ten would
  // take 16,384 each. Small blocks that stay come to lie between the first large ones.
  test('leaves tensors to malloc, which keeps what is freed', { skip: !isGlibc() }, () => {
    const pages = run({});
    assert.ok(pages < 5 * 16_384, `${pages} fresh pages`);
  });

  test('what malloc was told in the environment holds', { skip: !isGlibc() }, () => {
    // Huge pages, where the system gives them unasked, are 2 MiB.
    const pages = run({ MALLOC_MMAP_THRESHOLD_: '131072' });
    assert.ok(pages >= 10 * 32, `${pages} fresh pages`);
  });
});

function isGlibc(): boolean {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}
