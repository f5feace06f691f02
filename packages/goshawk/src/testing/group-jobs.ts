// Jobs for several processes that meet over loopback: a script answers them, a test compares what they find.
import { type ChildProcess, fork } from 'node:child_process';
import { on, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { hostStore, openProcessGroup, type ProcessGroup, setProcessGroup } from '@goshawk/torch';

const SIZE = 2;
const TIMEOUT_MS = 400_000;

/** Two processes of one group, which do one job after the other. */
export interface Pair {
  /** What the two give back, by rank. After a job that failed they do no other. */
  run<Value>(job: string, data: unknown): Promise<Value[]>;
  end(): void;
}

interface Job {
  readonly job: string;
  readonly data: unknown;
}

/** Starts a script, which calls {@link answerJobs}, in two processes: they have the engine loaded for all jobs of a file of tests. */
export async function startPair(script: URL): Promise<Pair> {
  const children = Array.from({ length: SIZE }, (_, rank) =>
    fork(fileURLToPath(script), [String(rank)], { serialization: 'advanced' }),
  );
  // Its port is what the first says first.
  const [port] = (await once(children[0]!, 'message')) as [Port];
  for (const other of children.slice(1)) other.send(port);
  return {
    run: <Value>(job: string, data: unknown) =>
      Promise.all(
        children.map((child, rank) => {
          const answer = answerOf<Value>(child, rank);
          child.send({ job, data } satisfies Job);
          return answer;
        }),
      ),
    end: () => {
      for (const child of children) child.kill();
    },
  };
}

interface Port {
  readonly port: number;
}
type Answer<Value> = { readonly value: Value } | { readonly error: string };

function answerOf<Value>(child: ChildProcess, rank: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`rank ${rank} ended with ${signal ?? code}`));
    const onMessage = (answer: Answer<Value> | Port): void => {
      if ('port' in answer) return;
      child.off('exit', onExit);
      child.off('message', onMessage);
      if ('error' in answer) reject(new Error(`rank ${rank}: ${answer.error}`));
      else resolve(answer.value);
    };
    child.on('exit', onExit);
    child.on('message', onMessage);
  });
}

/** In such a process: joins the other and does what is asked for. */
export async function answerJobs(jobs: Readonly<Record<string, (group: ProcessGroup, data: never) => unknown>>) {
  const rank = Number(process.argv[2]);
  const messages = on(process, 'message') as AsyncIterableIterator<[unknown]>;
  const next = async (): Promise<unknown> => (await messages.next()).value[0];
  const host = '127.0.0.1';
  const store = rank === 0 ? hostStore(host) : undefined;
  if (store) process.send!({ port: store.port } satisfies Port);
  const { port } = store ?? ((await next()) as Port);
  const group = openProcessGroup({ rank, size: SIZE, host, port, timeoutMs: TIMEOUT_MS, store });
  setProcessGroup(group);
  for (;;) {
    const { job, data } = (await next()) as Job;
    let answer: Answer<unknown>;
    try {
      answer = { value: jobs[job]!(group, data as never) };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.send!(answer);
  }
}
