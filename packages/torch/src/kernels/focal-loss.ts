// Sigmoid focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017); the kernel is native/kernels/focal-loss.cc.
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface FocalLossOptions {
  /** Weight of present classes; absent ones have 1 - alpha. Default 0.25. */
  readonly alpha?: number;
  /** How fast the loss of a well classified example vanishes. Default 2. */
  readonly gamma?: number;
}

/**
 * Sum over images n, anchors and classes of weights[n] * -alpha_t (1 - p_t)^gamma log(p_t). The gradient is made in the
 * same pass, so a backward pass costs nothing more.
 * @param logits [N, A, C], or a map of [N, A * C, H, W], best in the channels_last format; float32, float16, bfloat16, float64
 * @param targets [N, A] (for a map H * W * A, cell by cell) int64: the class 0..C-1, -1 for none, -2 for an anchor left out
 * @param weights [N] factor of each image's sum
 * @returns a float32 scalar (float64 for float64 logits); its gradient goes to `logits` alone
 * @throws Error when a shape, a dtype or a target does not fit; on a card targets are not looked at beforehand, and one that is no
 * class counts as -1
 */
export function sigmoidFocalLoss(
  logits: Tensor,
  targets: Tensor,
  weights: Tensor,
  { alpha = 0.25, gamma = 2 }: FocalLossOptions = {},
): Tensor {
  return callTensorOp('goshawk::sigmoid_focal_loss', logits, targets, weights, alpha, gamma);
}
