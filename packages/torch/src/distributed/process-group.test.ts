import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { runProcesses } from '../testing/process-pairs.js';
import { DistributedError, hostStore, openProcessGroup } from './index.js';

const jobs = new URL('./fixtures/jobs.js', import.meta.url);

describe('collectives of three processes', { timeout: 120_000 }, () => {
  test('give each the same, whatever the memory order and dtype', async () => {
    const outcomes = await runProcesses<Record<string, unknown>>(jobs, 'collectives', { size: 3 });
    for (const [rank, { value, error, code }] of outcomes.entries()) {
      assert.equal(error, undefined);
      assert.equal(code, 0);
      assert.deepEqual(value, {
        sum: [6, 60],
        mean: [1, 4],
        largest: [2, 0],
        order: [3, 6, 9, 12],
        sent: [1, 2, 3, 4],
        flags: [1, 0],
        gathered: [
          [0, 0],
          [1, 1],
          [2, 2],
        ],
        bytes: [[], [1, 1, 1], [2, 2, 2, 2, 2, 2]],
        neighbour: [(rank + 1) % 3],
        counted: [5, 10],
        bytesSpent: true,
        timeSpent: true,
      });
    }
  });
});

describe('processes that differ', { timeout: 120_000 }, () => {
  test('in size, operation or dtype are told so by name, and go on', async () => {
    const outcomes = await runProcesses<{ met: string[]; after: number[] }>(jobs, 'unequal');
    const [first] = outcomes;
    assert.match(first!.value!.met[0]!, /rank 0 comes to the sum of Float \[2\], rank 1 to the sum of Float \[3\]/i);
    assert.match(
      first!.value!.met[1]!,
      /rank 0 comes to the sum of Float \[3\], rank 1 to broadcast from rank 0 of Float \[3\]/i,
    );
    assert.match(first!.value!.met[2]!, /rank 0 comes to the sum of Float \[3\], rank 1 to the sum of Double \[3\]/i);
    for (const { value, code, signal } of outcomes) {
      assert.deepEqual([value!.met.length, value!.after, code, signal], [3, [2, 2], 0, null]);
    }
  });

  test('in their model are told which tensor it is', async () => {
    for (const { error } of await runProcesses(jobs, 'unequalModels')) {
      assert.equal(error!.name, 'DistributedError');
      assert.match(error!.message, /rank 0 has weight: float32 \[3, 4\].*, rank 1 has weight: float32 \[5, 4\]/);
    }
  });
});

describe('a process that fails', { timeout: 120_000 }, () => {
  test('by dying ends the call of the other at once, which names it', async () => {
    let killed = 0;
    const ended: number[] = [];
    const [other, dead] = await runProcesses(jobs, 'spin', {
      onStart: (child, rank) => child.on('exit', () => (ended[rank] = performance.now())),
      onReport: (child, rank) => {
        if (rank !== 1) return;
        setTimeout(() => {
          killed = performance.now();
          child.kill('SIGKILL');
        }, 300);
      },
    });
    assert.equal(dead!.signal, 'SIGKILL');
    assert.equal(other!.error!.name, 'DistributedError');
    assert.deepEqual(other!.error!.ranks, [1]);
    assert.match(other!.error!.message, /the sum of .*: rank 1 \(process \d+ on .+\) ended before the others/);
    assert.ok(ended[0]! - killed < 8000, `${ended[0]! - killed} ms`);
  });

  test('by keeping rank 0 alive and not answering is waited for as long as was set', async () => {
    const children: { kill(signal: NodeJS.Signals): unknown }[] = [];
    const outcomes = await runProcesses(jobs, 'stop', {
      timeoutMs: 2000,
      onStart: (child, rank) => {
        children[rank] = child;
        if (rank === 0) child.on('exit', () => children[1]!.kill('SIGKILL'));
      },
    });
    const { error, seconds } = outcomes[0]!;
    assert.deepEqual(error!.ranks, [1]);
    assert.match(error!.message, /the sum of .*: rank 1 \(process \d+ on .+\) did not come to it within \d/);
    assert.ok(seconds > 1.9 && seconds < 8, `${seconds} s`);
  });

  test('by coming too late to a barrier is named', async () => {
    const [first] = await runProcesses(jobs, 'late', { timeoutMs: 4000 });
    assert.deepEqual(first!.error!.ranks, [1]);
    assert.match(first!.error!.message, /barrier: rank 1 \(.+\) did not come to it within 4/);
  });
});

