// Where the time of a prediction goes, by stage.

/**
 * From a picture's file to its drawn one: decoding, resizing, the network, its boxes and masks in image pixels, drawing, writing. Stages
 * of films run side by side, so that together they may take longer than the film did.
 */
export const STAGES = ['decode', 'prepare', 'network', 'post', 'draw', 'encode'] as const;
export type Stage = (typeof STAGES)[number];

export class StageTimes {
  readonly #milliseconds = new Map<Stage, number>();

  add(stage: Stage, milliseconds: number): void {
    this.#milliseconds.set(stage, this.of(stage) + milliseconds);
  }

  /** Milliseconds so far. */
  of(stage: Stage): number {
    return this.#milliseconds.get(stage) ?? 0;
  }

  measure<T>(stage: Stage, work: () => T): T {
    const started = performance.now();
    try {
      return work();
    } finally {
      this.add(stage, performance.now() - started);
    }
  }

  async measureAsync<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.add(stage, performance.now() - started);
    }
  }

  /** `decode 1.2, network 40.3 ms`: the mean of so many pictures, stages that took time. */
  describe(pictures: number): string {
    const shown = STAGES.filter((stage) => this.#milliseconds.has(stage));
    return `${shown.map((stage) => `${stage} ${(this.of(stage) / pictures).toFixed(1)}`).join(', ')} ms`;
  }
}
