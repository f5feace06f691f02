// The pieces of scale-permuted networks: a convolution with its norm, residual blocks that keep their resolution, and the
// resampling of a block for another one.
import {
  BatchNorm2d,
  Conv2d,
  convFrozenNorm,
  FrozenBatchNorm2d,
  GroupNorm,
  init,
  Layer,
  ops,
  type Tensor,
} from '@goshawk/torch';

export interface NormOptions {
  readonly kind: 'batch' | 'frozen_batch' | 'group';
  readonly eps: number;
  /** Share of the newest batch in the running statistics of kind batch. */
  readonly momentum: number;
}

export type Norm = BatchNorm2d | FrozenBatchNorm2d | GroupNorm;

// The group norm paper's number (Wu and He 2018).
const MOST_GROUPS = 32;

export function makeNorm({ kind, eps, momentum }: NormOptions, channels: number): Norm {
  switch (kind) {
    case 'batch':
      return new BatchNorm2d(channels, { eps, momentum });
    case 'frozen_batch':
      return new FrozenBatchNorm2d(channels, { eps });
    case 'group': {
      // SpineNet-49S has 41, 83 and 166 channels: as many groups as divide them.
      let groups = Math.min(MOST_GROUPS, channels);
      while (channels % groups !== 0) groups--;
      return new GroupNorm(groups, channels, { eps });
    }
  }
}

/** norm(conv(input)); a batch norm that does not learn its statistics now disappears into the weight. */
export function convThenNorm(input: Tensor, conv: Conv2d, norm: Norm): Tensor {
  return norm instanceof GroupNorm ? norm.forward(conv.forward(input)) : convFrozenNorm(input, conv, norm);
}

function makeConv(inChannels: number, outChannels: number, kernel: number, stride = 1): Conv2d {
  const made = new Conv2d(inChannels, outChannels, kernel, { stride, padding: (kernel - 1) / 2, bias: false });
  init.kaimingNormal(made.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  return made;
}

/** A convolution without bias and its norm, without an activation. */
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
    this.conv = makeConv(inChannels, outChannels, kernel, stride);
    this.bn = makeNorm(norm, outChannels);
  }

  override forward(input: Tensor): Tensor {
    return convThenNorm(input, this.conv, this.bn);
  }
}

/** A 1x1 convolution and its norm beside a residual block whose channels change; names '0' and '1' as in mmdetection. */
class Projection extends Layer {
  readonly #conv: Conv2d;
  readonly #norm: Norm;

  constructor(inChannels: number, outChannels: number, norm: NormOptions) {
    super();
    this.#conv = makeConv(inChannels, outChannels, 1);
    this.#norm = makeNorm(norm, outChannels);
  }

  override *members(): Iterable<readonly [string, Conv2d | Norm]> {
    yield ['0', this.#conv];
    yield ['1', this.#norm];
  }

  override forward(input: Tensor): Tensor {
    return convThenNorm(input, this.#conv, this.#norm);
  }
}

export type BlockKind = 'bottleneck' | 'basic';

/** Channels that a block of `width` gives. */
export function blockChannels(kind: BlockKind, width: number): number {
  return kind === 'bottleneck' ? width * 4 : width;
}

/**
 * A residual block of ResNet (He et al. 2015) at stride 1: three convolutions (1x1, 3x3, 1x1 to four times the width) or
 * two 3x3 ones.
 */
export class ResidualBlock extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly conv3?: Conv2d;
  readonly bn3?: Norm;
  readonly downsample?: Projection;

  /** @param zeroInit whether the block starts as the identity: its last norm's factor is 0 (Goyal et al. 2017) */
  constructor(kind: BlockKind, inChannels: number, width: number, norm: NormOptions, zeroInit: boolean) {
    super();
    const outChannels = blockChannels(kind, width);
    const first = kind === 'bottleneck' ? 1 : 3;
    this.conv1 = makeConv(inChannels, width, first);
    this.bn1 = makeNorm(norm, width);
    this.conv2 = makeConv(width, width, 3);
    this.bn2 = makeNorm(norm, width);
    if (kind === 'bottleneck') {
      this.conv3 = makeConv(width, outChannels, 1);
      this.bn3 = makeNorm(norm, outChannels);
    }
    if (inChannels !== outChannels) this.downsample = new Projection(inChannels, outChannels, norm);
    if (zeroInit) init.constant((this.bn3 ?? this.bn2).weight, 0);
  }

  override forward(input: Tensor): Tensor {
    let hidden = ops.relu_(convThenNorm(input, this.conv1, this.bn1));
    hidden = convThenNorm(hidden, this.conv2, this.bn2);
    if (this.conv3 && this.bn3) hidden = convThenNorm(ops.relu_(hidden), this.conv3, this.bn3);
    return ops.relu_(ops.add_(hidden, this.downsample ? this.downsample.forward(input) : input));
  }
}

export interface ResampleOptions {
  readonly fromLevel: number;
  readonly toLevel: number;
  readonly inChannels: number;
  /** Channels in between. */
  readonly hiddenChannels: number;
  readonly outChannels: number;
  readonly norm: NormOptions;
}

/** Brings one block's output to the resolution and channels of another (SpineNet, Du et al. 2020, section 3.2). */
export class Resample extends Layer {
  readonly squeezeConv: ConvNorm;
  readonly downsampleConv?: ConvNorm;
  readonly expandConv: ConvNorm;
  /** Resolution of the target over that of the source. */
  readonly #factor: number;

  constructor({ fromLevel, toLevel, inChannels, hiddenChannels, outChannels, norm }: ResampleOptions) {
    super();
    this.#factor = 2 ** (fromLevel - toLevel);
    this.squeezeConv = new ConvNorm(inChannels, hiddenChannels, { norm });
    if (this.#factor < 1)
      this.downsampleConv = new ConvNorm(hiddenChannels, hiddenChannels, { kernel: 3, stride: 2, norm });
    this.expandConv = new ConvNorm(hiddenChannels, outChannels, { norm });
  }

  override forward(input: Tensor): Tensor {
    let hidden = ops.relu_(this.squeezeConv.forward(input));
    if (this.downsampleConv) {
      hidden = ops.relu_(this.downsampleConv.forward(hidden));
      if (this.#factor < 0.5) {
        // As in SpineNet's code: the convolution halves, the rest is pooled, with the wider window beyond a quarter.
        const kernel = this.#factor >= 0.25 ? 3 : 5;
        const stride = Math.trunc(0.5 / this.#factor);
        const padding = Math.floor(kernel / 2);
        hidden = ops.max_pool2d(hidden, [kernel, kernel], { stride: [stride, stride], padding: [padding, padding] });
      }
    } else if (this.#factor > 1) {
      hidden = ops.upsample_nearest2d(hidden, [hidden.size(2) * this.#factor, hidden.size(3) * this.#factor]);
    }
    return this.expandConv.forward(hidden);
  }
}
