// Feature Pyramid Network (Lin et al. 2017), with torchvision's names.
import { Conv2d, init, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';

export interface FpnOptions {
  readonly inChannels: readonly number[];
  readonly channels: number;
  /** Whether a level of half the coarsest one's resolution is added. */
  readonly extraLevel: boolean;
}

/** Lateral 1x1 convolutions, a top-down sum, a 3x3 convolution a level, and one coarser level by subsampling. */
export class Fpn extends Module {
  readonly innerBlocks: Sequential[];
  readonly layerBlocks: Sequential[];

  readonly #extraLevel: boolean;

  constructor({ inChannels, channels, extraLevel }: FpnOptions) {
    super();
    this.#extraLevel = extraLevel;
    this.innerBlocks = inChannels.map((count) => new Sequential(initialised(new Conv2d(count, channels, 1))));
    this.layerBlocks = inChannels.map(
      () => new Sequential(initialised(new Conv2d(channels, channels, 3, { padding: 1 }))),
    );
  }

  /** Levels as the backbone gives them, finest first -> as many of `channels` channels, and the extra one. */
  forward(features: Features): Features {
    const outputs: Tensor[] = [];
    let above: Tensor | undefined;
    for (let level = features.length - 1; level >= 0; level--) {
      const lateral = this.innerBlocks[level]!.forward(features[level]!);
      const merged: Tensor = above
        ? ops.add_(lateral, ops.upsample_nearest2d(above, [lateral.size(2), lateral.size(3)]))
        : lateral;
      outputs.unshift(this.layerBlocks[level]!.forward(merged));
      above = merged;
    }
    // P6 exists for the anchors of its stride alone: every second cell of P5.
    if (this.#extraLevel) outputs.push(ops.max_pool2d(outputs[outputs.length - 1]!, [1, 1], { stride: [2, 2] }));
    return outputs;
  }
}

function initialised(conv: Conv2d): Conv2d {
  // a = 1: torchvision's FeaturePyramidNetwork, which keeps the variance of linear layers.
  init.kaimingUniform(conv.weight, { a: 1 });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}
