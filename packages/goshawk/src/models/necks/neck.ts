// What every neck is: a backbone's levels in, the levels that heads read out.
import type { Module } from '@goshawk/torch';
import type { Features } from '../structures.js';

export interface Neck extends Module {
  /** Of every level that forward() gives. */
  readonly channels: number;
  /** Network pixels a cell of each of them, finest first. */
  readonly strides: readonly number[];
  /** How many of the first levels features of boxes are cut out of. */
  readonly roiLevels: number;
  /** Levels as the backbone gives them, finest first -> its own. */
  forward(features: Features): Features;
}
