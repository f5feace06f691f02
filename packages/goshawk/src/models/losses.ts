// Losses shared by the detectors.
import { ops, type Tensor } from '@goshawk/torch';
import { acrossProcesses, acrossProcessesOnDevice } from './across-processes.js';

// The engine's numbers for "none" and "sum" in its losses.
export const REDUCTION_NONE = 0;
export const REDUCTION_SUM = 2;

/** Sum over all elements of the smooth L1 loss: d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere (Fast R-CNN, 2015). */
export function smoothL1Sum(prediction: Tensor, target: Tensor, beta: number): Tensor {
  return ops.smooth_l1_loss(prediction, target.to(prediction.dtype), { reduction: REDUCTION_SUM, beta });
}

/**
 * Sum of the binary cross entropies of logits over `count`, by default their number in all processes, so that the processes' losses
 * add up to the mean; 0 of none.
 */
export function binaryCrossEntropyMean(logits: Tensor, target: Tensor, count = inAll(logits.length)): Tensor {
  if (logits.length === 0) return zeroLoss(logits);
  return partOf(ops.binary_cross_entropy_with_logits(logits, target.to(logits.dtype)), logits.length, count);
}

/** The same of the cross entropies of [N, C] logits with [N] int64 classes; N is what is counted. */
export function crossEntropyMean(logits: Tensor, classes: Tensor, count = inAll(classes.length)): Tensor {
  if (logits.length === 0) return zeroLoss(logits);
  return partOf(ops.cross_entropy_loss(logits, classes), classes.length, count);
}

/** Half types as float32, in which losses are computed at least. */
export function atLeastSingle(values: Tensor): Tensor {
  return values.dtype === 'float64' ? values : values.to('float32');
}

/** A number over all processes. */
export function inAll(count: number): number {
  return acrossProcesses([count])[0]!;
}

/** A mean over `own` values as the part that they have of a mean over `all`. */
export function partOf(mean: Tensor, own: number, all: number): Tensor {
  return own === all ? mean : ops.mul(mean, own / all);
}

/** A zero that keeps `tensor` connected to the loss, so that its parameters get a gradient of zero and not none. */
export function zeroLoss(tensor: Tensor): Tensor {
  return ops.mul(ops.sum(tensor), 0);
}

/**
 * A sum over a number of rows, as this process's part of the mean over those that all processes counted; 0 where none were, since
 * then the sum is.
 */
export function shareOfAll(sum: Tensor, count: Tensor): Tensor {
  return share(sum, acrossProcessesOnDevice(count));
}

/** A sum over a number of rows, as a mean over those that were counted; 0 where none were, since then the sum is. */
export function share(sum: Tensor, count: Tensor | number): Tensor {
  return typeof count === 'number' ? ops.div(sum, count) : ops.div(sum, ops.clamp(count, { min: 1 }));
}
