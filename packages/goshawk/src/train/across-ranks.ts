// One training in several processes: the same weights to begin with, and at every step the sum of what each computed of its part of
// the batch. Losses are divided by numbers of the whole batch (models/across-processes.ts), so that sums are all there is to take.
import { GradientReducer, noGrad, type ProcessGroup, shareState, type Tensor } from '@goshawk/torch';
import type { Detector } from '../models/index.js';

/** Every process calls the same methods at the same steps. */
export class AcrossRanks {
  readonly #group: ProcessGroup;
  readonly #reducer: GradientReducer;
  readonly #told = new Set<string>();

  /**
   * Gives every process rank 0's parameters and buffers.
   * @param group the current one, setProcessGroup()
   * @throws DistributedError naming the first tensor that is not the same kind everywhere
   */
  constructor(group: ProcessGroup, model: Detector) {
    this.#group = group;
    shareState(group, model);
    const learning = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
    this.#reducer = new GradientReducer(group, learning);
  }

  /** Before the last backward pass of a step: on a card gradients are sent while it computes. */
  begin(): void {
    if (this.#group.device !== 'cpu') this.#reducer.begin();
  }

  /**
   * After it, and before gradients are unscaled, clipped or used: each becomes the sum over all processes. Overflows of a scaled loss are
   * everywhere then, so that all scalers agree.
   * @returns a line for each parameter without a gradient that was not told of before
   */
  reduceGradients(): string[] {
    const { missingHere, missingEverywhere } = this.#reducer.finish();
    const lines = [
      ...missingHere.map((name) => `rank ${this.#group.rank}: no gradient of ${name}: it counts as zero there`),
      ...missingEverywhere.map((name) => `no gradient of ${name}: it does not learn`),
    ].filter((line) => !this.#told.has(line));
    for (const line of lines) this.#told.add(line);
    return lines;
  }

  /**
   * Overwrites this process's losses with those of the whole batch, and waits for the others as long as the group does: what was begun
   * on a card is done after it, and can be read.
   * @param names of the values, the same in all processes
   */
  reduceLosses(names: readonly string[], values: Tensor): void {
    const key = names.join(', ');
    if (!this.#told.has(key)) this.#group.agree(`losses ${key}`);
    this.#told.add(key);
    noGrad(() => this.#group.allReduce(values));
    this.#group.settle();
  }

  /** Whether any process says so: where one ends early all do, at the same step. */
  anySays(flag: boolean): boolean {
    return this.#group.allGatherBytes(Uint8Array.of(flag ? 1 : 0)).some(([said]) => said === 1);
  }

  close(): void {
    this.#reducer.close();
  }
}
