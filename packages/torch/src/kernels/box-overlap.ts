// Overlap of boxes with boxes, and which object each box belongs to; the kernels are in native/kernels/match-anchors.cc.
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Intersection over union of every pair.
 * @param a [N, 4] xyxy
 * @param b [M, 4] xyxy
 * @returns [N, M] float32 (float64 where one of both is); NaN for two empty boxes in one place
 */
export function boxIou(a: Tensor, b: Tensor, { plusOne = false }: { readonly plusOne?: boolean } = {}): Tensor {
  return callTensorOp('goshawk::box_iou', a, b, plusOne);
}

export interface MatchAnchorsOptions {
  /** Below this IoU with every object: background. */
  readonly low: number;
  /** From this IoU on: matched to the object of highest IoU. */
  readonly high: number;
  /** Boxes that reach an object's best IoU are matched to their own best object, however low. Default false. */
  readonly allowLowQuality?: boolean;
  /** Boxes are x2 - x1 + 1 wide. Default false. */
  readonly plusOne?: boolean;
  /**
   * With allowLowQuality: an object takes the boxes that reach its best IoU for itself, whatever their own best object is;
   * the last such object wins, and one that no box overlaps takes none. mmdetection 1's rule. Default false.
   */
  readonly lastClaims?: boolean;
}

/**
 * Matches boxes to objects as Faster R-CNN's (2015) section 3.1.2, with torchvision's Matcher's treatment of ties: the
 * first object wins. As there, an object that no box overlaps has best IoU 0, which every box that misses it reaches.
 * @param objects [G, 4] xyxy; none makes every box background
 * @param boxes [A, 4] xyxy
 * @returns [A] int64: index of the object, -1 for background, -2 for an IoU between the thresholds
 */
export function matchAnchors(
  objects: Tensor,
  boxes: Tensor,
  { low, high, allowLowQuality = false, plusOne = false, lastClaims = false }: MatchAnchorsOptions,
): Tensor {
  return callTensorOp('goshawk::match_anchors', objects, boxes, low, high, allowLowQuality, plusOne, lastClaims);
}
