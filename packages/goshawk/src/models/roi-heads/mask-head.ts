// The mask branch of Mask R-CNN (He et al. 2017): convolutions on pooled features, an upsampling, a mask a class.
import {
  arange,
  Conv2d,
  ConvTranspose2d,
  init,
  type Layer,
  Linear,
  Module,
  ops,
  Sequential,
  type Tensor,
} from '@goshawk/torch';
import type { MaskHeadConfig } from '../../config/index.js';
import { type ResNetOptions, resNetStage, stageChannels } from '../backbones/resnet.js';
import { BilinearUpsample } from './bilinear-upsample.js';
import { convBlock, initialised, requireResNet, stage5Stride } from './head-layers.js';

/** [K, C, S, S] -> [K, last of channels, S, S] by 3x3 convolutions with ReLU. */
export class MaskHead extends Sequential {
  constructor(
    inChannels: number,
    {
      channels,
      dilation,
      norm,
      normEps,
      normMomentum,
    }: Pick<MaskHeadConfig, 'channels'> &
      Partial<Pick<MaskHeadConfig, 'dilation' | 'norm' | 'normEps' | 'normMomentum'>>,
  ) {
    const block = { dilation, norm, normEps, normMomentum };
    super(...channels.map((count, index) => convBlock(channels[index - 1] ?? inChannels, count, block)));
  }
}

/** [K, C, S, S] -> [K, C', S / 2, S / 2], of fewer than 14 cells [K, C', S, S]: the backbone's last stage, of own weights. */
export class Stage5MaskHead extends Module {
  readonly layer4: Sequential;

  constructor(backbone: ResNetOptions, { poolSize, dilation }: Pick<MaskHeadConfig, 'poolSize' | 'dilation'>) {
    super();
    this.layer4 = resNetStage(backbone, 5, { stride: stage5Stride(poolSize), dilation });
  }

  call(pooled: Tensor): Tensor {
    return this.layer4.call(pooled);
  }
}

/** What comes before the predictor, and how many channels it gives; nothing where the box head's stage is shared. */
export function makeMaskHead(
  config: MaskHeadConfig,
  inChannels: number,
  backbone: ResNetOptions | undefined,
): { head?: Layer | Stage5MaskHead; channels: number } {
  switch (config.kind) {
    case 'convolutions':
      return { head: new MaskHead(inChannels, config), channels: config.channels.at(-1) ?? inChannels };
    case 'stage5': {
      const resNet = requireResNet(backbone);
      return { head: new Stage5MaskHead(resNet, config), channels: stageChannels(resNet, 5) };
    }
    case 'stage5_shared':
      return { channels: stageChannels(requireResNet(backbone), 5) };
  }
}

/** Cells a side behind makeMaskHead of features of `poolSize` cells. */
export function maskCells(kind: MaskHeadConfig['kind'], poolSize: number): number {
  return kind === 'convolutions' ? poolSize : Math.ceil(poolSize / stage5Stride(poolSize));
}

export interface MaskPredictorOptions extends Partial<Pick<MaskHeadConfig, 'output' | 'upsampleRatio'>> {
  /** Of the features, a side; a fully connected output alone depends on them. */
  readonly cells?: number;
}

/** Doubles the resolution, then one logit a class and cell. */
export class MaskPredictor extends Module {
  readonly conv5Mask: ConvTranspose2d;
  /** Its names are the same of a fully connected output, as in Detectron. */
  readonly maskFcnLogits: Conv2d | Linear;
  readonly upsample?: BilinearUpsample;
  readonly #classes: number;

  constructor(
    inChannels: number,
    channels: number,
    classes: number,
    { output = 'convolution', upsampleRatio = 1, cells = 14 }: MaskPredictorOptions = {},
  ) {
    super();
    this.#classes = classes;
    this.conv5Mask = initialised(new ConvTranspose2d(inChannels, channels, 2, { stride: 2 }));
    if (output === 'fully_connected') {
      const side = 2 * cells;
      this.maskFcnLogits = connected(channels * side ** 2, classes * (side * upsampleRatio) ** 2);
      return;
    }
    this.maskFcnLogits = initialised(new Conv2d(channels, classes, 1));
    if (upsampleRatio > 1) this.upsample = new BilinearUpsample(1, upsampleRatio);
  }

  /**
   * The mask of one class for each RoI: [K, C, S, S] and [K] int64 classes -> [K, 2 * S, 2 * S] logits (times the
   * upsampling). A convolution computes the wanted class's map alone; the others would get no gradient and no reader.
   */
  forward(hidden: Tensor, labels: Tensor): Tensor {
    const raised = ops.relu_(this.conv5Mask.forward(hidden));
    const { maskFcnLogits: layer } = this;
    if (layer instanceof Linear) return this.#wanted(connect(layer, raised), labels);
    const maps = oneClass(layer, raised, labels);
    return this.upsample ? ops.squeeze(this.upsample.forward(ops.unsqueeze(maps, 1)), 1) : maps;
  }

  /** The logits of all classes before any upsampling, as the layer makes them. */
  allClasses(hidden: Tensor): Tensor {
    const raised = ops.relu_(this.conv5Mask.forward(hidden));
    const { maskFcnLogits: layer } = this;
    return layer instanceof Linear ? connect(layer, raised) : layer.forward(raised);
  }

  /** [K, classes * M * M] -> [K, M, M], each RoI's own class. */
  #wanted(all: Tensor, labels: Tensor): Tensor {
    const [count = 0, length = 0] = all.shape;
    const side = Math.sqrt(length / this.#classes);
    const first = ops.mul(arange(0, count, { dtype: 'int64', device: all.device }), this.#classes);
    const maps = ops.reshape(all, [count * this.#classes, side * side]);
    return ops.view(ops.index_select(maps, 0, ops.add(first, labels)), [count, side, side]);
  }
}

/** As Detectron's starts: weights of a deviation of 0.001, biases of 0 (modeling/mask_rcnn_heads.py, add_mask_rcnn_outputs). */
function connected(inFeatures: number, outFeatures: number): Linear {
  const layer = new Linear(inFeatures, outFeatures);
  init.normal(layer.weight, { std: 0.001 });
  init.constant(layer.bias!, 0);
  return layer;
}

/** [K, C, S, S] read by channel, row and column -> [K, outputs]. */
function connect(layer: Linear, features: Tensor): Tensor {
  const [count = 0, ...rest] = features.shape;
  return layer.forward(ops.reshape(features, [count, rest.reduce((product, length) => product * length, 1)]));
}

/** [K, C, S, S] -> [K, S, S]: the logits of each RoI's own class. */
function oneClass(layer: Conv2d, features: Tensor, labels: Tensor): Tensor {
  const [count = 0, channels = 0, height = 0, width = 0] = features.shape;
  const weight = ops.index_select(ops.view(layer.weight, [-1, channels]), 0, labels);
  const cells = ops.reshape(ops.permute(features, [0, 2, 3, 1]), [count, height * width, channels]);
  const logits = ops.squeeze(ops.matmul(cells, ops.unsqueeze(weight, 2)), 2);
  const bias = layer.bias ? ops.unsqueeze(ops.index_select(layer.bias, 0, labels), 1) : undefined;
  return ops.view(bias ? ops.add(logits, bias) : logits, [count, height, width]);
}
