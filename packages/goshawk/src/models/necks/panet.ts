// Bottom-up path augmentation behind a feature pyramid (Liu et al., Path Aggregation Network for Instance Segmentation, 2018,
// section 3.1).
import { ops, Sequential, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import { Fpn, type FpnOptions } from './fpn.js';
import { convBlock } from './neck-layers.js';

export type PanetOptions = Omit<FpnOptions, 'finestOnly'>;

/**
 * The pyramid's P levels as N levels: N of the finest is P; from there upwards N = relu(fuse(relu(reduce(N below)) + P)), with 3x3
 * convolutions to `channels` channels, reduce with the stride between the two levels. Extra levels are those of N.
 */
export class Panet extends Fpn {
  /** From each level to the next coarser one. */
  readonly reduceBlocks: Sequential[];
  readonly fuseBlocks: Sequential[];

  constructor(options: PanetOptions) {
    super(options);
    const { inChannels, channels, norm = 'none' } = options;
    const steps = inChannels.slice(1).map((_, level) => this.strides[level + 1]! / this.strides[level]!);
    this.reduceBlocks = steps.map((stride) => new Sequential(...convBlock(channels, channels, 3, { norm, stride })));
    this.fuseBlocks = steps.map(() => new Sequential(...convBlock(channels, channels, 3, { norm })));
  }

  protected override merge(features: Features): Features {
    const [finest, ...coarser] = super.merge(features);
    const levels: Tensor[] = [finest!];
    for (const [step, pyramid] of coarser.entries()) {
      const reduced = ops.relu_(this.reduceBlocks[step]!.forward(levels.at(-1)!));
      levels.push(ops.relu_(this.fuseBlocks[step]!.forward(ops.add(reduced, pyramid))));
    }
    return levels;
  }
}
