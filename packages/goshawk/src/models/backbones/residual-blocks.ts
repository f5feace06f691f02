// The blocks of ResNet ("Deep Residual Learning", He et al. 2015), with torchvision's names.
import { type Conv2d, Layer, type Tensor } from '@goshawk/torch';
import {
  convThenNorm,
  makeConv,
  makeNorm,
  makeShortcut,
  type Norm,
  type Shortcut,
  type ShortcutOptions,
} from './conv-norm-layers.js';

/** Two 3x3 convolutions beside the identity. */
export class BasicBlock extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly downsample?: Shortcut;

  constructor(inChannels: number, width: number, options: ShortcutOptions) {
    super();
    const { stride = 1, norm } = options;
    this.conv1 = makeConv(inChannels, width, 3, { stride });
    this.bn1 = makeNorm(norm, width);
    this.conv2 = makeConv(width, width, 3);
    this.bn2 = makeNorm(norm, width);
    if (stride !== 1 || inChannels !== width) this.downsample = makeShortcut(inChannels, width, options);
  }

  /** A block whose last norm has factors of 0 starts as the identity (Goyal et al. 2017). */
  get lastNorm(): Norm {
    return this.bn2;
  }

  override forward(input: Tensor): Tensor {
    const hidden = convThenNorm(input, this.conv1, this.bn1, { relu: true });
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return convThenNorm(hidden, this.conv2, this.bn2, { residual, relu: true });
  }
}

export interface BottleneckOptions extends ShortcutOptions {
  /** Channels inside. */
  readonly width: number;
  readonly outChannels: number;
  /** Of the 3x3 convolution. Default 1. */
  readonly dilation?: number;
  /** Of the 3x3 convolution. Default 1. */
  readonly groups?: number;
  /** Whether the stride lies in the first 1x1 convolution (Caffe's ResNets) instead of the 3x3 one. Default false. */
  readonly strideIn1x1?: boolean;
}

/** 1x1, 3x3 and 1x1 convolutions beside the identity. */
export class Bottleneck extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly conv3: Conv2d;
  readonly bn3: Norm;
  readonly downsample?: Shortcut;

  constructor(inChannels: number, options: BottleneckOptions) {
    super();
    const { width, outChannels, stride = 1, dilation = 1, groups = 1, strideIn1x1 = false, norm } = options;
    this.conv1 = makeConv(inChannels, width, 1, { stride: strideIn1x1 ? stride : 1 });
    this.bn1 = makeNorm(norm, width);
    this.conv2 = makeConv(width, width, 3, { stride: strideIn1x1 ? 1 : stride, dilation, groups });
    this.bn2 = makeNorm(norm, width);
    this.conv3 = makeConv(width, outChannels, 1);
    this.bn3 = makeNorm(norm, outChannels);
    if (stride !== 1 || inChannels !== outChannels) this.downsample = makeShortcut(inChannels, outChannels, options);
  }

  /** A block whose last norm has factors of 0 starts as the identity (Goyal et al. 2017). */
  get lastNorm(): Norm {
    return this.bn3;
  }

  override forward(input: Tensor): Tensor {
    let hidden = convThenNorm(input, this.conv1, this.bn1, { relu: true });
    hidden = convThenNorm(hidden, this.conv2, this.bn2, { relu: true });
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return convThenNorm(hidden, this.conv3, this.bn3, { residual, relu: true });
  }
}
