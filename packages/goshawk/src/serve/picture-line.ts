// The way of pictures through a server: a bounded queue, the thread that decodes, the thread that detects. The main thread passes them
// on and is never at work on one itself.
import { Worker } from 'node:worker_threads';
import { InputError } from '@goshawk/core';
import { Refusal, type RefusalFacts } from './refusal.js';
import type {
  DecodeSetup,
  DetectorSetup,
  FoundMessage,
  FromDecoder,
  FromDetector,
  ModelFacts,
  ToDecoder,
  ToDetector,
} from './thread-messages.js';

export interface LinePicture extends Omit<ToDetector, 'id' | 'image'> {
  readonly bytes: Uint8Array;
}

export interface FoundPicture extends FoundMessage {
  readonly fileName: string;
  readonly decodeMs: number;
}

export interface PictureLineOptions {
  readonly detector: DetectorSetup;
  readonly maxPixels: number;
  /** Pictures that may wait. */
  readonly queue: number;
}

/** Beyond the queue: one in the network, one decoded for it, one being decoded. More would only hold memory. */
const INSIDE = 3;

interface Job {
  readonly id: number;
  readonly picture: LinePicture;
  readonly done: (found: FoundPicture) => void;
  readonly fail: (refusal: Refusal) => void;
  decodeMs: number;
  /** Nobody waits for it any more. */
  isGone: boolean;
}

export class PictureLine {
  readonly #decoder: Worker;
  readonly #detector: Worker;
  /** When both threads have ended, of themselves too. */
  readonly #ended: Promise<unknown>;
  readonly #waiting: Job[] = [];
  readonly #inside = new Map<number, Job>();
  readonly #queue: number;
  #facts: ModelFacts | undefined;
  #broken: Refusal | undefined;
  #nextId = 0;
  /** Seconds between answers while the line is busy, a running mean. */
  #pace = 0;
  #lastFound = 0;
  /** What the detector is, once it is open. @throws InputError where it cannot be opened */
  readonly opened: Promise<ModelFacts>;
  /** Is told when a thread has ended by an error: nothing is detected from then on. */
  onBroken: (error: Error) => void = () => undefined;

