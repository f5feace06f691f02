// How much memory a process may still take, and the most that it took during some work.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, deviceMemory, releaseDeviceMemory, trimMemory, zeros } from '@goshawk/torch';

/** Of a device, in bytes. */
export interface MemoryGauge {
  /** What the process has there now. */
  readonly used: number;
  /** What it could have beside that. */
  readonly free: number;
  /** The most that it has while the work is done, what it had before included. */
  mostDuring(work: () => Promise<void>): Promise<number>;
}

/** undefined where the machine or the engine does not tell. */
export function memoryGauge(device: Device): MemoryGauge | undefined {
  return device === 'cpu' ? hostGauge() : cardGauge(device);
}

function hostGauge(): MemoryGauge | undefined {
  trimMemory();
  const free = freeHostMemory();
  if (free === undefined || !forgetPeak()) return undefined;
  return {
    used: process.memoryUsage.rss(),
    free,
    async mostDuring(work) {
      trimMemory();
      forgetPeak();
      await work();
      return kilobytes('/proc/self/status', 'VmHWM') ?? process.memoryUsage.rss();
    },
  };
}

function cardGauge(device: Device): MemoryGauge | undefined {
  // Only a thread that has worked on a card is told.
  zeros([1], { device }).dispose();
  if (!releaseDeviceMemory(device)) return undefined;
  const { free, reserved } = deviceMemory(device);
  return {
    used: reserved,
    free,
    async mostDuring(work) {
      releaseDeviceMemory(device);
      await work();
      return deviceMemory(device).mostReserved;
    },
  };
}

/** Linux counts the most resident memory of a process anew when this is written (proc_pid_clear_refs(5)). */
function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}

/**
 * Bytes that this process could take without another giving anything up: of the machine, and within its control groups (version
 * 1 or 2), whose page cache counts as free as far as it was not used lately.
 * @param root where the system's files are
 * @returns undefined where there is no /proc/meminfo
 */
export function freeHostMemory(root = '/'): number | undefined {
  const ofMachine = kilobytes(join(root, 'proc/meminfo'), 'MemAvailable');
  return ofMachine === undefined ? undefined : Math.max(0, Math.min(ofMachine, ...freeInGroups(root)));
}

function freeInGroups(root: string): number[] {
  const lines = textOf(join(root, 'proc/self/cgroup'))?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isSecond = line.startsWith('0::');
    if (!isSecond && !controllers.split(',').includes('memory')) return [];
    const mount = join(root, 'sys/fs/cgroup', isSecond ? '' : 'memory');
    // In a container the path may be that outside of it, and the group be mounted as the root.
    const names = existsSync(join(mount, path)) ? path.split('/').filter((name) => name !== '') : [];
    const groups = [mount, ...names.map((_, i) => join(mount, ...names.slice(0, i + 1)))];
    return groups.flatMap((group) => freeInGroup(group, isSecond) ?? []);
  });
}

/** undefined where the group has no limit. */
function freeInGroup(folder: string, isSecond: boolean): number | undefined {
  const number = (name: string): number => Number.parseInt(textOf(join(folder, name)) ?? '', 10);
  const limit = number(isSecond ? 'memory.max' : 'memory.limit_in_bytes');
  const used = number(isSecond ? 'memory.current' : 'memory.usage_in_bytes');
  if (!Number.isFinite(limit) || !Number.isFinite(used)) return undefined;
  const stat = textOf(join(folder, 'memory.stat')) ?? '';
  const cache = new RegExp(`^${isSecond ? '' : 'total_'}inactive_file (\\d+)$`, 'm').exec(stat)?.[1] ?? '0';
  return limit - used + Number(cache);
}

function kilobytes(file: string, name: string): number | undefined {
  const value = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(textOf(file) ?? '')?.[1];
  return value === undefined ? undefined : Number(value) * 1024;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
