// How long the parts of a prediction take, picture by picture.
import { performance } from 'node:perf_hooks';

/** What a picture or a frame of a video goes through, in this order. */
const STAGES = ['decoding', 'pictures', 'network', 'post-processing', 'drawing', 'encoding'] as const;
export type Stage = (typeof STAGES)[number];

/**
 * pictures: decoding and preparing, or the waiting for what others decode ahead; network: the model with its suppression, and on a
 * card the waiting for it; post-processing: masks and boxes in the picture's pixels. Videos have their decoding and encoding, that is the
 * waiting for what does it, apart.
 */
export class StageTimes {
  readonly #milliseconds = new Map<Stage, number>();

  /** Runs `body` as a part of a stage. */
  during<T>(stage: Stage, body: () => T): T {
    const begun = performance.now();
    try {
      return body();
    } finally {
      this.add(stage, performance.now() - begun);
    }
  }

  async waiting<T>(stage: Stage, work: Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await work;
    } finally {
      this.add(stage, performance.now() - begun);
    }
  }

  add(stage: Stage, milliseconds: number): void {
    this.#milliseconds.set(stage, (this.#milliseconds.get(stage) ?? 0) + milliseconds);
  }

  /** Milliseconds so far. */
  of(stage: Stage): number {
    return this.#milliseconds.get(stage) ?? 0;
  }

  /** Such as `a picture takes 412 ms: pictures 3 ms, network 401 ms, post-processing 8 ms`. */
  describe(pictures: number): string {
    const whole = [...this.#milliseconds.values()].reduce((sum, value) => sum + value, 0);
    return `a picture takes ${formatMilliseconds(whole / pictures)} ms: ${this.describeEach(pictures)}`;
  }

  /** Such as `pictures 3 ms, network 401 ms`: for stages that run side by side, whose sum says nothing. */
  describeEach(pictures: number): string {
    const known = STAGES.filter((stage) => this.#milliseconds.has(stage));
    return known.map((stage) => `${stage} ${formatMilliseconds(this.of(stage) / pictures)} ms`).join(', ');
  }
}

function formatMilliseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
