// The network of a region proposal network: for every anchor of every cell an objectness and four offsets.
import { Conv2d, init, Module, Sequential, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';

export interface RpnHeadOptions {
  readonly inChannels: number;
  /** Of each 3x3 convolution. Default inChannels. */
  readonly hiddenChannels?: number;
  /** How many 3x3 convolutions. Default 1. */
  readonly convolutions?: number;
  readonly anchorsPerCell: number;
  /** softmax has two logits an anchor, those of the background first. Default sigmoid. */
  readonly activation?: 'sigmoid' | 'softmax';
}

/** 3x3 convolutions with ReLU, then for every anchor an objectness logit and four offsets. */
export class RpnHead extends Module {
  readonly conv: Sequential[];
  readonly clsLogits: Conv2d;
  readonly bboxPred: Conv2d;

  constructor({
    inChannels,
    hiddenChannels = inChannels,
    convolutions = 1,
    anchorsPerCell,
    activation = 'sigmoid',
  }: RpnHeadOptions) {
    super();
    const initialised = (conv: Conv2d): Conv2d => {
      init.normal(conv.weight, { std: 0.01 });
      if (conv.bias) init.constant(conv.bias, 0);
      return conv;
    };
    const logits = activation === 'softmax' ? 2 * anchorsPerCell : anchorsPerCell;
    this.conv = Array.from({ length: convolutions }, (_, index) => {
      const channels = index === 0 ? inChannels : hiddenChannels;
      return new Sequential(initialised(new Conv2d(channels, hiddenChannels, 3, { padding: 1 })));
    });
    this.clsLogits = initialised(new Conv2d(hiddenChannels, logits, 1));
    this.bboxPred = initialised(new Conv2d(hiddenChannels, anchorsPerCell * 4, 1));
  }

  /** Logits [N, A, H, W] (softmax: [N, 2 * A, H, W]) and offsets [N, A * 4, H, W] of each level. */
  forward(features: Features): { logits: Tensor[]; offsets: Tensor[] } {
    return scope(() => {
      const hidden = this.conv.reduce<readonly Tensor[]>(
        (maps, { layers }) => (layers[0] as Conv2d).forEach(maps, { relu: true }),
        features,
      );
      return { logits: this.clsLogits.forEach(hidden), offsets: this.bboxPred.forEach(hidden) };
    });
  }
}
