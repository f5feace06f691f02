// Feature Pyramid Network (Lin et al. 2017), with torchvision's names.
import { Conv2d, convRelu, init, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import {
  convolvedLevels,
  type ExtraLevels,
  extraLevelsIn,
  makeExtraConvolutions,
  P6P7,
  pooledLevel,
} from './extra-levels.js';
import type { Neck } from './neck.js';
import { convBlock, type NeckLayer, type NeckNorm } from './neck-layers.js';

export interface FpnOptions {
  /** Of the levels that come in, finest first. */
  readonly inChannels: readonly number[];
  /** Network pixels a cell of each of them. Default 4, 8, 16, ... */
  readonly strides?: readonly number[];
  readonly channels: number;
  /** Absent: none. */
  readonly extra?: ExtraLevels;
  /** Behind each convolution, which then has no bias. Default none. */
  readonly norm?: NeckNorm;
  /** Whether a convolution without a norm has a bias. Default true. */
  readonly biases?: boolean;
  /** How a level is enlarged for the next finer one; bilinear keeps the corners of the maps on each other. Default nearest. */
  readonly upsampling?: 'nearest' | 'bilinear';
  /** Whether only the finest level is made. Default false. */
  readonly finestOnly?: boolean;
  /** Whether the lateral convolutions, but for the coarsest, start at zero. Default false. */
  readonly zeroInitLateral?: boolean;
}

/** Lateral 1x1 convolutions, a top-down sum, a 3x3 convolution a level, and the extra levels. */
export class Fpn extends Module implements Neck {
  readonly innerBlocks: Sequential[];
  readonly layerBlocks: Sequential[];
  readonly extraConvs?: Conv2d[];
  readonly extraBlocks?: P6P7;
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels: number;
  readonly #pools: boolean;
  readonly #upsampling: FpnOptions['upsampling'];

  constructor(options: FpnOptions) {
    super();
    const { inChannels, channels, extra, norm = 'none', biases, finestOnly, zeroInitLateral } = options;
    const { strides = inChannels.map((_, level) => 4 * 2 ** level) } = options;
    this.innerBlocks = inChannels.map((count, level) => {
      const lateral = convBlock(count, channels, 1, { norm, biases });
      if (zeroInitLateral && level < inChannels.length - 1) for (const part of lateral) zero(part);
      return new Sequential(...lateral);
    });
    this.layerBlocks = (finestOnly ? inChannels.slice(0, 1) : inChannels).map(
      () => new Sequential(...convBlock(channels, channels, 3, { norm, biases })),
    );
    const coarsest = inChannels.at(-1)!;
    if (extra?.kind === 'convolutions') this.extraConvs = makeExtraConvolutions(extra.count, coarsest, channels);
    if (extra?.kind === 'p6p7') this.extraBlocks = new P6P7(coarsest, channels, extra);
    this.#pools = extra?.kind === 'pool';
    this.#upsampling = options.upsampling;
    this.channels = channels;
    this.roiLevels = this.layerBlocks.length;
    const own = strides.slice(0, this.roiLevels);
    this.strides = [...own, ...Array.from({ length: extraLevelsIn(extra) }, (_, i) => own.at(-1)! * 2 ** (i + 1))];
  }

  /** Levels as the backbone gives them, finest first -> as many of `channels` channels, and the extra ones. */
  forward(features: Features): Features {
    const levels = this.merge(features);
    if (this.#pools) return [...levels, pooledLevel(levels.at(-1)!)];
    if (this.extraConvs) return [...levels, ...convolvedLevels(this.extraConvs, features.at(-1)!)];
    return this.extraBlocks ? [...levels, ...this.extraBlocks.forward(levels, features)] : levels;
  }

  /** Without the extra levels. */
  protected merge(features: Features): Features {
    const outputs: Tensor[] = [];
    let above: Tensor | undefined;
    for (let level = features.length - 1; level >= 0; level--) {
      const own = features[level]!;
      const enlarged = above && this.#enlarged(above, [own.size(2), own.size(3)]);
      const merged = sumWith(this.innerBlocks[level]!, own, enlarged);
      const output = this.layerBlocks[level];
      if (output) outputs.unshift(output.forward(merged));
      above = merged;
    }
    return outputs;
  }

  #enlarged(level: Tensor, size: readonly [number, number]): Tensor {
    const alignsCorners = true;
    return this.#upsampling === 'bilinear'
      ? ops.upsample_bilinear2d(level, size, alignsCorners)
      : ops.upsample_nearest2d(level, size);
  }
}

/** lateral(features) + above, by the convolution itself where no norm is behind it. */
function sumWith(lateral: Sequential, features: Tensor, above: Tensor | undefined): Tensor {
  const [conv, norm] = lateral.layers;
  if (!above) return lateral.forward(features);
  if (conv instanceof Conv2d && !norm) return convRelu(features, conv, { residual: above, relu: false });
  return ops.add_(lateral.forward(features), above);
}

function zero(part: NeckLayer): void {
  init.constant(part.weight, 0);
  if (part.bias) init.constant(part.bias, 0);
}
