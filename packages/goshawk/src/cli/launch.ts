// goshawk launch: the ranks of a command on this machine, of several machines that work together.
import { InputError } from '@goshawk/core';
import { freePort, LOOPBACK } from '../processes/index.js';
import { devicesOf, rankEnvironment, supervise, timeoutOf } from './in-ranks.js';
import { isLaunched, type Launched } from './launch-words.js';
import { wholeNumber } from './parse-option.js';

/** torchrun's words stand beside ours. */
export interface LaunchCommandOptions {
  readonly nodes?: string;
  readonly nnodes?: string;
  readonly nodeRank?: string;
  readonly master?: string;
  readonly masterAddr?: string;
  readonly masterPort?: string;
  readonly rdzvEndpoint?: string;
  readonly nprocPerNode?: string;
  /** The command's own stands behind it. */
  readonly devices?: string;
  readonly timeout?: string;
}

const PURPOSES = {
  train: 'training',
  eval: 'prediction',
  predict: 'prediction',
} as const satisfies Record<Launched, string>;

/** torchrun's. */
const DEFAULT_PORT = 29_500;
const MOST_NODES = 4096;

/** @param words the command with its arguments, without `goshawk` */
export async function runLaunch(words: readonly string[], options: LaunchCommandOptions): Promise<void> {
  const [command = ''] = words;
  if (!isLaunched(command))
    throw new InputError(
      'usage',
      `launch ${command}: expected train, eval or predict behind --, such as goshawk launch --nodes 2 --node-rank 0 --master 10.0.0.1:29500 -- train config.yaml`,
    );
  const purpose = PURPOSES[command];
  const nodes = wholeNumber('--nodes', options.nodes ?? options.nnodes ?? '1', 1, MOST_NODES);
  const nodeRank = nodeRankOf(options, nodes);
  const devices = await devicesOfNode(words, options);
  const master = await masterOf(options, nodes);
  const localSize = devices.length;
  const size = nodes * localSize;
  await supervise({
    args: words,
    environment: rankEnvironment(purpose, localSize),
    timeoutSeconds: timeoutOf({ timeout: options.timeout ?? optionOf(words, '--timeout') }),
    ranks: devices.map((device, localRank) => ({
      ...(device !== undefined && { device }),
      place: { rank: nodeRank * localSize + localRank, size, localRank, localSize, ...master },
    })),
  });
}

function nodeRankOf({ nodeRank }: LaunchCommandOptions, nodes: number): number {
  if (nodeRank !== undefined) return wholeNumber('--node-rank', nodeRank, 0, nodes - 1);
  if (nodes === 1) return 0;
  throw new InputError('usage', `--node-rank: is missing: number the ${nodes} machines 0 to ${nodes - 1}`);
}

/** The device of each process here; undefined: what the config says. */
async function devicesOfNode(
  words: readonly string[],
  { nprocPerNode, devices: general }: LaunchCommandOptions,
): Promise<readonly (string | undefined)[]> {
  const named = optionOf(words, '--devices') ?? general ?? (nprocPerNode === 'gpu' ? 'cuda' : undefined);
  const isCounted = nprocPerNode !== undefined && nprocPerNode !== 'gpu';
  const count = isCounted ? wholeNumber('--nproc-per-node', nprocPerNode, 1, 256) : undefined;
  if (named === undefined) return Array.from({ length: count ?? 1 }, () => undefined);
  const devices = await devicesOf(named);
  if (count !== undefined && count !== devices.length)
    throw new InputError(
      'usage',
      `--nproc-per-node ${count}: --devices ${named} names ${devices.length}: leave out one of them`,
    );
  return devices;
}

async function masterOf(
  { master, rdzvEndpoint, masterAddr, masterPort }: LaunchCommandOptions,
  nodes: number,
): Promise<{ readonly host: string; readonly port: number }> {
  const text =
    master ?? rdzvEndpoint ?? (masterAddr === undefined ? undefined : `${masterAddr}:${masterPort ?? DEFAULT_PORT}`);
  if (text === undefined) {
    if (nodes === 1) return { host: LOOPBACK, port: await freePort() };
    throw new InputError('usage', '--master: is missing: name the address of the machine of --node-rank 0, HOST:PORT');
  }
  // An address of version 6 holds colons of its own: [::1]:29500.
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new InputError('usage', `--master ${text}: expected HOST:PORT, such as 10.0.0.1:29500`);
  return { host, port: wholeNumber('--master', port ?? String(DEFAULT_PORT), 1, 65_534) };
}

/** The value of an option among words: `--devices cpu:2` or `--devices=cpu:2`. */
function optionOf(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  if (at >= 0) return words[at + 1];
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}
