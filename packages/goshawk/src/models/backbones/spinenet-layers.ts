// The pieces of scale-permuted networks: residual blocks that keep their resolution, and the resampling of a block for
// another one.
import { init, Layer, ops, type Tensor } from '@goshawk/torch';
import { ConvNorm, type NormOptions } from './conv-norm-layers.js';
import { BasicBlock, Bottleneck } from './residual-blocks.js';

export type BlockKind = 'bottleneck' | 'basic';

/** Channels that a block of `width` gives. */
export function blockChannels(kind: BlockKind, width: number): number {
  return kind === 'bottleneck' ? width * 4 : width;
}

/**
 * A residual block of ResNet at stride 1.
 * @param width inside; blockChannels() come out
 * @param zeroInit whether it starts as the identity
 */
export function makeResidualBlock(
  kind: BlockKind,
  inChannels: number,
  width: number,
  norm: NormOptions,
  zeroInit: boolean,
): BasicBlock | Bottleneck {
  const block =
    kind === 'bottleneck'
      ? new Bottleneck(inChannels, { width, outChannels: blockChannels(kind, width), norm })
      : new BasicBlock(inChannels, width, { norm });
  if (zeroInit) init.constant(block.lastNorm.weight, 0);
  return block;
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
    let hidden = this.squeezeConv.forward(input, { relu: true });
    if (this.downsampleConv) {
      hidden = this.downsampleConv.forward(hidden, { relu: true });
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
