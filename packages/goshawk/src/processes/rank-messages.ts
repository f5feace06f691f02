// What a supervisor and its ranks say to each other: over Node's channel what the rank's own thread says, over a pipe the signs of
// life of a thread beside it, which goes on while the engine holds the first.

/** To a rank. */
export type RankOrder = { readonly kind: 'stop'; readonly signal: NodeJS.Signals };

/** From a rank. */
export type RankReport =
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'saved'; readonly what: string }
  | ({ readonly kind: 'failed' } & RankFailure);

/** Why a rank ended. */
export interface RankFailure {
  /** One line for a person. */
  readonly message: string;
  readonly exitCode: number;
  /** Whether it only met what had happened to another rank: a closed connection, a partner that did not come. */
  readonly isConsequence: boolean;
  /** The ranks where it thinks that the failure lies. */
  readonly blames: readonly number[];
}

/** A line on the pipe. */
export interface LifeSign {
  /** Whether it has begun with what it is there for. */
  readonly isAtWork: boolean;
  /** Steps done; 0 before the first. */
  readonly iteration: number;
  /** Milliseconds since the rank's own thread got on, while the machine ran. */
  readonly idleMs: number;
}

export const LIFE_SIGN_MS = 500;

/** The rank's end of the pipe. */
export const LIFE_SIGN_HANDLE = 4;

/** A rank that lost its supervisor has so long to write a checkpoint. */
export const ORPHAN_MS = 5000;

/** Set for ranks that a supervisor started. */
export const SUPERVISED = 'GOSHAWK_SUPERVISED';
export const RANK_DEVICE = 'GOSHAWK_DEVICE';
export const RANK_TIMEOUT = 'GOSHAWK_TIMEOUT';

/** Milliseconds that count of those that went by: a machine or a process that was put to sleep does not accuse those in it. */
export function countedMs(elapsed: number): number {
  return Math.min(elapsed, 4 * LIFE_SIGN_MS);
}
