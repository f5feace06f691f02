// Convolutions over [N, C, H, W] and their transposes.

import {
  depthwiseConv,
  isOwnDepthwiseFaster,
  NARROWEST_OWN_DEPTHWISE,
  WIDEST_DEPTHWISE,
} from '../kernels/depthwise-conv.js';
import { isWinogradFaster, winogradConv3x3 } from '../kernels/winograd-conv.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { empty } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { type BehindNorm, type ConvGeometry, type ConvWeights, constantConv } from './constant-conv.js';
import { dropFolded, keepFromFirstRun } from './folded-weights.js';
import * as init from './init.js';
import { type LearningWeights, learningConv, takesSingleWeight } from './learning-conv.js';
import { Layer } from './module.js';
import { Parameter } from './parameter.js';

/** One number for both directions, or [vertical, horizontal]. */
export type Pair = number | readonly [number, number];

export interface ConvOptions {
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros added at each side. Default 0. */
  readonly padding?: Pair;
  /** Default 1. */
  readonly dilation?: Pair;
  /** Default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** [N, in, H, W] to [N, out, H', W'], H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. As torch.nn.Conv2d. */
export class Conv2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;
  readonly geometry: ConvGeometry;
  /** A kernel for each channel, so wide that the engine's gradient is slow. */
  readonly #isWideDepthwise: boolean;

  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: ConvOptions = {}) {
    super();
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = options;
    checkGroups('Conv2d', inChannels, outChannels, groups);
    const [height, width] = bothOf(kernelSize);
    this.weight = new Parameter(empty([outChannels, inChannels / groups, height, width]));
    this.bias = bias ? new Parameter(empty([outChannels])) : undefined;
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
    this.geometry = {
      stride: bothOf(stride),
      padding: bothOf(padding),
      dilation: bothOf(dilation),
      groups,
      isPlain3x3: groups === 1 && isAll(kernelSize, 3) && [stride, padding, dilation].every((pair) => isAll(pair, 1)),
    };
    const isOwnWidth = width >= NARROWEST_OWN_DEPTHWISE && width <= WIDEST_DEPTHWISE;
    this.#isWideDepthwise =
      isOwnWidth && groups > 1 && groups === inChannels && groups === outChannels && isAll(dilation, 1);
    initialiseUniform(this.weight, this.bias);
  }

  // A folded weight kept from evaluation would only take memory while training.
  override train(mode = true): this {
    if (mode) dropFolded(this);
    return super.train(mode);
  }

  override forward(input: Tensor): Tensor {
    return this.constant(input, {}) ?? this.convolve(input, this.weight, this.bias);
  }

  /**
   * The convolution and what is behind it in one pass, where nothing of it learns (constant-conv.ts).
   * @param weights others than this layer's own
   */
  constant(input: Tensor, behind: BehindNorm, weights: ConvWeights = this.#own()): Tensor | undefined {
    if (this.#isWideDepthwise && isOwnDepthwiseFaster(input, this.weight)) return undefined;
    return constantConv(input, this.geometry, weights, behind);
  }

  #own(): ConvWeights {
    const { weight, bias } = this;
    const sources = bias ? [weight, bias] : [weight];
    return { owners: [this, this], sources, shape: weight.shape, make: () => ({ weight, bias }) };
  }

  /** relu(conv(input)) or the convolution alone of each of several maps, [N, C, H, W] of any sizes. */
  forEach(inputs: readonly Tensor[], { relu = false }: { readonly relu?: boolean } = {}): Tensor[] {
    const { weight, bias } = this;
    const behind = { relu };
    if (inputs.length > 1) keepFromFirstRun(this);
    const together = this.learning(inputs, { weight, bias }, behind);
    return together ?? inputs.map((input) => convRelu(input, this, behind));
  }

  /** The convolutions with what is behind them, where they learn (learning-conv.ts); undefined where the engine's do as well. */
  learning(inputs: readonly Tensor[], weights: LearningWeights, behind: BehindNorm): Tensor[] | undefined {
    if (this.#isWideDepthwise && isOwnDepthwiseFaster(inputs[0]!, weights.weight)) return undefined;
    return learningConv(inputs, this.geometry, weights, behind);
  }

  /** Whether learning() of such an input takes the weight as it is, with a factor of each output. */
  takesScale(input: Tensor): boolean {
    return takesSingleWeight([input], this.geometry, this.weight);
  }

  /** The convolution with this layer's geometry and another weight and bias. */
  convolve(input: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    if (this.geometry.isPlain3x3 && isWinogradFaster(input, weight)) return winogradConv3x3(input, weight, bias);
    const { stride, padding, dilation, groups } = this;
    if (this.#isWideDepthwise && isOwnDepthwiseFaster(input, weight)) {
      const geometry = { stride: bothOf(stride), padding: bothOf(padding) };
      return withExactBias(input, bias, (offset) => depthwiseConv(input, weight, offset, geometry));
    }
    return withExactBias(input, bias, (offset) =>
      callTensorOp('aten::conv2d', input, weight, offset, stride, padding, dilation, groups),
    );
  }
}

