import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ones } from '@goshawk/torch';
import { freeHostMemory, memoryGauge } from './free-memory.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'goshawk-free-memory-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
};
const meminfo = 'MemTotal:       16000 kB\nMemFree:          500 kB\nMemAvailable:    8000 kB\n';
const MIB = 2 ** 20;

describe('memory that a process may take', () => {
  test("is the machine's where no group is", () => {
    assert.equal(freeHostMemory(root), undefined);
    write({ 'proc/meminfo': meminfo });
    assert.equal(freeHostMemory(root), 8000 * 1024);
  });

  test('is what its control group, or one around it, leaves, page cache aside', () => {
    write({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '0::/jobs/training\n',
      'sys/fs/cgroup/jobs/memory.max': String(6 * MIB),
      'sys/fs/cgroup/jobs/memory.current': String(4 * MIB),
      'sys/fs/cgroup/jobs/memory.stat': `anon 1\nactive_file 5\ninactive_file ${MIB}\n`,
      'sys/fs/cgroup/jobs/training/memory.max': 'max\n',
      'sys/fs/cgroup/jobs/training/memory.current': String(3 * MIB),
    });
    assert.equal(freeHostMemory(root), 3 * MIB);
    write({ 'sys/fs/cgroup/jobs/training/memory.max': String(4 * MIB) });
    assert.equal(freeHostMemory(root), MIB);
    write({ 'sys/fs/cgroup/jobs/training/memory.max': String(2 * MIB) });
    assert.equal(freeHostMemory(root), 0);
  });

  test('is that of a container, whose own group is mounted as the root', () => {
    write({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '0::/system.slice/docker-1234.scope\n',
      'sys/fs/cgroup/memory.max': String(2 * MIB),
      'sys/fs/cgroup/memory.current': '0',
    });
    assert.equal(freeHostMemory(root), 2 * MIB);
  });

  test("is told by version 1's groups too, whose limit without one is beyond any machine", () => {
    write({
      'proc/meminfo': meminfo,
      'proc/self/cgroup': '5:cpu,cpuacct:/a\n4:memory:/a\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      'sys/fs/cgroup/memory/memory.usage_in_bytes': '123',
      'sys/fs/cgroup/memory/a/memory.limit_in_bytes': String(5 * MIB),
      'sys/fs/cgroup/memory/a/memory.usage_in_bytes': String(2 * MIB),
      'sys/fs/cgroup/memory/a/memory.stat': `inactive_file 7\ntotal_inactive_file ${MIB}\n`,
    });
    assert.equal(freeHostMemory(root), 4 * MIB);
  });

  test('of this machine is some, and no more than it has', { skip: process.platform !== 'linux' }, () => {
    const free = freeHostMemory()!;
    assert.ok(free > 0 && free < 4 * freemem() + 2 ** 40);
  });
});

test('a gauge tells the most that was taken in between', { skip: process.platform !== 'linux' }, async (context) => {
  const gauge = memoryGauge('cpu');
  if (gauge === undefined) return context.skip('this process may not count its memory anew');
  const mebibytes = async (count: number): Promise<number> => {
    const bytes = await gauge.mostDuring(async () => {
      ones([count * 2 ** 18]).dispose();
    });
    return (bytes - gauge.used) / MIB;
  };
  const large = await mebibytes(300);
  assert.ok(large > 290 && large < 400, `${large} MiB`);
  const small = await mebibytes(50);
  assert.ok(small < 200, `${small} MiB, behind ${large}`);
});
