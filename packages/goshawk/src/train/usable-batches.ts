// Batches in which there is something to learn from: pictures that cannot be used are told of once each, and left out.
import { InputError } from '@goshawk/core';
import type { BatchFeed, FedBatch } from '../infer/batch-feed.js';
import type { DeviceBatch } from '../infer/network-batch.js';
import { sumsOver } from './share-progress.js';
import type { TrainOptions } from './train-options.js';

export interface UsableBatchesParts {
  readonly options: Pick<TrainOptions, 'group' | 'observer' | 'signal'>;
  /** Batches with targets, without end. */
  readonly feed: BatchFeed;
  /** Pictures of the data set. */
  readonly pictures: number;
}

export interface UsableBatch extends FedBatch {
  readonly tensors: DeviceBatch;
  /** Pictures of all processes' parts. */
  readonly images: number;
}

export class UsableBatches {
  readonly #parts: UsableBatchesParts;
  /** Pictures that could not be used since the last that could, and all that were told of. */
  #unusable = 0;
  readonly #told = new Set<string>();
  #isStopAgreed = false;

  constructor(parts: UsableBatchesParts) {
    this.#parts = parts;
  }

  /** Whether a process of the group had got a signal when it asked for a batch. */
  get isStopAgreed(): boolean {
    return this.#isStopAgreed;
  }

  /**
   * The next batch in which there is a picture, of several processes in each one's part.
   * @throws InputError where no picture of the whole data set can be used
   */
  async next(): Promise<UsableBatch> {
    const { feed, options } = this.#parts;
    const { group } = options;
    // Each process meets its share of them.
    const pictures = Math.ceil(this.#parts.pictures / (group?.size ?? 1));
    for (;;) {
      const fed = await feed.next();
      if (fed === undefined) throw new Error('internal: the training loader came to an end');
      for (const { error } of fed.batch.leftOut) {
        if (!this.#told.has(error.message)) options.observer?.onWarning?.(`${error.message}; left out`);
        this.#told.add(error.message);
        this.#unusable += 1;
        if (this.#unusable >= pictures)
          throw new InputError('image-invalid', `${error.message} (and so is every other picture)`);
      }
      const { tensors, batch } = fed;
      const count = batch.images.length;
      const own = [Number(count === 0), count, Number(options.signal?.aborted === true)];
      const [empty, images, stops] = group ? sumsOver(group, own) : own;
      // Asked along with this, and heeded after the step.
      if (stops! > 0) this.#isStopAgreed = true;
      if (count > 0) this.#unusable = 0;
      // A process without a picture has nothing to compute with the others: all of them pass over the batch.
      if (tensors !== undefined && empty === 0) return { ...fed, tensors, images: images! };
      fed.release();
    }
  }
}