describe('opening a group', () => {
  test('alone is a group of one', () => {
    const group = openProcessGroup({ rank: 0, size: 1, host: '127.0.0.1', port: 0, timeoutMs: 10_000 });
    group.barrier();
    assert.deepEqual(group.allGatherBytes(Uint8Array.of(7)), [Uint8Array.of(7)]);
    group.close();
    assert.throws(() => group.barrier(), /closed/);
  });

  test('without the others names them when the time is over', () => {
    const started = performance.now();
    assert.throws(
      () => openProcessGroup({ rank: 0, size: 3, host: '127.0.0.1', port: 0, timeoutMs: 300 }),
      (error: unknown) => error instanceof DistributedError && /ranks 1, 2 did not come within/.test(error.message),
    );
    assert.ok(performance.now() - started < 5000);
  });

  test('tells of an address that the others cannot reach, though a name leads there', () => {
    assert.throws(
      () => openProcessGroup({ rank: 0, size: 2, host: 'localhost', port: 0, timeoutMs: 300 }),
      /rank 1 did not come within .* to localhost:\d+ \(here (127\.0\.0\.1|::1), which no other machine reaches\)/,
    );
  });

  test('under a name that leads nowhere says so, within the time', () => {
    const started = performance.now();
    assert.throws(
      () => openProcessGroup({ rank: 1, size: 2, host: 'nobody.invalid', port: 29_500, timeoutMs: 500 }),
      /rank 1 cannot reach rank 0: no connection to nobody\.invalid:29500: the name nobody\.invalid leads to no address/,
    );
    assert.ok(performance.now() - started < 5000);
  });

  test('where somebody listens who says nothing gives up', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const started = performance.now();
    assert.throws(
      () => openProcessGroup({ rank: 1, size: 2, host: '127.0.0.1', port, timeoutMs: 500 }),
      new RegExp(`who listens on 127.0.0.1:${port} is no store of this program's`),
    );
    assert.ok(performance.now() - started < 8000);
    server.close();
  });

  test('by a process that does not fit ends at once for all that wait, with the reason', async () => {
    for (const [places, reason] of [
      [
        [
          [0, 3],
          [1, 3],
          [1, 3],
        ],
        /^rank 1 is there twice, as process \d+ on .+ and as process \d+ on .+: give every process a number of its own$/,
      ],
      [
        [
          [0, 3],
          [1, 2],
        ],
        /^rank [01] \(process \d+ on .+\) is one of \d processes by libtorch [\d.]+ on processors, rank [01] \(.+\) one of \d processes .*: all must be told the same$/,
      ],
    ] as const) {
      const outcomes = await runProcesses(jobs, 'spin', { places: places.map(([rank, size]) => ({ rank, size })) });
      for (const { error, seconds } of outcomes) {
        assert.equal(error!.name, 'DistributedError');
        assert.match(error!.message, reason);
        assert.ok(seconds < 30, `${seconds} s`);
      }
    }
  });

  test('is not disturbed by one that comes when all are there', () => {
    const store = hostStore('127.0.0.1');
    const group = openProcessGroup({ rank: 0, size: 1, host: '127.0.0.1', port: 0, timeoutMs: 5000, store });
    for (const attempt of [1, 2])
      assert.throws(
        () => openProcessGroup({ rank: 1, size: 2, host: '127.0.0.1', port: store.port, timeoutMs: 5000 }),
        /rank 1 .* is one of 2 processes .*, rank 0 .* one of 1 processes/,
        `attempt ${attempt}`,
      );
    assert.throws(() => group.store.get('b', 100), /waited in vain for b/);
    group.barrier();
    group.close();
  });

  test('where nobody listens says what was tried', () => {
    const store = hostStore('127.0.0.1');
    store.close();
    const { port } = store;
    assert.throws(
      () => openProcessGroup({ rank: 1, size: 2, host: '127.0.0.1', port, timeoutMs: 300 }),
      new RegExp(`rank 1 cannot reach rank 0: no connection to 127.0.0.1:${port}: Connection refused`),
    );
  });

  test('at a port that is taken says so', () => {
    const store = hostStore('127.0.0.1');
    assert.throws(
      () => openProcessGroup({ rank: 0, size: 1, host: '127.0.0.1', port: store.port, timeoutMs: 300 }),
      /rank 0, which keeps the store, cannot listen on 127.0.0.1:\d+: Address already in use: another program or another run/,
    );
    store.close();
  });

  test("at an address that is not this machine's says so", () => {
    // Of RFC 5737: nobody's.
    assert.throws(
      () => openProcessGroup({ rank: 0, size: 2, host: '192.0.2.1', port: 29_500, timeoutMs: 300 }),
      (error: unknown) =>
        error instanceof DistributedError &&
        /cannot listen on 192\.0\.2\.1:29500: Cannot assign requested address: it is no address of this machine/.test(
          error.message,
        ),
    );
  });
});

describe('the store', () => {
  test('listens on the address that it was told, and on no other', async (t) => {
    const other = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal);
    const store = hostStore('127.0.0.1');
    assert.equal(await reaches('127.0.0.1', store.port), true);
    if (other) assert.equal(await reaches(other.address, store.port), false);
    else t.diagnostic('this machine has no other address than loopback');
    store.close();
    assert.equal(await reaches('127.0.0.1', store.port), false);
  });

  test('drops who does not speak as it does, and goes on', async () => {
    const store = hostStore('127.0.0.1');
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\xff\xff\xff\xff', '\x02\0\0\0\x01\0']) {
      const closed = await new Promise((resolve) => {
        const socket = connect(store.port, '127.0.0.1', () => socket.write(Buffer.from(text, 'latin1')));
        socket.on('close', () => resolve(true));
        socket.on('error', () => {});
      });
      assert.equal(closed, true);
    }
    const group = openProcessGroup({ rank: 0, size: 1, host: '127.0.0.1', port: 0, timeoutMs: 5000, store });
    group.store.set('a', Uint8Array.of(1, 2));
    assert.deepEqual(group.store.get('a', 100), Uint8Array.of(1, 2));
    assert.throws(() => group.store.get('b', 100), /waited in vain for b/);
    group.close();
  });
});

function reaches(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 2000 });
    const end = (reached: boolean): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
  });
}
