// Where the work of a command is done: in this process alone, in this process as one rank of several, or in ranks that this process
// starts and watches.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import {
  freePort,
  LOOPBACK,
  parseDevices,
  placeFromEnvironment,
  type RankLink,
  type RankPlace,
  rankLink,
  type SupervisedRun,
  superviseRanks,
} from '../processes/index.js';
import { wholeNumber } from './parse-option.js';

export interface RankOptions {
  readonly set?: readonly string[];
  /** `cpu:2`, `cuda`, `cuda:0,1`. */
  readonly devices?: string;
  /** Seconds. */
  readonly timeout?: string;
}

/** This process as one of several. */
export interface OwnRank {
  readonly place: RankPlace;
  /** Absent: what the config says. */
  readonly device?: string;
  readonly timeoutSeconds: number;
  /** Absent where another program started the ranks. */
  readonly link?: RankLink;
}

/** Seconds that a rank may do nothing or wait for others. */
export const DEFAULT_TIMEOUT = 300;

/** The command's own file, which ranks run too. */
const COMMAND = fileURLToPath(new URL('./main.js', import.meta.url));

/**
 * Does a command's work where its options and the environment say.
 * @param purpose how processors are divided: a training's ranks share them. Predictions depend in their last bits on the number of
 *   threads, so each of their ranks has as many as one process would.
 * @param work gets the options for this process, and its rank where it is one of several
 */
export async function inRanks<Options extends RankOptions>(
  options: Options,
  purpose: 'training' | 'prediction',
  work: (own: Options & { readonly rank?: OwnRank }) => Promise<void>,
): Promise<void> {
  const place = placeFromEnvironment(process.env);
  const link = rankLink();
  if (link !== undefined && place !== undefined) {
    const { device, timeoutSeconds } = link;
    return work({ ...options, rank: { place, timeoutSeconds, link, ...(device !== undefined && { device }) } });
  }
  if (place !== undefined) {
    if (options.devices !== undefined)
      throw new InputError(
        'usage',
        `--devices ${options.devices}: WORLD_SIZE in the environment says that another program starts the processes: leave out one of them`,
      );
    return work({ ...options, rank: { place, timeoutSeconds: timeoutOf(options) } });
  }
  if (options.devices === undefined) return work(options);
  const devices = await devicesOf(options.devices);
  if (devices.length === 1) return work({ ...options, set: [...(options.set ?? []), `runtime.device=${devices[0]}`] });
  const port = await freePort();
  await supervise({
    args: process.argv.slice(2),
    environment: rankEnvironment(purpose, devices.length),
    timeoutSeconds: timeoutOf(options),
    ranks: devices.map((device, rank) => ({
      device,
      place: { rank, size: devices.length, localRank: rank, localSize: devices.length, host: LOOPBACK, port },
    })),
  });
}

/** Runs ranks of this command to their end and takes over their exit code. */
export async function supervise(run: Omit<SupervisedRun, 'command'>): Promise<void> {
  // A debugger's port and a profile's file can be one process's only.
  const nodeOptions = process.execArgv.filter((option) => !/^--(inspect|cpu-prof|heap-prof|prof)/.test(option));
  const exitCode = await superviseRanks({ ...run, command: [process.execPath, ...nodeOptions, COMMAND] });
  if (exitCode !== 0) process.exitCode = exitCode;
}

export async function devicesOf(text: string): Promise<readonly string[]> {
  // Wrong words are told without the engine.
  const named = text === 'cuda' ? undefined : parseDevices(text, () => 0);
  if (named?.[0] === 'cpu') return named;
  const { cudaFacts } = await import('@goshawk/torch');
  const cards = cudaFacts()?.devices.length ?? 0;
  return requireCards(named ?? parseDevices(text, () => cards), cards, text);
}

/** @throws InputError where a card is named that is not there */
function requireCards(devices: readonly string[], cards: number, text: string): readonly string[] {
  const missing = devices.find((device) => Number(device.split(':')[1]) >= cards);
  if (missing === undefined) return devices;
  const there = cards === 0 ? 'there is no card here' : `there is no ${missing} here, only ${cards} from cuda:0 on`;
  throw new InputError('usage', `--devices ${text}: ${there}: see goshawk doctor`);
}

/** @throws InputError where --timeout is no number of seconds */
export function timeoutOf({ timeout }: Pick<RankOptions, 'timeout'>): number {
  return timeout === undefined ? DEFAULT_TIMEOUT : wholeNumber('--timeout', timeout, 1, 86_400);
}

/** What ranks of one machine find in their environment, where a person has not set it. */
export function rankEnvironment(purpose: 'training' | 'prediction', count: number): NodeJS.ProcessEnv {
  if (process.env.OMP_NUM_THREADS !== undefined) return {};
  if (purpose === 'training')
    return { OMP_NUM_THREADS: String(Math.max(1, Math.floor(availableParallelism() / count))) };
  // More threads than processors must not wait for each other by spinning.
  return { OMP_WAIT_POLICY: process.env.OMP_WAIT_POLICY ?? 'passive' };
}
