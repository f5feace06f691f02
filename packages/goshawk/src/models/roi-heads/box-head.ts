// The networks of the second stage: from pooled features to a vector, and from it to a class and a refined box.
import { GroupNorm, type Layer, Linear, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import { type ResNetOptions, resNetStage, stageChannels } from '../backbones/resnet.js';
import { convBlock, NORM_GROUPS, requireResNet, stage5Stride } from './head-layers.js';

/** What every box head is: [K, C, S, S] pooled features -> [K, outFeatures]. */
export interface BoxHead extends Module {
  readonly outFeatures: number;
  forward(pooled: Tensor): Tensor;
}

/** Two fully connected layers (Feature Pyramid Networks, Lin et al. 2017), each with a group norm where asked (maskrcnn-benchmark). */
export class TwoLayerBoxHead extends Module implements BoxHead {
  readonly fc6: Linear | Sequential;
  readonly fc7: Linear | Sequential;
  readonly outFeatures: number;

  constructor(inFeatures: number, hiddenSize: number, norm: 'none' | 'group' = 'none') {
    super();
    const layer = (from: number): Linear | Sequential =>
      norm === 'none'
        ? new Linear(from, hiddenSize)
        : new Sequential(new Linear(from, hiddenSize, { bias: false }), new GroupNorm(NORM_GROUPS, hiddenSize));
    this.fc6 = layer(inFeatures);
    this.fc7 = layer(hiddenSize);
    this.outFeatures = hiddenSize;
  }

  forward(pooled: Tensor): Tensor {
    const hidden = ops.relu_(this.fc6.forward(ops.flatten(pooled, { start_dim: 1 })));
    return ops.relu_(this.fc7.forward(hidden));
  }
}

type BoxConvolutions = Pick<BoxHeadConfig, 'convolutions' | 'norm' | 'poolSize' | 'hiddenSize'> &
  Partial<Pick<BoxHeadConfig, 'normEps' | 'normMomentum'>>;

/** 3x3 convolutions and one fully connected layer (Detectron's Xconv1fc). */
export class ConvolutionsBoxHead extends Module implements BoxHead {
  readonly convs: Layer[];
  readonly fc6: Linear;

  constructor(inChannels: number, config: BoxConvolutions) {
    super();
    const { count, channels } = config.convolutions;
    this.convs = Array.from({ length: count }, (_, index) =>
      convBlock(index === 0 ? inChannels : channels, channels, config),
    );
    this.fc6 = new Linear(channels * config.poolSize ** 2, config.hiddenSize);
  }

  get outFeatures(): number {
    return this.fc6.weight.size(0);
  }

  forward(pooled: Tensor): Tensor {
    const hidden = this.convs.reduce((features, conv) => conv.call(features), pooled);
    return ops.relu_(this.fc6.forward(ops.flatten(hidden, { start_dim: 1 })));
  }
}

/** The last stage of a ResNet and a mean over its cells (C4 models, He et al. 2016). */
export class Stage5BoxHead extends Module implements BoxHead {
  readonly layer4: Sequential;
  readonly #outFeatures: number;

  constructor(backbone: ResNetOptions, { poolSize }: Pick<BoxHeadConfig, 'poolSize'>) {
    super();
    this.layer4 = resNetStage(backbone, 5, { stride: stage5Stride(poolSize) });
    this.#outFeatures = stageChannels(backbone, 5);
  }

  get outFeatures(): number {
    return this.#outFeatures;
  }

  /** [K, C, S, S] -> [K, C', S / 2, S / 2], of fewer than 14 cells [K, C', S, S]: also what a mask head that shares the stage reads. */
  features(pooled: Tensor): Tensor {
    return this.layer4.call(pooled);
  }

  forward(pooled: Tensor): Tensor {
    return meanOverCells(this.features(pooled));
  }
}

/** [K, C, S, S] -> [K, C]. */
export function meanOverCells(features: Tensor): Tensor {
  return ops.mean(features, [2, 3]);
}

export function makeBoxHead(config: BoxHeadConfig, inChannels: number, backbone: ResNetOptions | undefined): BoxHead {
  switch (config.kind) {
    case 'two_layer':
      return new TwoLayerBoxHead(
        inChannels * config.poolSize ** 2,
        config.hiddenSize,
        config.norm === 'group' ? 'group' : 'none',
      );
    case 'convolutions':
      return new ConvolutionsBoxHead(inChannels, config);
    case 'stage5':
      return new Stage5BoxHead(requireResNet(backbone), config);
  }
}

export interface BoxPrediction {
  /** [K, classes] logits, background first. */
  readonly logits: Tensor;
  /** [K, classes * 4] offsets from the proposals; [K, 2 * 4], background and object, where classes share a box. */
  readonly offsets: Tensor;
}

export class BoxPredictor extends Module {
  readonly clsScore: Linear;
  readonly bboxPred: Linear;

  /** @param classes background included */
  constructor(inFeatures: number, classes: number, { classAgnostic = false } = {}) {
    super();
    this.clsScore = new Linear(inFeatures, classes);
    this.bboxPred = new Linear(inFeatures, (classAgnostic ? 2 : classes) * 4);
  }

  forward(hidden: Tensor): BoxPrediction {
    return { logits: this.clsScore.forward(hidden), offsets: this.bboxPred.forward(hidden) };
  }
}
