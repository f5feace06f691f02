// Gradients summed over the processes of a group.
import type { Parameter } from '../nn/parameter.js';
import { native } from '../tensor/native.js';
import { groupNumber, type ProcessGroup, whileWaiting } from './process-group.js';

export interface GradientReducerOptions {
  /** Size of the pieces that gradients are sent in. Default 25 MiB (Li et al., PyTorch Distributed, 2020, section 5.3). */
  readonly bucketBytes?: number;
}

/** What a reduction found. */
export interface ReducedGradients {
  /** Parameters without a gradient in this process, though another has one: they counted as zeros here. */
  readonly missingHere: readonly string[];
  /** Parameters without a gradient in any process: they still have none. */
  readonly missingEverywhere: readonly string[];
}

/**
 * begin() before the last backward pass of a step, finish() after it. Between them, pieces are sent as soon as all their gradients are
 * there, which on a card is while the rest of the pass still computes; without begin(), all are sent in finish(). The gradients are
 * views of the pieces afterwards, and go with them when they are set to undefined.
 */
export class GradientReducer {
  readonly #names: readonly string[];
  readonly #number: number;
  readonly #group: ProcessGroup;

  /** The same parameters in the same order in every process; those that learn are the ones to give. */
  constructor(
    group: ProcessGroup,
    parameters: Iterable<readonly [string, Parameter]>,
    { bucketBytes = 25 * 2 ** 20 }: GradientReducerOptions = {},
  ) {
    this.#group = group;
    const named = [...parameters];
    this.#names = named.map(([name]) => name);
    const ids = named.map(([, { id }]) => id);
    this.#number = native.openBuckets(groupNumber(group), ids, bucketBytes, 'gradients');
  }

  begin(): void {
    native.beginBuckets(this.#number);
  }

  /** @param divisor the sums are divided by it. Default 1 */
  finish(divisor = 1): ReducedGradients {
    const missing = whileWaiting(this.#group, 'gradients', () => native.finishBuckets(this.#number, 1 / divisor));
    return {
      missingHere: missing.filter((index) => index >= 0).map((index) => this.#names[index]!),
      missingEverywhere: missing.filter((index) => index < 0).map((index) => this.#names[-1 - index]!),
    };
  }

  close(): void {
    native.closeBuckets(this.#number);
  }
}
