import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';

/** What a process of its own prints, whose heap nothing else fills; `size` and `used` are bytes of a space of V8's heap. */
function run<T>(body: string): T {
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8';
    import { releaseHeap, steadyHeap } from '${new URL('steady-heap.js', import.meta.url)}';
    const space = (name) => getHeapSpaceStatistics().find(({ space_name }) => space_name === name);
    const size = (name) => space(name).space_size;
    const used = (name) => space(name).space_used_size;
    /** Objects of which 100,000 live at once. */
    const churn = () => {
      const living = [];
      for (let i = 0; i < 400_000; i++) living[i % 100_000] = { i, text: [i, i + 1, i + 2] };
    };
    ${body}`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return JSON.parse(stdout);
}

describe('the heap in a training', () => {
  const growth = (calls: string): number =>
    run(`${calls}; const before = size('new_space'); churn(); console.log(size('new_space') / before)`);

  // A space of one half before its first collection has two after it.
  test('has a young generation that does not grow, until it is let go', () => {
    assert.ok(growth('steadyHeap(1)') <= 2);
    assert.ok(growth('steadyHeap(1); releaseHeap()') > 2);
  });

  test('is collected every 100 steps', () => {
    const [start, full, between, collected] = run<number[]>(`
      const sizes = [used('old_space')];
      churn();
      sizes.push(used('old_space'));
      for (const step of [199, 200]) { steadyHeap(step); sizes.push(used('old_space')); }
      console.log(JSON.stringify(sizes))`);
    assert.ok(full! > start! + 5e6 && between! > start! + 5e6, `${start} ${full} ${between}`);
    assert.ok(collected! < start! + 1e6, `${start} ${collected}`);
  });
});