  constructor({ detector, maxPixels, queue }: PictureLineOptions) {
    this.#queue = queue;
    this.#decoder = thread(new URL('./decode-worker.js', import.meta.url), { maxPixels } satisfies DecodeSetup);
    this.#detector = thread(new URL('./detect-worker.js', import.meta.url), detector);
    const threads = [this.#decoder, this.#detector];
    this.#ended = Promise.all(threads.map((worker) => new Promise((done) => worker.once('exit', done))));
    this.#decoder.on('message', (message: FromDecoder) => this.#fromDecoder(message));
    this.opened = new Promise((open, fail) => {
      this.#detector.on('message', (message: FromDetector) => {
        if (message.kind === 'open') {
          this.#facts = message.facts;
          open(message.facts);
        } else if (message.kind === 'unusable') fail(errorOf(message));
        else this.#fromDetector(message);
      });
      for (const worker of threads)
        worker.on('error', (error) => {
          this.#break(error);
          fail(error);
        });
    });
    this.opened.catch(() => undefined);
  }

  /** Pictures that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Pictures in the threads. */
  get inside(): number {
    return this.#inside.size;
  }

  /** @throws Refusal where so many more have no room */
  requireRoom(count: number): void {
    if (this.#broken) throw this.#broken;
    if (this.#facts === undefined)
      throw new Refusal({
        status: 503,
        code: 'not-ready',
        message: 'the model is being opened: wait for /readyz',
        headers: { 'retry-after': '1' },
      });
    const room = this.#queue + INSIDE - this.#waiting.length - this.#inside.size;
    if (count <= room) return;
    const seconds = Math.max(1, Math.ceil((this.#waiting.length + this.#inside.size) * this.#pace));
    throw new Refusal({
      status: 429,
      code: 'busy',
      message: `${this.#waiting.length} pictures wait (room for ${this.#queue}): try again in ${seconds} s`,
      headers: { 'retry-after': String(seconds) },
    });
  }

  /**
   * Detects in all pictures of a request. The first that is refused refuses them all.
   * @param signal says that nobody waits for them any more; the promise then stays as it is
   * @throws Refusal
   */
  async detect(pictures: readonly LinePicture[], signal: AbortSignal): Promise<FoundPicture[]> {
    this.requireRoom(pictures.length);
    const jobs: Job[] = [];
    const leave = (): void => {
      for (const job of jobs) job.isGone = true;
      this.#forget();
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      const found = pictures.map(
        (picture) =>
          new Promise<FoundPicture>((done, fail) => {
            jobs.push({ id: this.#nextId++, picture, done, fail, decodeMs: 0, isGone: signal.aborted });
          }),
      );
      this.#waiting.push(...jobs);
      this.#advance();
      return await Promise.all(found);
    } catch (error) {
      leave();
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /** Ends both threads, when they are done with what they have. */
  async close(): Promise<void> {
    for (const worker of [this.#decoder, this.#detector]) worker.postMessage('close');
    await this.#ended;
  }

  #forget(): void {
    const kept = this.#waiting.filter(({ isGone }) => !isGone);
    this.#waiting.splice(0, this.#waiting.length, ...kept);
  }

  #advance(): void {
    while (this.#inside.size < INSIDE) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#inside.set(job.id, job);
      const { bytes, fileName } = job.picture;
      const { exifOrientation } = this.#facts!;
      const message: ToDecoder = { id: job.id, bytes, fileName, exifOrientation };
      this.#decoder.postMessage(message, [bytes.buffer as ArrayBuffer]);
    }
  }

  #fromDecoder(message: FromDecoder): void {
    const job = this.#inside.get(message.id);
    if (job === undefined) return;
    if (message.kind !== 'decoded') this.#refuse(job, message);
    else if (job.isGone) this.#end(job);
    else {
      job.decodeMs = message.ms;
      const { bytes: _, ...picture } = job.picture;
      const toDetector: ToDetector = { ...picture, id: job.id, image: message.image };
      this.#detector.postMessage(toDetector, [message.image.data.buffer as ArrayBuffer]);
    }
  }

  #fromDetector(message: FromDetector & { readonly kind: 'found' | 'failed' }): void {
    const job = this.#inside.get(message.id);
    if (job === undefined) return;
    if (message.kind === 'failed') this.#refuse(job, message);
    else {
      this.#end(job);
      this.#keepPace();
      job.done({ ...message, fileName: job.picture.fileName, decodeMs: job.decodeMs });
    }
  }

  #keepPace(): void {
    const now = performance.now();
    const seconds = (now - this.#lastFound) / 1000;
    if (this.#lastFound > 0 && this.#waiting.length > 0)
      this.#pace = this.#pace === 0 ? seconds : 0.9 * this.#pace + 0.1 * seconds;
    this.#lastFound = now;
  }

  #refuse(job: Job, message: { readonly facts: RefusalFacts } | { readonly reason: string }): void {
    this.#end(job);
    const { fileName } = job.picture;
    if ('facts' in message) job.fail(new Refusal(message.facts));
    else {
      console.error(`goshawk serve: ${JSON.stringify(fileName)}: ${message.reason}`);
      job.fail(failure(`${fileName}: the detector failed: see the server's log`));
    }
  }

  #end(job: Job): void {
    this.#inside.delete(job.id);
    this.#advance();
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = failure('the detector has ended: start the server again');
    for (const job of [...this.#inside.values(), ...this.#waiting.splice(0)]) job.fail(this.#broken);
    this.#inside.clear();
    this.onBroken(error);
  }
}

function failure(message: string): Refusal {
  return new Refusal({ status: 500, code: 'failed', message });
}

function errorOf({ name, message, code }: FromDetector & { readonly kind: 'unusable' }): Error {
  if (code !== undefined) return new InputError(code, message);
  return Object.assign(new Error(message), { name });
}

function thread(file: URL, setup: DecodeSetup | DetectorSetup): Worker {
  return new Worker(file, { workerData: setup });
}
