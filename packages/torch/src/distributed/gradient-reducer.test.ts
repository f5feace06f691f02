import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runProcesses } from '../testing/process-pairs.js';

const jobs = new URL('./fixtures/jobs.js', import.meta.url);

interface Reduced {
  readonly steps: readonly {
    readonly missing: { readonly missingHere: string[]; readonly missingEverywhere: string[] };
    readonly gradients: [string, number[] | undefined][];
  }[];
  readonly weight: number[];
  readonly counts: number[];
}

describe('gradients of two processes', { timeout: 120_000 }, () => {
  for (const overlap of [false, true])
    test(`are their mean, ${overlap ? 'sent while the backward pass goes on' : 'sent afterwards'}`, async () => {
      const [first, second] = await runProcesses<Reduced>(jobs, 'gradients', { data: { overlap } });
      assert.equal(first!.error, undefined);
      assert.deepEqual(second!.value!.weight, first!.value!.weight, 'rank 0 gives its parameters');
      assert.deepEqual(second!.value!.counts, first!.value!.counts, 'and its buffers');
      for (const [rank, { value }] of [first!, second!].entries())
        for (const { missing, gradients } of value!.steps) {
          const of = Object.fromEntries(gradients);
          // Rank 1's second layer is fed by the first, so that its share depends on weights: the same in both processes.
          assert.deepEqual(of, Object.fromEntries(first!.value!.steps[0]!.gradients));
          assert.deepEqual(of['second.bias'], [0.5, 0.5], 'of one process alone: the other counts as zeros');
          assert.equal(of['third.weight'], undefined);
          assert.deepEqual(missing.missingEverywhere, ['third.weight', 'third.bias']);
          assert.deepEqual(missing.missingHere, rank === 0 ? ['second.weight', 'second.bias'] : []);
        }
    });
});
