// Where pictures are prepared: in worker threads, or on this one. Requests wait in the workers' own queues, because the
// main thread is busy inside training steps and could not hand them out one by one.
import { Worker } from 'node:worker_threads';
import { prepareSample, type SampleRequest, type SampleResult } from './prepare-sample.js';

export interface SampleRunner {
  /** Resolves with the result, whatever happened to the picture; rejects only where the worker itself is lost. */
  run(request: SampleRequest): Promise<SampleResult>;
  /** Drops what has not begun and resolves when nothing runs any more. What was dropped resolves with an error. */
  close(): Promise<void>;
}

/** Pictures worked on at once by a thread: one is decoded (in native code) while another is resized. */
export const samplesAtOnce = 2;

/** A runner with `workers` threads; 0 does the work on the calling thread. */
export function createSampleRunner(workers: number): SampleRunner {
  return workers === 0 ? inProcessRunner() : threadRunner(workers);
}

const dropped: SampleResult = { error: { message: 'internal: the loader was closed' } };

/** Runs at most {@link samplesAtOnce} requests at a time, in order. */
export function inProcessRunner(): SampleRunner {
  const waiting: (() => void)[] = [];
  let running = 0;
  let closed = false;
  const finished: (() => void)[] = [];
  return {
    async run(request) {
      if (running >= samplesAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
      else running++;
      // A place is handed from the one who leaves to the one who waits, so `running` stays.
      try {
        return closed ? dropped : await prepareSample(request);
      } finally {
        const next = waiting.shift();
        if (next !== undefined) next();
        else if (--running === 0) for (const resolve of finished.splice(0)) resolve();
      }
    },
    async close() {
      closed = true;
      if (running > 0) await new Promise<void>((resolve) => finished.push(resolve));
    },
  };
}

/** To a worker: one request, or undefined to stop. */
export interface WorkerRequest {
  readonly id: number;
  readonly sample: SampleRequest;
}
export interface WorkerReply {
  readonly id: number;
  readonly result: SampleResult;
}
export interface WorkerSetup {
  /** One integer of shared memory: 1 tells the worker to drop what it has not begun. */
  readonly stop: Int32Array;
}

function threadRunner(count: number): SampleRunner {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const threads = Array.from({ length: count }, () => startThread(stop));
  return {
    run(request) {
      // The first of the least loaded: results do not depend on which.
      const thread = threads.reduce((best, candidate) => (candidate.load() < best.load() ? candidate : best));
      return thread.run(request);
    },
    async close() {
      Atomics.store(stop, 0, 1);
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

// A worker's own objects are few: pixels and masks lie outside of V8's heap. Left alone, V8 takes 8 MB more after a
// thousand steps, for each worker.
const YOUNG_GENERATION_MB = 6;

function startThread(stop: Int32Array): SampleRunner & { load(): number } {
  const setup: WorkerSetup = { stop };
  const worker = new Worker(new URL('./loader-worker.js', import.meta.url), {
    workerData: setup,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  const pending = new Map<number, { resolve(result: SampleResult): void; reject(error: Error): void }>();
  let nextId = 0;
  let lost: Error | undefined;
  let closing = false;
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const fail = (reason: string, cause?: unknown) => {
    lost ??= new Error(`internal: a data worker stopped: ${reason}`, { cause });
    for (const { reject } of pending.values()) reject(lost);
    pending.clear();
  };
  worker.on('message', ({ id, result }: WorkerReply) => {
    const waiting = pending.get(id);
    pending.delete(id);
    // A thread without work does not keep the process alive.
    if (pending.size === 0 && !closing) worker.unref();
    waiting?.resolve(result);
  });
  worker.on('error', (error) => fail(error.message, error));
  worker.on('exit', (code) => fail(`exit code ${code}`));
  worker.unref();
  return {
    load: () => pending.size,
    run(sample) {
      if (lost !== undefined) return Promise.reject(lost);
      const id = nextId++;
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.ref();
        const request: WorkerRequest = { id, sample };
        worker.postMessage(request);
      });
    },
    async close() {
      closing = true;
      worker.ref();
      worker.postMessage(undefined);
      await exited;
    },
  };
}
