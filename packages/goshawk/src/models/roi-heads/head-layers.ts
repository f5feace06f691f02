// What the heads on RoIs are built of.
import {
  BatchNorm2d,
  Conv2d,
  type ConvTranspose2d,
  convRelu,
  GroupNorm,
  init,
  ops,
  Sequential,
  SyncBatchNorm2d,
  type Tensor,
} from '@goshawk/torch';
import type { ResNetOptions } from '../backbones/resnet.js';

/** Starts with weights by He et al. 2015 (rectifiers), over the outputs, and biases of 0: torchvision's and Detectron's MSRAFill. */
export function initialised<Conv extends Conv2d | ConvTranspose2d>(conv: Conv): Conv {
  init.kaimingNormal(conv.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}

/** Behind a convolution. sync_batch: batch norm over the RoIs of all processes. */
type HeadNorm = 'none' | 'batch' | 'sync_batch' | 'group';

// The group norm paper's (Wu and He 2018), as everywhere in Detectron.
export const NORM_GROUPS = 32;

/** A convolution, 3x3 by default, that keeps the size, its norm, and a ReLU; with a norm the convolution has no bias. */
export function convBlock(
  inChannels: number,
  channels: number,
  {
    norm = 'none',
    normEps: eps,
    normMomentum: momentum,
    dilation = 1,
    kernelSize = 3,
  }: {
    norm?: HeadNorm;
    normEps?: number;
    normMomentum?: number;
    dilation?: number;
    kernelSize?: number;
  },
): Sequential {
  const padding = (dilation * (kernelSize - 1)) / 2;
  const conv = initialised(new Conv2d(inChannels, channels, kernelSize, { padding, dilation, bias: norm === 'none' }));
  switch (norm) {
    case 'none':
      return new ConvRelu(conv);
    case 'batch':
      return new ConvRelu(conv, new BatchNorm2d(channels, { eps, momentum }));
    case 'sync_batch':
      return new ConvRelu(conv, new SyncBatchNorm2d(channels, { eps, momentum }));
    case 'group':
      return new ConvRelu(conv, new GroupNorm(NORM_GROUPS, channels));
  }
}

class ConvRelu extends Sequential {
  override forward(input: Tensor): Tensor {
    const [conv, norm] = this.layers;
    return norm === undefined ? convRelu(input, conv as Conv2d) : ops.relu_(super.forward(input));
  }
}

/** How the last stage of a backbone treats pooled features: it halves 14 cells a side and keeps 7, as in Detectron. */
export function stage5Stride(poolSize: number): 1 | 2 {
  return poolSize >= 14 ? 2 : 1;
}

/** The schema lets heads have a stage of the backbone with ResNets alone. */
export function requireResNet(backbone: ResNetOptions | undefined): ResNetOptions {
  if (!backbone) throw new Error('internal: a head of stage 5 without a ResNet');
  return backbone;
}
