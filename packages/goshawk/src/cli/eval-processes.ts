// Detecting in several processes at once (Detectron's multi-gpu testing). Every picture is a batch of its own and every
// process computes with the same number of threads, so the result does not depend on how many processes there are.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Detection, InputError, type InputErrorCode } from '@goshawk/core';
import type { EvalJob } from './eval-job.js';
import type { ProcessJob, ProcessReport } from './eval-process.js';

// The engine sums in another order with another number of threads: the last digits would depend on it.
const THREADS = 1;

/**
 * Detections of each of `pictures` pictures, in their order. With the device `cuda` process i takes `cuda:i`.
 * @throws what a process failed with; all others have ended then
 */
export async function detectInProcesses(
  job: EvalJob,
  options: {
    readonly processes: number;
    readonly pictures: number;
    readonly onProgress?: (done: number, total: number) => void;
  },
): Promise<(readonly Detection[])[]> {
  const { pictures, onProgress } = options;
  const count = Math.min(options.processes, pictures);
  const found: (readonly Detection[])[] = [];
  const children: ChildProcess[] = [];
  let done = 0;
  const work = Array.from({ length: count }, async (_, index) => {
    const child = fork(fileURLToPath(new URL('./eval-process.js', import.meta.url)), {
      // A debugger's port and a profile's file can be one process's only.
      execArgv: [],
      serialization: 'advanced',
    });
    children.push(child);
    await ended(child, jobOf(job, index, count), {
      name: `process ${index + 1} of ${count}`,
      onFound: (picture, detections) => {
        found[picture] = detections;
        onProgress?.(++done, pictures);
      },
    });
  });
  try {
    await Promise.all(work);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.allSettled(work);
  }
  return found;
}

function jobOf(job: EvalJob, index: number, count: number): ProcessJob {
  const { runtime } = job.config;
  const device = runtime.device === 'cuda' ? `cuda:${index}` : runtime.device;
  const threads = runtime.threads > 0 ? runtime.threads : THREADS;
  return { ...job, config: { ...job.config, runtime: { ...runtime, device, threads } }, share: { index, count } };
}

interface Watcher {
  readonly name: string;
  readonly onFound: (picture: number, detections: readonly Detection[]) => void;
}

/** Resolves when the process has done its job; rejects when it fails, or ends before. */
function ended(child: ChildProcess, job: ProcessJob, { name, onFound }: Watcher): Promise<void> {
  return new Promise((resolve, reject) => {
    let pictures = 0;
    let isDone = false;
    child.on('message', (report: ProcessReport) => {
      switch (report.kind) {
        case 'found':
          pictures += 1;
          onFound(report.picture, report.detections as readonly Detection[]);
          break;
        case 'failed':
          reject(errorOf(report));
          break;
        case 'done':
          isDone = true;
          resolve();
          break;
      }
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (isDone) return;
      const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
      reject(
        new Error(
          `${name} ${how} after ${pictures} pictures: use fewer --processes where memory was short, or look into the system's log`,
        ),
      );
    });
    child.send(job, (error) => error && reject(error));
  });
}

function errorOf({ name, code, message, stack }: Extract<ProcessReport, { kind: 'failed' }>): Error {
  if (name === 'InputError') return new InputError((code ?? 'usage') as InputErrorCode, message);
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
