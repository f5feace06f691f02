// Pooling over [N, C, H, W].
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Pair } from './conv.js';
import { Layer } from './module.js';

export interface PoolOptions {
  /** Default the kernel's size. */
  readonly stride?: Pair;
  /** Default 0. */
  readonly padding?: Pair;
  /** Rounds the output's sides up instead of down. Default false. */
  readonly ceilMode?: boolean;
}

/** As torch.nn.MaxPool2d. */
export class MaxPool2d extends Layer {
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly ceilMode: boolean;

  constructor(kernelSize: Pair, options: PoolOptions & { dilation?: Pair } = {}) {
    super();
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.dilation = options.dilation ?? 1;
    this.ceilMode = options.ceilMode ?? false;
  }

  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    return callTensorOp('aten::max_pool2d', input, kernelSize, stride, padding, dilation, ceilMode);
  }
}

/** As torch.nn.AvgPool2d; `countIncludePad` (default true) counts the zeros of the padding in the mean. */
export class AvgPool2d extends Layer {
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;

  constructor(kernelSize: Pair, options: PoolOptions & { countIncludePad?: boolean } = {}) {
    super();
    this.kernelSize = kernelSize;
    this.stride = options.stride ?? kernelSize;
    this.padding = options.padding ?? 0;
    this.ceilMode = options.ceilMode ?? false;
    this.countIncludePad = options.countIncludePad ?? true;
  }

  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad } = this;
    return callTensorOp('aten::avg_pool2d', input, kernelSize, stride, padding, ceilMode, countIncludePad);
  }
}

/** Means over bins that divide the input into `outputSize` rows and columns. As torch.nn.AdaptiveAvgPool2d. */
export class AdaptiveAvgPool2d extends Layer {
  readonly outputSize: Pair;

  constructor(outputSize: Pair) {
    super();
    this.outputSize = outputSize;
  }

  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::adaptive_avg_pool2d', input, this.outputSize);
  }
}
