import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { fitBatchSize } from './fit-batch-size.js';

const MB = 1e6;

describe('the largest batch that fits', () => {
  test('is that by the straight line through what was measured, on 300 made machines', async () => {
    const random = createRandom(1);
    for (let round = 0; round < 300; round++) {
      const used = 200 + random.integer(300);
      const fixed = random.integer(2000);
      const perPicture = 1 + random.integer(800);
      const free = 100 + random.integer(20_000);
      const most = 1 + random.integer(64);
      const bytesOf = (batchSize: number): number => (used + fixed + perPicture * batchSize) * MB;
      const measured: number[] = [];
      const { batchSize } = await fitBatchSize({
        used: used * MB,
        free: free * MB,
        fixed: fixed * MB,
        most,
        measure: async (asked) => {
          measured.push(asked);
          return bytesOf(asked);
        },
      });
      const limit = (used + 0.8 * free) * MB;
      const fitting = [1, 2, 4, 8, 16, 32, 64].filter((size) => size <= most && bytesOf(size) <= limit);
      assert.equal(batchSize, fitting.at(-1) ?? 1, JSON.stringify({ used, fixed, perPicture, free, most }));
      for (const asked of measured.slice(1)) assert.ok(bytesOf(asked) <= limit, 'what would not fit was tried');
      assert.ok(measured.every((asked) => asked <= 4));
    }
  });

  test('is not beyond what is sure to fit where only one picture could be measured', async () => {
    const { batchSize, why } = await fitBatchSize({
      ...{ used: 0, fixed: 0, free: 1000 * MB, most: 16 },
      measure: async (asked) => asked * 450 * MB,
    });
    assert.equal(batchSize, 1);
    assert.equal(why, 'a step takes 450 MB with 1 of the 1.00 GB that are free');
  });

  test('is one where even that is too much, or a card has said so', async () => {
    const facts = { used: 0, fixed: 0, free: 100 * MB, most: 16 };
    assert.equal((await fitBatchSize({ ...facts, measure: async () => 90 * MB })).batchSize, 1);
    assert.deepEqual(await fitBatchSize({ ...facts, measure: async () => undefined }), {
      batchSize: 1,
      why: 'not even one picture fits of the 100 MB that are free',
    });
  });

  test('of the sizes that a card refuses none is taken', async () => {
    const { batchSize } = await fitBatchSize({
      ...{ used: 0, fixed: 0, free: 1000 * MB, most: 64 },
      measure: async (asked) => (asked < 4 ? asked * 10 * MB : undefined),
    });
    assert.equal(batchSize, 2);
  });
});
