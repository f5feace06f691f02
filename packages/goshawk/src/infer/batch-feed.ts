// A loader's batches on their way to the device that the model is on, on a card one ahead of the step that needs it.
import { setImmediate } from 'node:timers/promises';
import { type Device, keep, scope, Tensor } from '@goshawk/torch';
import type { Batch, Loader } from '../data/index.js';
import { type DeviceBatch, type DeviceBatchOptions, deviceBatchOf } from './network-batch.js';

export interface BatchFeedOptions extends DeviceBatchOptions {
  /** Where the model is. */
  readonly device: Device;
  /** Whether batches bring their targets. */
  readonly targets: boolean;
  /** Whether lookAhead() does anything: it costs the memory of a batch. Default: on all devices but the CPU. */
  readonly ahead?: boolean;
}

/** A batch with its tensors, to be released. */
export interface FedBatch {
  /** As the loader gave it; its pixels may be gone. */
  readonly batch: Batch;
  /** Absent where the batch has no picture. */
  readonly tensors?: DeviceBatch;
  /** Frees the tensors, and gives the loader its memory back. */
  release(): void;
}

/** What the loader came to, and where it stood then. */
interface Fetched {
  readonly fed: FedBatch | undefined;
  readonly state: ReturnType<Loader['state']>;
}

export class BatchFeed {
  readonly #loader: Loader;
  readonly #options: BatchFeedOptions;
  readonly #gathered: boolean;
  readonly #ahead: boolean;
  #next: Promise<Fetched> | undefined;
  #state: Fetched['state'];

  constructor(loader: Loader, options: BatchFeedOptions) {
    this.#loader = loader;
    this.#options = options;
    this.#gathered = options.gathered ?? options.device !== 'cpu';
    this.#ahead = options.ahead ?? options.device !== 'cpu';
    this.#state = loader.state();
  }

  /** What a loader needs as `startAt` to go on after the last batch that next() gave out, whatever was fetched since. */
  state(): ReturnType<Loader['state']> {
    return this.#state;
  }

  /** The next batch; undefined behind the last. @throws what is wrong with it, in its turn */
  async next(): Promise<FedBatch | undefined> {
    const fetching = this.#next ?? this.#fetch();
    this.#next = undefined;
    const { fed, state } = await fetching;
    this.#state = state;
    return fed;
  }

  /**
   * To be called while the device has work to do: asks for the batch after the last one, and sends it on its way if it is ready.
   * Does not wait for one that is not.
   */
  async lookAhead(): Promise<void> {
    if (!this.#ahead) return;
    this.#next ??= this.#fetch();
    // What is wrong with it is told when it is asked for; it may never be.
    this.#next.catch(() => undefined);
    // Messages of the workers that lie there are taken now.
    await setImmediate();
  }

  /** Frees a batch that was fetched and not asked for; the loader is closed by whoever made it. */
  async close(): Promise<void> {
    const left = this.#next;
    this.#next = undefined;
    const fetched = await left?.catch(() => undefined);
    fetched?.fed?.release();
  }

  async #fetch(): Promise<Fetched> {
    const { done, value: batch } = await this.#loader.next();
    const state = this.#loader.state();
    return { fed: done ? undefined : this.#feed(batch), state };
  }

  #feed(batch: Batch): FedBatch {
    if (batch.images.length === 0) return { batch, release: () => batch.release() };
    const { device, targets } = this.#options;
    try {
      const shown = targets ? batch : { ...batch, targets: [] };
      const tensors = keep(scope(() => deviceBatchOf(shown, device, { gathered: this.#gathered })));
      // What was gathered is read already: the workers need not wait for the card.
      if (this.#gathered) batch.release();
      return {
        batch,
        tensors,
        release: () => {
          for (const tensor of tensorsOf(tensors)) tensor.dispose();
          batch.release();
        },
      };
    } catch (error) {
      batch.release();
      throw error;
    }
  }
}

function tensorsOf({ images: { pixels, frames, turnKeys, proposals = [] }, targets }: DeviceBatch): Tensor[] {
  const objects = targets.flatMap(({ boxes, labels, masks, keypoints }) => [
    boxes,
    labels,
    masks?.pixels,
    masks?.crops,
    keypoints,
  ]);
  return [pixels, frames, turnKeys, ...proposals, ...objects].filter((tensor) => tensor instanceof Tensor);
}