/** relu(conv(input) + residual), [N, C, H, W], in as few passes as there can be. */
export function convRelu(input: Tensor, conv: Conv2d, behind: BehindNorm = { relu: true }): Tensor {
  const constant = conv.constant(input, behind);
  if (constant) return constant;
  const { weight, bias } = conv;
  return conv.learning([input], { weight, bias }, behind)?.[0] ?? addThenRelu(conv.forward(input), behind);
}

/** Writes over `output`. */
export function addThenRelu(output: Tensor, { residual, relu = false }: BehindNorm): Tensor {
  const sum = residual ? callTensorOp('aten::add_.Tensor', output, residual) : output;
  return relu ? callTensorOp('aten::relu_', sum) : sum;
}

export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns added at the bottom and right of the output. Default 0. */
  readonly outputPadding?: Pair;
}

/** [N, in, H, W] to [N, out, H', W'], H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1. As torch.nn.ConvTranspose2d. */
export class ConvTranspose2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly outputPadding: Pair;
  readonly dilation: Pair;
  readonly groups: number;

  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: ConvTransposeOptions = {}) {
    super();
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1, bias = true } = options;
    checkGroups('ConvTranspose2d', inChannels, outChannels, groups);
    const [height, width] = bothOf(kernelSize);
    this.weight = new Parameter(empty([inChannels, outChannels / groups, height, width]));
    this.bias = bias ? new Parameter(empty([outChannels])) : undefined;
    this.stride = stride;
    this.padding = padding;
    this.outputPadding = outputPadding;
    this.dilation = dilation;
    this.groups = groups;
    initialiseUniform(this.weight, this.bias);
  }

  override forward(input: Tensor): Tensor {
    const { weight, stride, padding, outputPadding, groups, dilation } = this;
    return withExactBias(input, this.bias, (bias) =>
      callTensorOp(
        'aten::conv_transpose2d.input',
        input,
        weight,
        bias,
        stride,
        padding,
        outputPadding,
        groups,
        dilation,
      ),
    );
  }
}

/**
 * The convolution, whose bias gets a gradient with exact sums. The engine's for the CPU adds floats pixel by pixel in the
 * channels_last format and loses two digits over 50,000 pixels (native/kernels/bias-gradient.cc); on a card it adds in a tree.
 */
function withExactBias(
  input: Tensor,
  bias: Tensor | undefined,
  convolve: (bias: Tensor | undefined) => Tensor,
): Tensor {
  if (!bias?.requiresGrad || !isGradEnabled() || input.device !== 'cpu') return convolve(bias);
  return callTensorOp('goshawk::with_bias_gradient', convolve(callTensorOp('aten::detach', bias)), bias);
}

/** PyTorch's default for convolutions and linear layers: weight and bias uniform within 1 / sqrt(fan in). */
export function initialiseUniform(weight: Parameter, bias: Parameter | undefined): void {
  init.kaimingUniform(weight, { a: Math.sqrt(5) });
  const { fanIn } = init.fans(weight);
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  if (bias) init.uniform(bias, { from: -bound, to: bound });
}

function isAll(pair: Pair, value: number): boolean {
  return bothOf(pair).every((side) => side === value);
}

export function bothOf(pair: Pair): readonly [number, number] {
  return typeof pair === 'number' ? [pair, pair] : pair;
}

function checkGroups(layer: string, inChannels: number, outChannels: number, groups: number): void {
  if (inChannels % groups !== 0 || outChannels % groups !== 0)
    throw new RangeError(
      `${layer}: ${inChannels} input and ${outChannels} output channels are no multiples of ${groups} groups`,
    );
}
