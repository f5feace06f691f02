// Losses shared by the detectors.
import { ops, type Tensor } from '@goshawk/torch';

// The engine's numbers for "none" and "sum" in its losses.
export const REDUCTION_NONE = 0;
export const REDUCTION_SUM = 2;

/** Sum over all elements of the smooth L1 loss: d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere (Fast R-CNN, 2015). */
export function smoothL1Sum(prediction: Tensor, target: Tensor, beta: number): Tensor {
  return ops.smooth_l1_loss(prediction, target, { reduction: REDUCTION_SUM, beta });
}

/** Mean binary cross entropy of logits; 0 of none. */
export function binaryCrossEntropyMean(logits: Tensor, target: Tensor): Tensor {
  if (logits.length === 0) return zeroLoss(logits);
  return ops.binary_cross_entropy_with_logits(logits, target);
}

/** Mean cross entropy of [N, C] logits with [N] int64 classes; 0 of none. */
export function crossEntropyMean(logits: Tensor, classes: Tensor): Tensor {
  if (logits.length === 0) return zeroLoss(logits);
  return ops.cross_entropy_loss(logits, classes);
}

/** A zero that keeps `tensor` connected to the loss, so that its parameters get a gradient of zero and not none. */
export function zeroLoss(tensor: Tensor): Tensor {
  return ops.mul(ops.sum(tensor), 0);
}

/** A sum over a number of rows, as a mean over those that were counted; 0 where none were, since then the sum is. */
export function share(sum: Tensor, count: Tensor | number): Tensor {
  return typeof count === 'number' ? ops.div(sum, count) : ops.div(sum, ops.clamp(count, { min: 1 }));
}
