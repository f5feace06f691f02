// What must not depend on how many threads compute it.
import assert from 'node:assert/strict';
import { getThreads, scope, setThreads } from '../tensor/index.js';

/** Runs `compute` on one, two and three threads: each must give the same. */
export function assertSameOnAnyThreads(compute: () => unknown): void {
  const threads = getThreads();
  try {
    const [one, ...others] = [1, 2, 3].map((count) => {
      setThreads(count);
      return scope(compute);
    });
    for (const other of others) assert.deepEqual(other, one);
  } finally {
    setThreads(threads);
  }
}
