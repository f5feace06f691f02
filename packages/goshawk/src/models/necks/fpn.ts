// Feature Pyramid Network (Lin et al. 2017), with torchvision's names.
import { BatchNorm2d, Conv2d, GroupNorm, init, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';

type FpnNorm = 'none' | 'group' | 'batch';
type Part = Conv2d | GroupNorm | BatchNorm2d;

export interface FpnOptions {
  readonly inChannels: readonly number[];
  readonly channels: number;
  /** Whether a level of half the coarsest one's resolution is added. */
  readonly extraLevel: boolean;
  /**
   * Coarser levels by 3x3 convolutions of stride 2: the first from the coarsest features that come in, each further one from
   * the positive part of the one before (Detectron's EXTRA_CONV_LEVELS, detectron/modeling/FPN.py). Default 0.
   */
  readonly extraConvolutions?: number;
  /** Behind each convolution, which then has no bias. Default none. */
  readonly norm?: FpnNorm;
  /** Whether a convolution without a norm has a bias. Default true. */
  readonly biases?: boolean;
  /** How a level is enlarged for the next finer one; bilinear keeps the corners of the maps on each other. Default nearest. */
  readonly upsampling?: 'nearest' | 'bilinear';
  /** Whether only the finest level is made. Default false. */
  readonly finestOnly?: boolean;
  /** Whether the lateral convolutions, but for the coarsest, start at zero. Default false. */
  readonly zeroInitLateral?: boolean;
}

/** Lateral 1x1 convolutions, a top-down sum, a 3x3 convolution a level, and one coarser level by subsampling. */
export class Fpn extends Module {
  readonly innerBlocks: Sequential[];
  readonly layerBlocks: Sequential[];
  readonly extraConvs?: Conv2d[];

  readonly #options: FpnOptions;

  constructor(options: FpnOptions) {
    super();
    this.#options = options;
    const { inChannels, channels, norm = 'none', biases = true, finestOnly, zeroInitLateral } = options;
    this.innerBlocks = inChannels.map((count, level) => {
      const lateral = block(count, channels, 1, { norm, biases });
      if (zeroInitLateral && level < inChannels.length - 1) for (const part of lateral) zero(part);
      return new Sequential(...lateral);
    });
    this.layerBlocks = (finestOnly ? inChannels.slice(0, 1) : inChannels).map(
      () => new Sequential(...block(channels, channels, 3, { norm, biases })),
    );
    const { extraConvolutions = 0 } = options;
    if (extraConvolutions > 0)
      this.extraConvs = Array.from({ length: extraConvolutions }, (_, i) =>
        initialised(new Conv2d(i === 0 ? inChannels.at(-1)! : channels, channels, 3, { stride: 2, padding: 1 })),
      );
  }

  /** Levels as the backbone gives them, finest first -> as many of `channels` channels, and the extra one. */
  forward(features: Features): Features {
    const outputs: Tensor[] = [];
    let above: Tensor | undefined;
    for (let level = features.length - 1; level >= 0; level--) {
      const lateral = this.innerBlocks[level]!.forward(features[level]!);
      const merged: Tensor = above
        ? ops.add_(lateral, this.#enlarged(above, [lateral.size(2), lateral.size(3)]))
        : lateral;
      const output = this.layerBlocks[level];
      if (output) outputs.unshift(output.forward(merged));
      above = merged;
    }
    // P6 exists for the anchors of its stride alone: every second cell of P5.
    if (this.#options.extraLevel && !this.#options.finestOnly)
      outputs.push(ops.max_pool2d(outputs[outputs.length - 1]!, [1, 1], { stride: [2, 2] }));
    for (const [i, conv] of this.extraConvs?.entries() ?? [])
      outputs.push(conv.forward(i === 0 ? features.at(-1)! : ops.relu(outputs.at(-1)!)));
    return outputs;
  }

  #enlarged(level: Tensor, size: readonly [number, number]): Tensor {
    const alignsCorners = true;
    return this.#options.upsampling === 'bilinear'
      ? ops.upsample_bilinear2d(level, size, alignsCorners)
      : ops.upsample_nearest2d(level, size);
  }
}

// Detectron's and the group norm paper's number.
const NORM_GROUPS = 32;

function block(
  inChannels: number,
  channels: number,
  kernel: number,
  { norm, biases }: { readonly norm: FpnNorm; readonly biases: boolean },
): Part[] {
  const bias = biases && norm === 'none';
  const conv = new Conv2d(inChannels, channels, kernel, { padding: (kernel - 1) / 2, bias });
  initialised(conv);
  switch (norm) {
    case 'none':
      return [conv];
    case 'group':
      return [conv, new GroupNorm(NORM_GROUPS, channels)];
    case 'batch':
      return [conv, new BatchNorm2d(channels)];
  }
}

/** a = 1: torchvision's FeaturePyramidNetwork, which keeps the variance of linear layers. */
export function initialised(conv: Conv2d): Conv2d {
  init.kaimingUniform(conv.weight, { a: 1 });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}

function zero(part: Part): void {
  init.constant(part.weight, 0);
  if (part.bias) init.constant(part.bias, 0);
}
