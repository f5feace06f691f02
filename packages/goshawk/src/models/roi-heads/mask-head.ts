// The mask branch of Mask R-CNN (He et al. 2017): convolutions on pooled features, an upsampling, a mask a class.
import { Conv2d, ConvTranspose2d, type Layer, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
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

/** Doubles the resolution, then one logit a class and cell. */
export class MaskPredictor extends Module {
  readonly conv5Mask: ConvTranspose2d;
  readonly maskFcnLogits: Conv2d;
  readonly upsample?: BilinearUpsample;

  constructor(inChannels: number, channels: number, classes: number, { upsampleRatio = 1 } = {}) {
    super();
    this.conv5Mask = initialised(new ConvTranspose2d(inChannels, channels, 2, { stride: 2 }));
    this.maskFcnLogits = initialised(new Conv2d(channels, classes, 1));
    if (upsampleRatio > 1) this.upsample = new BilinearUpsample(1, upsampleRatio);
  }

  /**
   * The mask of one class for each RoI: [K, C, S, S] and [K] int64 classes -> [K, 2 * S, 2 * S] logits (times the
   * upsampling). Only the wanted class's map is computed; the others would get no gradient and no reader.
   */
  forward(hidden: Tensor, labels: Tensor): Tensor {
    const upsampled = ops.relu_(this.conv5Mask.forward(hidden));
    const [count = 0, channels = 0, height = 0, width = 0] = upsampled.shape;
    const weight = ops.index_select(ops.view(this.maskFcnLogits.weight, [-1, channels]), 0, labels);
    const cells = ops.reshape(ops.permute(upsampled, [0, 2, 3, 1]), [count, height * width, channels]);
    const logits = ops.squeeze(ops.matmul(cells, ops.unsqueeze(weight, 2)), 2);
    const bias = this.maskFcnLogits.bias
      ? ops.unsqueeze(ops.index_select(this.maskFcnLogits.bias, 0, labels), 1)
      : undefined;
    const maps = ops.view(bias ? ops.add(logits, bias) : logits, [count, height, width]);
    return this.upsample ? ops.squeeze(this.upsample.forward(ops.unsqueeze(maps, 1)), 1) : maps;
  }
}
