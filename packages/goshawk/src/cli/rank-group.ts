// The group of processes that a command works in.
import { InputError } from '@goshawk/core';
import { openProcessGroup, type ProcessGroup } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import type { OwnRank } from './in-ranks.js';

/** A config on the device of this rank: `cuda` is the card of its number on this machine. */
export function onRankDevice(config: RunConfig, rank: OwnRank | undefined): RunConfig {
  if (rank === undefined) return config;
  const { runtime } = config;
  const own = runtime.device === 'cuda' ? `cuda:${rank.place.localRank}` : runtime.device;
  return { ...config, runtime: { ...runtime, device: rank.device ?? own } };
}

/** Seconds that a group may take to find out who is missing, where the store does not answer either. */
const TO_FIND_OUT = 35;

/** A rank that waits for another gives up before the supervisor would judge it, since it knows for whom it waited. */
function patienceMs(timeoutSeconds: number): number {
  return 1000 * (timeoutSeconds - Math.min(TO_FIND_OUT, timeoutSeconds / 2));
}

/** Meets the other ranks. @throws DistributedError naming those that did not come in time */
export function openRankGroup({ place, timeoutSeconds }: OwnRank, { runtime }: RunConfig): ProcessGroup {
  const { rank, size, host, port } = place;
  return openProcessGroup({ rank, size, host, port, timeoutMs: patienceMs(timeoutSeconds), device: runtime.device });
}

/** @throws InputError where an option makes no sense in one of several processes */
export function requireAlone(rank: OwnRank | undefined, option: string, value: unknown): void {
  if (rank === undefined || value === undefined) return;
  throw new InputError(
    'usage',
    `${option}: the work is spread over ${rank.place.size} processes already: leave it out`,
  );
}
