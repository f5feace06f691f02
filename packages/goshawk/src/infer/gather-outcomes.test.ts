import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProcessGroup } from '@goshawk/torch';
import { gatherOutcomes, PeerFailure } from './gather-outcomes.js';

const ROUND = 16;

/** Rank 0 of two; the other one's messages are those that it was recorded to give. */
function groupOf(rank: number, given: Uint8Array[][]): ProcessGroup {
  let meeting = 0;
  const allGatherBytes = (bytes: Uint8Array): Uint8Array[] => {
    const own = given[meeting] ?? [];
    given[meeting++] = own;
    own[rank] = bytes;
    return [own[0] ?? bytes, own[1] ?? bytes];
  };
  return { rank, size: 2, allGatherBytes } as unknown as ProcessGroup;
}

/** What comes of the pictures of a rank, which fails at one of them. */
async function* outcomes(rank: number, total: number, failing?: number): AsyncGenerator<string, void, void> {
  for (let place = rank; place < total; place += 2) {
    if (place === failing) throw new Error(`no memory for ${place}`);
    yield `picture ${place}`;
  }
}

interface Gathered {
  readonly found: string[];
  readonly isDone: boolean | Error;
  /** Meetings. */
  readonly count: number;
}

/** Both ranks, one after the other: each reads what the other one, that ran before, has given. */
async function gatherBoth(
  total: number,
  { failing, stopped }: { readonly failing?: number; readonly stopped?: boolean } = {},
): Promise<readonly [Gathered, Gathered]> {
  const given: Uint8Array[][] = [];
  const run = async (rank: number): Promise<Gathered> => {
    const found: string[] = [];
    let count = 0;
    const isDone = await gatherOutcomes({
      group: groupOf(rank, given),
      total,
      own: outcomes(rank, total, failing),
      isStopped: () => {
        count += 1;
        return stopped === true && rank === 1;
      },
      onOutcome: (place, outcome) => {
        found[place] = outcome;
      },
    }).catch((error: Error) => error);
    return { found, isDone, count };
  };
  await run(1);
  const first = await run(0);
  return [first, await run(1)];
}

describe('outcomes of several processes', () => {
  test('reach all of them, by place, in as many meetings as the largest share needs', async () => {
    for (const total of [0, 1, 2, 7, 2 * ROUND, 2 * ROUND + 1, 5 * ROUND]) {
      for (const { found, isDone, count } of await gatherBoth(total)) {
        assert.equal(isDone, true);
        assert.deepEqual(
          found,
          Array.from({ length: total }, (_, place) => `picture ${place}`),
        );
        assert.equal(count, Math.ceil(total / (2 * ROUND)));
      }
    }
  });

  test('are the end of all where one fails, which names itself to the others', async () => {
    const [first, second] = await gatherBoth(100, { failing: 41 });
    assert.ok(first.isDone instanceof PeerFailure);
    assert.equal(first.isDone.message, 'rank 1: no memory for 41');
    assert.equal((second.isDone as Error).message, 'no memory for 41');
    assert.deepEqual([first.count, second.count], [2, 2]);
  });

  test('end early in all where one is stopped', async () => {
    for (const { found, isDone, count } of await gatherBoth(100, { stopped: true })) {
      assert.deepEqual([isDone, found.length, count], [false, 2 * ROUND, 1]);
    }
    const [first] = await gatherBoth(20, { stopped: true });
    assert.equal(first.isDone, true);
  });
});
