// A training that is watched, to be killed at a moment of its own time: what its folder says does not hang on the machine's speed.
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { readMetricsLines } from './tiny-training.js';

const POLL_MS = 2;

/** The last iteration that metrics.jsonl has a complete line of; 0 where it has none. */
export function lastIteration(run: string): number {
  if (!existsSync(join(run, 'metrics.jsonl'))) return 0;
  return readMetricsLines(run, { afterKill: true }).at(-1)?.iteration ?? 0;
}

/** Waits until that iteration is logged, or the process ends. */
export async function untilIteration(child: ChildProcess, run: string, iteration: number): Promise<void> {
  while (child.exitCode === null && lastIteration(run) < iteration) await setTimeout(POLL_MS);
}

/** Iterations that there are checkpoints of under their final names, in order. */
export function checkpointsOf(run: string): number[] {
  const folder = join(run, 'checkpoints');
  if (!existsSync(folder)) return [];
  const found = readdirSync(folder).flatMap((name) => /^iteration-(\d+)\.safetensors$/.exec(name)?.[1] ?? []);
  return found.map(Number).sort((a, b) => a - b);
}

export function checkpointFile(run: string, iteration: number): string {
  return join(run, 'checkpoints', `iteration-${String(iteration).padStart(8, '0')}.safetensors`);
}
