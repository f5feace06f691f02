// The block of Res2Net (Gao et al., "Res2Net: A New Multi-scale Backbone Architecture", 2019), with its published names.
import {
  AvgPool2d,
  type Conv2d,
  convNormReluInto,
  isConvNormReluInto,
  isGradEnabled,
  Layer,
  ops,
  type Tensor,
} from '@goshawk/torch';
import { convThenNorm, makeConv, makeNorm, makeShortcut, type Norm, type Shortcut } from './conv-norm-layers.js';
import type { BottleneckOptions } from './residual-blocks.js';

export interface Bottle2neckOptions extends BottleneckOptions {
  /** Splits of the channels between the 1x1 convolutions, at least 2; `width` is that of one. */
  readonly scale: number;
}

/**
 * A bottleneck whose 3x3 convolution is several narrow ones, one for each split of the channels but the last. Each reads its
 * split plus what the one before it gave; the last split passes. In the first block of a stage none reads another, and the
 * last split passes through a mean over 3x3 cells, zeros at the border counted.
 */
export class Bottle2neck extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly convs: Conv2d[];
  readonly bns: Norm[];
  readonly conv3: Conv2d;
  readonly bn3: Norm;
  readonly downsample?: Shortcut;
  readonly #width: number;
  /** Of the 3x3 convolutions and the pool. */
  readonly #innerStride: number;
  /** Of the last split; in the first block of a stage. */
  readonly #pool?: AvgPool2d;

  constructor(inChannels: number, options: Bottle2neckOptions) {
    super();
    const { width, scale, outChannels, stride = 1, dilation = 1, groups = 1, strideIn1x1 = false, norm } = options;
    this.#width = width;
    const innerStride = strideIn1x1 ? 1 : stride;
    this.#innerStride = innerStride;
    this.conv1 = makeConv(inChannels, width * scale, 1, { stride: strideIn1x1 ? stride : 1 });
    this.bn1 = makeNorm(norm, width * scale);
    const convolved = Array.from({ length: scale - 1 });
    this.convs = convolved.map(() => makeConv(width, width, 3, { stride: innerStride, dilation, groups }));
    this.bns = convolved.map(() => makeNorm(norm, width));
    this.conv3 = makeConv(width * scale, outChannels, 1);
    this.bn3 = makeNorm(norm, outChannels);
    if (stride === 1 && inChannels === outChannels) return;
    this.downsample = makeShortcut(inChannels, outChannels, options);
    this.#pool = new AvgPool2d(3, { stride: innerStride, padding: 1 });
  }

  /** A block whose last norm has factors of 0 starts as the identity (Goyal et al. 2017). */
  get lastNorm(): Norm {
    return this.bn3;
  }

  override forward(input: Tensor): Tensor {
    const hidden = convThenNorm(input, this.conv1, this.bn1, { relu: true });
    const mixed = this.#mixInto(hidden) ?? (this.#mayOverwrite(hidden) ? this.#mixInPlace(hidden) : this.#mix(hidden));
    const residual = this.downsample ? this.downsample.forward(input) : input;
    return convThenNorm(mixed, this.conv3, this.bn3, { residual, relu: true });
  }

  #mix(hidden: Tensor): Tensor {
    // One operator, whose gradient is one concatenation; that of a slice alone is as large as all of them.
    const splits = ops.split(hidden, this.#width, { dim: 1 });
    const parts: Tensor[] = [];
    for (let index = 0; index < this.convs.length; index++)
      parts.push(this.#convolve(index, splits[index]!, parts.at(-1)));
    const last = splits[this.convs.length]!;
    parts.push(this.#pool ? this.#pool.forward(last) : last);
    return ops.cat(parts, { dim: 1 });
  }

  /** The same, each part written to its place by the convolution itself; undefined where none does so. */
  #mixInto(hidden: Tensor): Tensor | undefined {
    const slice = (of: Tensor, index: number): Tensor => ops.narrow(of, 1, index * this.#width, this.#width);
    if (!this.#mayOverwrite(hidden) || !isConvNormReluInto(slice(hidden, 0), this.convs[0]!, this.bns[0]!))
      return undefined;
    const mixed = ops.empty_like(hidden);
    let before: Tensor | undefined;
    for (const [index, conv] of this.convs.entries()) {
      const into = slice(mixed, index);
      const maps = { input: slice(hidden, index), added: this.#pool ? undefined : before };
      if (!convNormReluInto(into, maps, conv, this.bns[index]!)) return undefined;
      before = into;
    }
    const last = slice(hidden, this.convs.length);
    ops.copy_(slice(mixed, this.convs.length), this.#pool ? this.#pool.forward(last) : last);
    return mixed;
  }

  /** The same, each part written over its split: a concatenation takes longer than a narrow convolution. */
  #mixInPlace(hidden: Tensor): Tensor {
    const split = (index: number): Tensor => ops.narrow(hidden, 1, index * this.#width, this.#width);
    let before: Tensor | undefined;
    for (let index = 0; index < this.convs.length; index++) {
      before = this.#convolve(index, split(index), before);
      ops.copy_(split(index), before);
    }
    const last = split(this.convs.length);
    if (this.#pool) ops.copy_(last, this.#pool.forward(last));
    return hidden;
  }

  #convolve(index: number, split: Tensor, before: Tensor | undefined): Tensor {
    const input = before && !this.#pool ? ops.add(before, split) : split;
    return convThenNorm(input, this.convs[index]!, this.bns[index]!, { relu: true });
  }

  /** Whether nobody asks for the splits again, and the parts are of their size. */
  #mayOverwrite(hidden: Tensor): boolean {
    if (hidden.device !== 'cpu' || this.#innerStride !== 1) return false;
    if (!isGradEnabled()) return true;
    return !hidden.requiresGrad && ![...this.convs, ...this.bns].some(learns);
  }
}

function learns(layer: Layer): boolean {
  return layer.parameters().some(({ requiresGrad }) => requiresGrad);
}
