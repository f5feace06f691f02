// SpineNet (Du et al., Learning Scale-Permuted Backbone for Recognition and Localization, 2020): the architecture that its
// search found, in the sizes of SpineNet-Pytorch (mmdet/models/backbones/spinenet.py).
import type { SpinenetConfig } from '../../config/index.js';
import type { BlockSpec } from './block-specs.js';
import type { NormOptions } from './conv-norm-layers.js';
import { ScalePermutedBackbone } from './scale-permuted.js';

export type SpineNetVariant = '49S' | '49' | '96' | '143' | '190';

export interface SpineNetSize {
  readonly endpointChannels: number;
  readonly widthScale: number;
  readonly resampleAlpha: number;
  readonly repeats: number;
}

export const SPINENET_SIZES: Readonly<Record<SpineNetVariant, SpineNetSize>> = {
  '49S': { endpointChannels: 128, widthScale: 0.65, resampleAlpha: 0.5, repeats: 1 },
  '49': { endpointChannels: 256, widthScale: 1, resampleAlpha: 0.5, repeats: 1 },
  '96': { endpointChannels: 256, widthScale: 1, resampleAlpha: 0.5, repeats: 2 },
  '143': { endpointChannels: 256, widthScale: 1, resampleAlpha: 1, repeats: 3 },
  '190': { endpointChannels: 512, widthScale: 1.3, resampleAlpha: 1, repeats: 4 },
};

/** Blocks 2 to 16 (table 7 of the paper). */
export const SPINENET_BLOCKS: readonly BlockSpec[] = [
  { level: 2, block: 'bottleneck', parents: [0, 1] },
  { level: 4, block: 'basic', parents: [0, 1] },
  { level: 3, block: 'bottleneck', parents: [2, 3] },
  { level: 4, block: 'bottleneck', parents: [2, 4] },
  { level: 6, block: 'basic', parents: [3, 5] },
  { level: 4, block: 'bottleneck', parents: [3, 5] },
  { level: 5, block: 'basic', parents: [6, 7] },
  { level: 7, block: 'basic', parents: [6, 8] },
  { level: 5, block: 'bottleneck', parents: [8, 9] },
  { level: 5, block: 'bottleneck', parents: [8, 10] },
  { level: 4, block: 'bottleneck', parents: [5, 10], output: true },
  { level: 3, block: 'bottleneck', parents: [4, 10], output: true },
  { level: 5, block: 'bottleneck', parents: [7, 12], output: true },
  { level: 7, block: 'bottleneck', parents: [5, 14], output: true },
  { level: 6, block: 'bottleneck', parents: [12, 14], output: true },
];

export const SPINENET_LEVELS: readonly number[] = [3, 4, 5, 6, 7];

/** SpineNet-Pytorch's configs: eps 1e-3, momentum 0.01. */
export const SPINENET_NORM: NormOptions = { kind: 'batch', eps: 1e-3, momentum: 0.01 };

export interface SpineNetOptions extends Partial<SpineNetSize> {
  readonly variant: SpineNetVariant;
  readonly norm?: NormOptions;
  /** Default true. */
  readonly zeroInitResidual?: boolean;
  /** Another plan than SpineNet's. */
  readonly blocks?: readonly BlockSpec[];
  /** Default 3 to 7. */
  readonly outputLevels?: readonly number[];
}

/** Gives five levels of strides 8 to 128. Pictures must be padded to multiples of 128. */
export class SpineNet extends ScalePermutedBackbone {
  constructor({
    variant,
    norm = SPINENET_NORM,
    zeroInitResidual = true,
    blocks,
    outputLevels,
    ...size
  }: SpineNetOptions) {
    const base = SPINENET_SIZES[variant];
    super({
      blocks: blocks ?? SPINENET_BLOCKS,
      outputLevels: outputLevels ?? SPINENET_LEVELS,
      endpointChannels: size.endpointChannels ?? base.endpointChannels,
      widthScale: size.widthScale ?? base.widthScale,
      resampleAlpha: size.resampleAlpha ?? base.resampleAlpha,
      repeats: size.repeats ?? base.repeats,
      norm,
      zeroInitResidual,
    });
  }
}

export function makeSpineNet({ norm, normEps, normMomentum, ...options }: SpinenetConfig): SpineNet {
  return new SpineNet({ ...options, norm: { kind: norm, eps: normEps, momentum: normMomentum } });
}
