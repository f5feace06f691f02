// Detecting in several processes at once (Detectron's multi-gpu testing). Every picture is a batch of its own and every
// process computes with the same number of threads, so the result does not depend on how many processes there are.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Detection, InputError, type InputErrorCode } from '@goshawk/core';
import type { DetectionReceiver, EvalJob } from './eval-job.js';
import type { ProcessJob, ProcessReport, SentError } from './eval-process.js';

// The engine sums in another order with another number of threads: the last digits would depend on it.
const THREADS = 1;

/**
 * Detects in the pictures of a job; the receiver gets each as it is done. With the device `cuda` process i takes `cuda:i`.
 * @throws what a process failed with; all others have ended then
 */
export async function detectInProcesses(
  job: EvalJob,
  options: {
    readonly processes: number;
    /** Pictures of the job. */
    readonly pictures: number;
    readonly receiver: DetectionReceiver;
  },
): Promise<void> {
  const { pictures, receiver } = options;
  const count = Math.min(options.processes, pictures);
  const children: ChildProcess[] = [];
  let isReady = false;
  const onReady = (): void => {
    if (!isReady) receiver.onReady();
    isReady = true;
  };
  const work = Array.from({ length: count }, async (_, index) => {
    const child = fork(fileURLToPath(new URL('./eval-process.js', import.meta.url)), {
      // A debugger's port and a profile's file can be one process's only.
      execArgv: [],
      serialization: 'advanced',
    });
    children.push(child);
    const name = `process ${index + 1} of ${count}`;
    await ended(child, jobOf(job, index, count), { name, receiver: { ...receiver, onReady } });
  });
  try {
    await Promise.all(work);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.allSettled(work);
  }
}

function jobOf(job: EvalJob, index: number, count: number): ProcessJob {
  const { runtime, inference } = job.config;
  const device = runtime.device === 'cuda' ? `cuda:${index}` : runtime.device;
  const threads = runtime.threads > 0 ? runtime.threads : THREADS;
  // The config's is that of all processes together.
  const batchSize = Math.max(1, Math.floor(inference.batchSize / count));
  const config = {
    ...job.config,
    runtime: { ...runtime, device, threads },
    inference: { ...inference, batchSize },
  };
  return { ...job, config, share: { index, count } };
}

interface Watcher {
  readonly name: string;
  readonly receiver: DetectionReceiver;
}

/** Resolves when the process has done its job; rejects when it fails, or ends before. */
function ended(child: ChildProcess, job: ProcessJob, { name, receiver }: Watcher): Promise<void> {
  return new Promise((resolve, reject) => {
    let pictures = 0;
    let isDone = false;
    const take = (report: ProcessReport): void => {
      switch (report.kind) {
        case 'ready':
          receiver.onReady();
          break;
        case 'found':
          pictures += 1;
          receiver.onFound(report.picture, report.detections as readonly Detection[]);
          break;
        case 'unusable':
          pictures += 1;
          receiver.onUnusable(report.picture, inputErrorOf(report.error));
          break;
        case 'failed':
          reject(errorOf(report.error));
          break;
        case 'done':
          isDone = true;
          resolve();
          break;
      }
    };
    child.on('message', (report: ProcessReport) => {
      try {
        take(report);
      } catch (error) {
        // What the receiver cannot take ends the work.
        reject(error);
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

function errorOf(sent: SentError): Error {
  if (sent.name === 'InputError') return inputErrorOf(sent);
  const error = new Error(sent.message);
  error.name = sent.name;
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}

function inputErrorOf({ code, message }: SentError): InputError {
  return new InputError((code ?? 'usage') as InputErrorCode, message);
}
