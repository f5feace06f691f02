// What the processes of a training exchange in each step.
import { GradientReducer, noGrad, type ProcessGroup } from '@goshawk/torch';
import type { Detector } from '../models/index.js';
import type { PassLosses } from './training-step.js';

export class AcrossRanks {
  readonly #group: ProcessGroup;
  readonly #gradients: GradientReducer;

  constructor(group: ProcessGroup, model: Detector) {
    this.#group = group;
    const learning = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
    this.#gradients = new GradientReducer(group, learning);
  }

  /** Before the last backward pass of a step. */
  begin(): void {
    this.#gradients.begin();
  }

  reduceGradients(): void {
    this.#gradients.finish();
  }

  reduceLosses(passes: readonly PassLosses[]): void {
    noGrad(() => {
      for (const { values } of passes) this.#group.allReduce(values);
    });
  }

  close(): void {
    this.#gradients.close();
  }
}
