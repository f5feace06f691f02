// Two machines for tests: network namespaces that a cable connects. Linux, for those who may make them.
import { execFileSync } from 'node:child_process';

export interface TwoMachines {
  /** What stands before a command to run it on a machine. */
  readonly on: readonly [readonly string[], readonly string[]];
  /** Of the first machine, on the cable. */
  readonly address: string;
  /** Pulls the cable, or puts it in again. */
  connect(isConnected: boolean): void;
  remove(): void;
}

/** @returns undefined where they may not be made, with the reason in words */
export function makeTwoMachines(): TwoMachines | { readonly refused: string } {
  // Names of this process's own: tests of other programs may have theirs.
  const names = [0, 1].map((index) => `gk${process.pid}-${index}`) as [string, string];
  const remove = (): void => {
    for (const name of names) tryIp('netns', 'del', name);
  };
  try {
    for (const name of names) ip('netns', 'add', name);
    ip('link', 'add', 'cable', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'cable', 'netns', names[1]);
    for (const [index, name] of names.entries()) {
      ip('-n', name, 'addr', 'add', `10.77.0.${index + 1}/24`, 'dev', 'cable');
      ip('-n', name, 'link', 'set', 'cable', 'up');
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
  } catch (error) {
    remove();
    return { refused: `needs iproute2 and the right to make network namespaces (${firstLine(error)})` };
  }
  return {
    on: [
      ['ip', 'netns', 'exec', names[0]],
      ['ip', 'netns', 'exec', names[1]],
    ],
    address: '10.77.0.1',
    connect: (isConnected) => ip('-n', names[1], 'link', 'set', 'cable', isConnected ? 'up' : 'down'),
    remove,
  };
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function tryIp(...words: readonly string[]): void {
  try {
    ip(...words);
  } catch {
    // It was never made.
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .trim()
    .split('\n')
    .at(-1)!;
}
