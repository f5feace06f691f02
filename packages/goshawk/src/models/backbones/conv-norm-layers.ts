// What backbones are made of: a convolution without bias and the norm behind it.
import {
  AffineChannel2d,
  AvgPool2d,
  BatchNorm2d,
  type BehindNorm,
  Conv2d,
  convNormRelu,
  FrozenBatchNorm2d,
  GroupNorm,
  init,
  Layer,
  Sequential,
  SyncBatchNorm2d,
  type Tensor,
} from '@goshawk/torch';

/** fixed_statistics: a batch norm that always runs by its stored statistics, and whose factor and offset learn. */
export type NormKind = 'frozen_batch' | 'fixed_statistics' | 'batch' | 'sync_batch' | 'group' | 'affine';

export interface NormOptions {
  readonly kind: NormKind;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
  /** Share of the newest batch in the running statistics of kinds batch and sync_batch. Default 0.1. */
  readonly momentum?: number | undefined;
}

export type Norm = AffineChannel2d | BatchNorm2d | FrozenBatchNorm2d | GroupNorm;

// The group norm paper's number (Wu and He 2018).
const MOST_GROUPS = 32;

export function makeNorm({ kind, eps, momentum }: NormOptions, channels: number): Norm {
  switch (kind) {
    case 'frozen_batch':
      return new FrozenBatchNorm2d(channels, { eps });
    case 'fixed_statistics':
      return new FixedStatisticsNorm2d(channels, { eps });
    case 'batch':
      return new BatchNorm2d(channels, { eps, momentum });
    case 'sync_batch':
      return new SyncBatchNorm2d(channels, { eps, momentum });
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

/** Batch norm that stays in evaluation mode during training (mmdetection's norm_eval, SOLOv2). */
class FixedStatisticsNorm2d extends BatchNorm2d {
  constructor(channels: number, options: { eps?: number | undefined }) {
    super(channels, { eps: options.eps });
    super.train(false);
  }

  override train(): this {
    return super.train(false);
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

/** What stands beside a residual block that changes channels or resolution. */
export interface ShortcutOptions {
  readonly stride?: number;
  /** How it takes on the resolution: by the stride of its convolution, or by a mean before it (ResNet-D). Default convolution. */
  readonly shortcut?: ShortcutKind | undefined;
  readonly norm: NormOptions;
}

export type ShortcutKind = 'convolution' | 'average';

export type Shortcut = Downsample | AverageDownsample;

export function makeShortcut(
  inChannels: number,
  outChannels: number,
  { stride = 1, shortcut = 'convolution', norm }: ShortcutOptions,
): Shortcut {
  return shortcut === 'average'
    ? new AverageDownsample(inChannels, outChannels, stride, norm)
    : new Downsample(inChannels, outChannels, stride, norm);
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

/**
 * A mean over stride x stride cells, those beyond the border not counted, in front of a 1x1 convolution and norm ("Bag of Tricks",
 * He et al. 2018, ResNet-D; Res2Net's v1b); names `1` and `2`.
 */
export class AverageDownsample extends Sequential {
  readonly #pool: AvgPool2d;
  readonly #conv: Conv2d;
  readonly #norm: Norm;

  constructor(inChannels: number, outChannels: number, stride: number, norm: NormOptions) {
    const pool = new AvgPool2d(stride, { ceilMode: true, countIncludePad: false });
    const conv = makeConv(inChannels, outChannels, 1);
    const made = makeNorm(norm, outChannels);
    super(pool, conv, made);
    this.#pool = pool;
    this.#conv = conv;
    this.#norm = made;
  }

  override forward(input: Tensor): Tensor {
    const averaged = this.#pool.stride === 1 ? input : this.#pool.forward(input);
    return convThenNorm(averaged, this.#conv, this.#norm);
  }
}
