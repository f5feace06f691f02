// What backbones are made of: a convolution without bias and the norm behind it.
import {
  AffineChannel2d,
  BatchNorm2d,
  type BehindNorm,
  Conv2d,
  convNormRelu,
  FrozenBatchNorm2d,
  GroupNorm,
  init,
  Layer,
  Sequential,
  type Tensor,
} from '@goshawk/torch';

export type NormKind = 'frozen_batch' | 'batch' | 'group' | 'affine';

export interface NormOptions {
  readonly kind: NormKind;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
  /** Share of the newest batch in the running statistics of kind batch. Default 0.1. */
  readonly momentum?: number | undefined;
}

export type Norm = AffineChannel2d | BatchNorm2d | FrozenBatchNorm2d | GroupNorm;

// The group norm paper's number (Wu and He 2018).
const MOST_GROUPS = 32;

export function makeNorm({ kind, eps, momentum }: NormOptions, channels: number): Norm {
  switch (kind) {
    case 'frozen_batch':
      return new FrozenBatchNorm2d(channels, { eps });
    case 'batch':
      return new BatchNorm2d(channels, { eps, momentum });
    case 'group': {
      // SpineNet-49S has 41, 83 and 166 channels: as many groups as divide them.
      let groups = Math.min(MOST_GROUPS, channels);
      while (channels % groups !== 0) groups--;
      return new GroupNorm(groups, channels, { eps });
    }
    case 'affine':
      return new AffineChannel2d(channels);
  }
}

/** Zeros at the borders, so that a stride of 1 keeps the resolution. */
export function makeConv(
  inChannels: number,
  outChannels: number,
  kernel: number,
  { stride = 1, dilation = 1, groups = 1 }: { stride?: number; dilation?: number; groups?: number } = {},
): Conv2d {
  const padding = (dilation * (kernel - 1)) / 2;
  const made = new Conv2d(inChannels, outChannels, kernel, { stride, padding, dilation, groups, bias: false });
  // He et al. 2015 (rectifiers), over the outputs: as torchvision starts its ResNets.
  init.kaimingNormal(made.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  return made;
}

/** relu(norm(conv(input)) + residual); a norm that does not learn its statistics now costs no pass over the features of its own. */
export function convThenNorm(input: Tensor, conv: Conv2d, norm: Norm, behind?: BehindNorm): Tensor {
  return convNormRelu(input, conv, norm, behind);
}

/** A convolution and its norm; names `conv` and `bn`, as in mmdetection. */
export class ConvNorm extends Layer {
  readonly conv: Conv2d;
  readonly bn: Norm;

  constructor(
    inChannels: number,
    outChannels: number,
    {
      kernel = 1,
      stride = 1,
      norm,
    }: { readonly kernel?: number; readonly stride?: number; readonly norm: NormOptions },
  ) {
    super();
    this.conv = makeConv(inChannels, outChannels, kernel, { stride });
    this.bn = makeNorm(norm, outChannels);
  }

  override forward(input: Tensor, behind?: BehindNorm): Tensor {
    return convThenNorm(input, this.conv, this.bn, behind);
  }
}

/** The 1x1 convolution and norm beside a residual block that changes channels or resolution; names `0` and `1`, as in torchvision. */
export class Downsample extends Sequential {
  readonly #conv: Conv2d;
  readonly #norm: Norm;

  constructor(inChannels: number, outChannels: number, stride: number, norm: NormOptions) {
    const conv = makeConv(inChannels, outChannels, 1, { stride });
    const made = makeNorm(norm, outChannels);
    super(conv, made);
    this.#conv = conv;
    this.#norm = made;
  }

  override forward(input: Tensor): Tensor {
    return convThenNorm(input, this.#conv, this.#norm);
  }
}
