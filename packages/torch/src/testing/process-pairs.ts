// Tests between processes: a script runs in several of them, which meet over loopback, and what each finds comes back.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  DistributedError,
  hostStore,
  openProcessGroup,
  type ProcessGroup,
  setProcessGroup,
} from '../distributed/index.js';

/** What the parent tells a child. */
interface Start {
  readonly job: string;
  readonly rank: number;
  readonly size: number;
  readonly timeoutMs: number;
  readonly data: unknown;
}

export interface Outcome<Value> {
  /** What the job gave back. */
  readonly value?: Value;
  readonly error?: { readonly name: string; readonly message: string; readonly ranks?: readonly number[] };
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From the job's begin to its end. */
  readonly seconds: number;
}

export interface RunOptions {
  /** Default 2. */
  readonly size?: number;
  /** What each process is told that it is. Default: its number, of `size`. */
  readonly places?: readonly { readonly rank: number; readonly size: number }[];
  /** Of the group. Default a minute. */
  readonly timeoutMs?: number;
  /** Goes to the jobs. */
  readonly data?: unknown;
  /** Is given each child as it starts. */
  readonly onStart?: (child: ChildProcess, rank: number) => void;
  /** Is given what jobs report() on their way. */
  readonly onReport?: (child: ChildProcess, rank: number, report: unknown) => void;
}

/** Runs one job of a script, which calls {@link answerJobs}, in every process; outcomes by rank. */
export async function runProcesses<Value>(
  script: URL,
  job: string,
  {
    size = 2,
    places = Array.from({ length: size }, (_, rank) => ({ rank, size })),
    timeoutMs = 60_000,
    data,
    onStart,
    onReport,
  }: RunOptions = {},
): Promise<Outcome<Value>[]> {
  const children = places.map(() => fork(fileURLToPath(script), { serialization: 'advanced' }));
  const ends = children.map((child, rank) => {
    onStart?.(child, rank);
    child.send({ job, ...places[rank]!, timeoutMs, data } satisfies Start);
    return new Promise<Outcome<Value>>((resolve) => {
      let outcome: Partial<Outcome<Value>> = {};
      child.on('message', (message: { port?: number; report?: unknown; outcome?: Outcome<Value> }) => {
        if (message.port !== undefined) for (const other of children.slice(1)) other.send({ port: message.port });
        if (message.report !== undefined) onReport?.(child, rank, message.report);
        if (message.outcome !== undefined) outcome = message.outcome;
      });
      child.on('exit', (code, signal) => resolve({ seconds: Number.NaN, ...outcome, code, signal }));
    });
  });
  return Promise.all(ends);
}

/** In a child: tells the parent something while the job goes on. */
export function report(value: unknown): void {
  process.send!({ report: value });
}

/** What a job is given: its group, which is the current one too, and the parent's data. */
export type Job = (group: ProcessGroup, data: never) => unknown;

/** In a child: joins the others and runs the job that the parent asks for. */
export async function answerJobs(jobs: Readonly<Record<string, Job>>): Promise<void> {
  const { job, rank, size, timeoutMs, data } = await nextMessage<Start>();
  const host = '127.0.0.1';
  const store = rank === 0 ? hostStore(host) : undefined;
  if (store) process.send!({ port: store.port });
  const { port } = store ?? (await nextMessage<{ port: number }>());
  let started = performance.now();
  let outcome: Omit<Outcome<unknown>, 'code' | 'signal'>;
  const seconds = (): number => (performance.now() - started) / 1000;
  try {
    const group = openProcessGroup({ rank, size, host, port, timeoutMs, ...(store ? { store } : {}) });
    setProcessGroup(group);
    started = performance.now();
    const value = await jobs[job]!(group, data as never);
    outcome = { value, seconds: seconds() };
    group.close();
  } catch (error) {
    const { name, message } = error as Error;
    const ranks = error instanceof DistributedError ? { ranks: error.ranks } : {};
    outcome = { error: { name, message, ...ranks }, seconds: seconds() };
  }
  process.send!({ outcome }, () => process.exit(0));
}

function nextMessage<Message>(): Promise<Message> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as Message)));
}
