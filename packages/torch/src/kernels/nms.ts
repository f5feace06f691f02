// Greedy non-maximum suppression; the kernel is native/kernels/nms.cc.
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface NmsOptions {
  /** Boxes are x2 - x1 + 1 wide, as in Detectron, maskrcnn-benchmark and mmdetection 1. Default false. */
  readonly plusOne?: boolean;
  /** Suppress at IoU >= threshold, as the CPU code of those three. Default false: at IoU > threshold. */
  readonly suppressEqual?: boolean;
}

/**
 * Keeps a box unless a kept one of higher score overlaps it by more than `thresholdIou`.
 * @param boxes [N, 4] xyxy floating point; NaN boxes overlap nothing
 * @param scores [N] floating point; equal ones go by index, NaN last
 * @returns [M] int64 indices of the kept boxes, best score first
 */
export function nms(
  boxes: Tensor,
  scores: Tensor,
  thresholdIou: number,
  { plusOne = false, suppressEqual = false }: NmsOptions = {},
): Tensor {
  return callTensorOp('goshawk::nms', boxes, scores, thresholdIou, plusOne, suppressEqual);
}

/**
 * NMS in which only boxes of the same group (class, pyramid level) meet. Groups are compared apart, not moved apart by an
 * offset as in torchvision, so coordinates keep their precision.
 * @param groups [N] integers
 * @returns [M] int64 indices of the kept boxes of all groups, best score first
 */
export function batchedNms(
  boxes: Tensor,
  scores: Tensor,
  groups: Tensor,
  thresholdIou: number,
  { plusOne = false, suppressEqual = false }: NmsOptions = {},
): Tensor {
  return callTensorOp('goshawk::batched_nms', boxes, scores, groups, thresholdIou, plusOne, suppressEqual);
}

/**
 * The first `count` of what `batchedNms` keeps of each image, in results whose size does not depend on values: on a card
 * nothing waits.
 * @param boxes [N, K, 4] xyxy floating point
 * @param scores [N, K] floating point; candidates of -Infinity take no part
 * @param groups [N, K] integers, or [K] for all images
 * @returns [N, count] int64 indices, best score first, and [N, count] bool whether each is one; 0 and false behind the last
 */
export function nmsFirst(
  boxes: Tensor,
  scores: Tensor,
  groups: Tensor,
  thresholdIou: number,
  { count, plusOne = false, suppressEqual = false }: NmsOptions & { readonly count: number },
): { readonly kept: Tensor; readonly valid: Tensor } {
  const result = callOp('goshawk::nms_first', boxes, scores, groups, thresholdIou, count, plusOne, suppressEqual);
  const [kept, valid] = result as [Tensor, Tensor];
  return { kept, valid };
}
