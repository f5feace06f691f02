// Norms with exact sums; the kernels are native/kernels/batch-norm.cc and group-norm.cc.
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/** The tensors of a batch norm, each [C]. */
export interface BatchNormTensors {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly runningMean: Tensor;
  readonly runningVar: Tensor;
}

/**
 * Training's batch norm (Ioffe and Szegedy 2015): (input - mean) / sqrt(variance + eps) * weight + bias with each channel's
 * mean and biased variance over the batch. The running values move by `momentum` towards the mean and the unbiased variance.
 * Sums end in double precision and are the same on any number of threads. Other dtypes and devices take the engine's.
 * @param input [N, C, ...] float32 or bfloat16 (the result's dtype), contiguous or in the channels_last format; the four
 * tensors float32
 * @throws Error where a channel has one value, which has no variance, or where a shape does not fit
 */
export function batchNormTraining(
  input: Tensor,
  { weight, bias, runningMean, runningVar }: BatchNormTensors,
  { momentum, eps }: { readonly momentum: number; readonly eps: number },
): Tensor {
  return callTensorOp('goshawk::batch_norm', input, weight, bias, runningMean, runningVar, momentum, eps);
}

/**
 * Group norm (Wu and He 2018): (input - mean) / sqrt(variance + eps) * weight + bias with the mean and biased variance of
 * each group of channels of each image. Sums, dtypes and devices as in batchNormTraining().
 * @param input [N, C, ...], C a multiple of `groups`
 * @param weight [C], as bias
 * @throws Error where a shape does not fit
 */
export function groupNorm(input: Tensor, groups: number, weight: Tensor, bias: Tensor, eps: number): Tensor {
  return callTensorOp('goshawk::group_norm', input, groups, weight, bias, eps);
}
