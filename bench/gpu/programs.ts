// Programs that a check starts: with a limit on their time, so that one that hangs takes no other's.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Ended {
  /** undefined where it was killed: its time was over. */
  readonly code: number | undefined;
  readonly lines: readonly string[];
  /** The end of what it wrote to standard error. */
  readonly errors: string;
}

export interface ProgramOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Seconds. */
  readonly limit: number;
  readonly onLine?: (line: string) => void;
}

/** A compiled program of this repository, as a path from bench/dist/gpu/. */
export function programPath(place: string): string {
  return fileURLToPath(new URL(place, import.meta.url));
}

/** Runs a Node program to its end, or to its limit. */
export function runProgram(args: readonly string[], { env, limit, onLine }: ProgramOptions): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines: string[] = [];
    let errors = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, limit * 1000);
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      onLine?.(line);
    });
    child.on('error', (error) => {
      errors += error.message;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      done({ code: timedOut ? undefined : (code ?? 1), lines, errors: errors.trim() });
    });
  });
}

/** Why a program ended before it was done, in one line. */
export function endOf({ code, errors }: Ended): string {
  if (code === undefined) return 'its time was over';
  const last = errors.split('\n').findLast((line) => line.trim() !== '' && !/^\s+at /.test(line));
  return `ended with ${code}${last === undefined ? '' : `: ${last.trim()}`}`;
}

/** Runs so many at a time, in order. */
export async function eachOf<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
