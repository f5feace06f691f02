// Convolutions with a kernel for each channel; native/kernels/depthwise-conv.cc.
import { autocastDType } from '../amp/autocast.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface DepthwiseConvOptions {
  /** [vertical, horizontal] */
  readonly stride: readonly [number, number];
  /** Zeros added at each side: [vertical, horizontal]. */
  readonly padding: readonly [number, number];
}

/** The widest kernel, in cells. */
export const WIDEST_DEPTHWISE = 7;

// Measured on an AVX-512 server, 120 channels of 80 x 80 cells by 5 x 5: the engine's gradient of the weight takes 27 ms, ours 7; by 3 x 3
// the engine's is the faster one.
export const NARROWEST_OWN_DEPTHWISE = 4;

/**
 * The engine's convolution, whose weight gets its gradient by a kernel of ours.
 * @param input [N, C, H, W] float32, best in the channels_last format
 * @param weight [C, 1, kh, kw] float32
 * @param bias [C], which gets no gradient
 */
export function depthwiseConv(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  { stride, padding }: DepthwiseConvOptions,
): Tensor {
  return callTensorOp('goshawk::depthwise_conv', input, weight, bias, stride, padding);
}

/** Whether that is faster than the engine's alone: where the weight learns from maps in float32, pixel by pixel in memory. */
export function isOwnDepthwiseFaster(input: Tensor, weight: Tensor): boolean {
  return (
    weight.requiresGrad &&
    isGradEnabled() &&
    input.device === 'cpu' &&
    input.dtype === 'float32' &&
    weight.dtype === 'float32' &&
    input.strides[1] === 1 &&
    autocastDType('cpu') === undefined
  );
}
