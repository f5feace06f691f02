// Which process of a run this one is, as the environment tells: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, the words of
// torchrun, which Slurm's and Kubernetes' users set too.
import { InputError } from '@goshawk/core';

export interface RankPlace {
  /** From 0; the process of rank 0 keeps the store and writes what is written. */
  readonly rank: number;
  /** Processes of the run, on all machines together. */
  readonly size: number;
  /** Among the processes of this machine. */
  readonly localRank: number;
  /** Processes on this machine, where that is known. */
  readonly localSize?: number;
  /** Where the process of rank 0 listens. */
  readonly host: string;
  readonly port: number;
}

/**
 * This process's place; undefined where the environment speaks of one process or of none.
 * @throws InputError naming the variable that is missing or wrong
 */
export function placeFromEnvironment(environment: NodeJS.ProcessEnv): RankPlace | undefined {
  const size = wholeNumber(environment, 'WORLD_SIZE', 1, 65_536);
  if (size === undefined || size === 1) return undefined;
  const rank = required(wholeNumber(environment, 'RANK', 0, size - 1), 'RANK', size);
  const hasAgentStore = environment.TORCHELASTIC_USE_AGENT_STORE === 'True';
  const localSize = wholeNumber(environment, 'LOCAL_WORLD_SIZE', 1, size);
  return {
    rank,
    size,
    localRank: required(wholeNumber(environment, 'LOCAL_RANK', 0, size - 1), 'LOCAL_RANK', size),
    ...(localSize !== undefined && { localSize }),
    host: required(environment.MASTER_ADDR || undefined, 'MASTER_ADDR', size),
    // Where torchrun's agents keep a store of their own at the port, ours lies beside it.
    port: required(wholeNumber(environment, 'MASTER_PORT', 1, 65_534), 'MASTER_PORT', size) + (hasAgentStore ? 1 : 0),
  };
}

/** The variables that {@link placeFromEnvironment} reads. */
export function environmentOf(place: RankPlace): Record<string, string> {
  const { rank, size, localRank, localSize, host, port } = place;
  return {
    RANK: String(rank),
    WORLD_SIZE: String(size),
    LOCAL_RANK: String(localRank),
    ...(localSize !== undefined && { LOCAL_WORLD_SIZE: String(localSize) }),
    MASTER_ADDR: host,
    MASTER_PORT: String(port),
  };
}

function wholeNumber(environment: NodeJS.ProcessEnv, name: string, least: number, most: number): number | undefined {
  const text = environment[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new InputError('usage', `${name}=${text}: expected a whole number from ${least} to ${most}: correct it`);
}

function required<T>(value: T | undefined, name: string, size: number): T {
  if (value !== undefined) return value;
  throw new InputError(
    'usage',
    `${name}: is not set, though WORLD_SIZE is ${size}: set RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, or use --devices or goshawk launch`,
  );
}
