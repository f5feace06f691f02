// Pictures shared by the processes of a run: each works on every so many-th one, and all of them learn what came of it.
import { deserialize, serialize } from 'node:v8';
import { distributedErrorOf, type ProcessGroup } from '@goshawk/torch';

/** Another process of the run could not go on. */
export class PeerFailure extends Error {
  override readonly name = 'PeerFailure';
}

export interface SharedWork<Outcome> {
  readonly group: ProcessGroup;
  /** Pictures of all processes together. */
  readonly total: number;
  /** What comes of this process's pictures, those at the places rank, rank + size, rank + 2 * size, ..., in this order. */
  readonly own: AsyncIterator<Outcome>;
  /** Whether this process was told to end. All end then, after what was begun. */
  readonly isStopped?: () => boolean;
  /** Gets the outcomes of all processes, by place. */
  readonly onOutcome: (place: number, outcome: Outcome) => void;
}

/** Pictures of a process between two meetings: enough that waiting for the slowest costs little. */
const ROUND = 16;

interface Meeting<Outcome> {
  readonly outcomes: readonly Outcome[];
  readonly stop: boolean;
  /** Why a process cannot go on. */
  readonly problem?: string;
}

/**
 * The processes meet as often as each other, whatever happens to their pictures, so that none waits for one that is gone on.
 * @returns whether everything was done
 * @throws what this process's pictures failed with; PeerFailure in the others
 */
export async function gatherOutcomes<Outcome>(work: SharedWork<Outcome>): Promise<boolean> {
  const { group, total, own, isStopped = () => false, onOutcome } = work;
  for (let first = 0; first < total; first += group.size * ROUND) {
    const outcomes: Outcome[] = [];
    const places = placesOf(first, group.rank, group.size, total);
    let failure: { readonly error: unknown } | undefined;
    try {
      for (const _ of places) {
        const { value, done } = await own.next();
        if (done) throw new Error('internal: fewer outcomes than pictures');
        outcomes.push(value);
      }
    } catch (error) {
      const between = distributedErrorOf(error);
      if (between !== undefined) throw between;
      failure = { error };
    }
    const problem = failure && (failure.error instanceof Error ? failure.error.message : String(failure.error));
    const meeting: Meeting<Outcome> = { outcomes, stop: isStopped(), ...(problem !== undefined && { problem }) };
    const all = group.allGatherBytes(serialize(meeting)).map((bytes) => deserialize(bytes) as Meeting<Outcome>);
    if (failure) throw failure.error;
    const failed = all.findIndex((meeting) => meeting.problem !== undefined);
    if (failed >= 0) throw new PeerFailure(`rank ${failed}: ${all[failed]!.problem}`);
    for (const [place, outcome] of inOrder(all, first, group.size, total)) onOutcome(place, outcome);
    if (all.some(({ stop }) => stop)) return first + group.size * ROUND >= total;
  }
  return true;
}

/** The places of a process between one meeting and the next. */
function placesOf(first: number, rank: number, size: number, total: number): number[] {
  return Array.from({ length: ROUND }, (_, i) => first + rank + i * size).filter((place) => place < total);
}

function* inOrder<Outcome>(
  all: readonly Meeting<Outcome>[],
  first: number,
  size: number,
  total: number,
): Generator<readonly [number, Outcome]> {
  for (let place = first; place < Math.min(total, first + size * ROUND); place++) {
    const at = place - first;
    yield [place, all[at % size]!.outcomes[Math.floor(at / size)]!];
  }
}
