// The page's end of a detector in a worker: the page stays quick while the network runs, and gets its memory back at the end.
import { type Detection, InputError, type RgbImage } from '@goshawk/core';
import type { CreateDetectorOptions, DetectOptions, OnnxDetector } from './create-detector.js';
import type { ModelDescription } from './model-description.js';
import type { ProbeReport } from './probe.js';
import { releasedError } from './released-error.js';
import type { AnswerOf, MessageEnd, RequestKind, SentError, WorkerAnswer, WorkerRequest } from './worker-messages.js';

/** What is used of a worker: a browser's `Worker` fits. */
export interface DetectorWorker extends MessageEnd {
  terminate(): void;
  addEventListener(type: 'message' | 'error', listener: (event: { readonly data?: unknown }) => void): void;
}

/**
 * A detector in a worker whose script calls `answerDetections`. Bytes and pictures are copied there. `release` ends the worker, which is
 * what gives the memory of WebAssembly back; so does a failure to open.
 * @throws InputError as `createDetector` does, and where the worker's script does not run
 */
export async function createDetectorInWorker(
  worker: DetectorWorker,
  bytes: Uint8Array,
  options: CreateDetectorOptions = {},
): Promise<OnnxDetector> {
  const calls = new WorkerCalls(worker);
  try {
    const description = await calls.ask('open', { bytes, options });
    return new RemoteDetector(calls, description);
  } catch (error) {
    calls.end();
    throw error;
  }
}

class RemoteDetector implements OnnxDetector {
  readonly description: ModelDescription;
  readonly #calls: WorkerCalls;

  constructor(calls: WorkerCalls, description: ModelDescription) {
    this.#calls = calls;
    this.description = description;
  }

  get categories(): ModelDescription['categories'] {
    return this.description.categories;
  }

  detect(images: readonly RgbImage[], options: DetectOptions = {}): Promise<Detection[][]> {
    return this.#calls.ask('detect', { images, options });
  }

  selfCheck(): Promise<ProbeReport> {
    return this.#calls.ask('check', {});
  }

  async release(): Promise<void> {
    this.#calls.end();
  }
}

type Fields<Kind extends RequestKind> = Omit<Extract<WorkerRequest, { kind: Kind }>, 'id' | 'kind'>;

class WorkerCalls {
  readonly #worker: DetectorWorker;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #next = 0;
  #ended: Error | undefined;

  constructor(worker: DetectorWorker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => this.#settle(data as WorkerAnswer));
    worker.addEventListener('error', () =>
      this.end(
        new InputError('usage', "the worker's script does not run: check its address, and what the console says of it"),
      ),
    );
  }

  ask<Kind extends RequestKind>(kind: Kind, fields: Fields<Kind>): Promise<AnswerOf[Kind]> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, kind, ...fields });
    });
  }

  end(reason: Error = releasedError()): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #settle(answer: WorkerAnswer): void {
    const call = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) call?.reject(errorOf(answer.error));
    else call?.resolve(answer.value as never);
  }
}

function errorOf({ message, code }: SentError): Error {
  return code === undefined ? new Error(message) : new InputError(code, message);
}
