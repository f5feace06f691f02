// Jobs for several processes that meet over loopback: a script answers them, a test compares what they find.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { hostStore, openProcessGroup, type ProcessGroup, setProcessGroup } from '@goshawk/torch';

const SIZE = 2;
const TIMEOUT_MS = 400_000;

/** Runs a job of a script, which calls {@link answerJobs}, in two processes; what they give back, by rank. */
export async function runInTwo<Value>(script: URL, job: string, data: unknown): Promise<Value[]> {
  const children = Array.from({ length: SIZE }, () => fork(fileURLToPath(script), { serialization: 'advanced' }));
  const results = children.map(
    (child, rank) =>
      new Promise<Value>((resolve, reject) => {
        child.on('message', (message: { port?: number; value?: Value; error?: string }) => {
          if (message.port !== undefined) for (const other of children.slice(1)) other.send({ port: message.port });
          if (message.error !== undefined) reject(new Error(`rank ${rank}: ${message.error}`));
          if ('value' in message) resolve(message.value!);
        });
        child.on('exit', (code, signal) => reject(new Error(`rank ${rank} ended with ${signal ?? code}`)));
        child.send({ job, rank, data });
      }),
  );
  return Promise.all(results);
}

/** In such a process: joins the other and does what is asked for. */
export async function answerJobs(jobs: Readonly<Record<string, (group: ProcessGroup, data: never) => unknown>>) {
  const { job, rank, data } = await nextMessage<{ job: string; rank: number; data: unknown }>();
  const host = '127.0.0.1';
  const store = rank === 0 ? hostStore(host) : undefined;
  if (store) process.send!({ port: store.port });
  const { port } = store ?? (await nextMessage<{ port: number }>());
  let answer: { value: unknown } | { error: string };
  try {
    const group = openProcessGroup({ rank, size: SIZE, host, port, timeoutMs: TIMEOUT_MS, store });
    setProcessGroup(group);
    answer = { value: jobs[job]!(group, data as never) };
    group.close();
  } catch (error) {
    answer = { error: String(error) };
  }
  process.send!(answer, () => process.exit(0));
}

function nextMessage<Message>(): Promise<Message> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as Message)));
}
