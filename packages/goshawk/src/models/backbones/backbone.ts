// What every backbone with levels for a neck gives.
import type { Module, Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';

/** One level of features. */
export interface FeatureLevel {
  readonly channels: number;
  /** Network pixels a cell. */
  readonly stride: number;
}

export interface Backbone extends Module {
  /** What forward() gives, finest first. Strides never fall; two levels may have one stride. */
  readonly levels: readonly FeatureLevel[];
  /** [N, 3, H, W] -> [N, channels, H / stride, W / stride] of each level, sides rounded up. */
  forward(pixels: Tensor): Features;
}
