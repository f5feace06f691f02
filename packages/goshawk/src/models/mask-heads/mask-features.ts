// SOLOv2's mask feature branch (Wang et al. 2020, section 3.1.2): the pyramid's levels of strides 4 to 32 as one map of stride 4,
// to which the kernel of every object is applied.
import { Module, ops, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import { NormedConv, resized, withCoordinates } from './grid-features.js';

export interface MaskFeaturesOptions {
  readonly inChannels: number;
  /** Of the pyramid; at most the four finest are read. */
  readonly levels: number;
  /** Of the convolutions on each level. */
  readonly channels: number;
  /** Of the map. */
  readonly outputs: number;
}

const MOST_LEVELS = 4;

export class MaskFeatures extends Module {
  /** By level, then one after another. */
  readonly levels: NormedConv[][];
  readonly output: NormedConv;

  constructor({ inChannels, levels, channels, outputs }: MaskFeaturesOptions) {
    super();
    const count = Math.min(levels, MOST_LEVELS);
    this.levels = Array.from({ length: count }, (_, level) =>
      Array.from({ length: Math.max(1, level) }, (__, i) => {
        const isPlaced = level === count - 1 && i === 0;
        return new NormedConv(i > 0 ? channels : inChannels + (isPlaced ? 2 : 0), channels);
      }),
    );
    this.output = new NormedConv(channels, outputs, 1);
  }

  /** Levels of features, finest first -> [N, outputs, H, W] at the finest level's resolution. */
  forward(features: Features): Tensor {
    return scope(() => {
      const maps = features.slice(0, this.levels.length);
      const sum = this.levels
        .map((convs, level) => this.#enlarged(convs, maps, level))
        .reduce((total, map) => ops.add(total, map));
      return this.output.forward(sum);
    });
  }

  /** One level through its convolutions, behind each of which it takes on the resolution of the next finer level. */
  #enlarged(convs: readonly NormedConv[], maps: readonly Tensor[], level: number): Tensor {
    return scope(() => {
      const map = maps[level]!;
      // Where an object lies is seen best in the coarsest level.
      let hidden = level === maps.length - 1 ? withCoordinates(map) : map;
      for (const [i, conv] of convs.entries()) {
        hidden = conv.call(hidden);
        const finer = maps[level - 1 - i];
        if (finer) hidden = resized(hidden, [finer.size(2), finer.size(3)]);
      }
      return hidden;
    });
  }
}
