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

export interface MatchBatchOptions extends MatchAnchorsOptions {
  /** With allowLowQuality: only objects whose best IoU reaches this are given boxes below `high`. Default 0: all. */
  readonly lowestBestIou?: number;
}

/**
 * `matchAnchors` for the images of a batch at once, in tensors of one size.
 * @param objects [N, G, 4] xyxy
 * @param present [N, G] bool: which rows of `objects` are any
 * @param boxes [A, 4] xyxy of all images, or [N, A, 4] of each
 * @param takingPart [N, A] bool: the others come out as -2; undefined: all take part
 * @returns [N, A] int64, each an index into its image's row of `objects`, or as of `matchAnchors`
 */
export function matchBatch(
  objects: Tensor,
  present: Tensor,
  boxes: Tensor,
  takingPart: Tensor | undefined,
  options: MatchBatchOptions,
): Tensor {
  const { low, high, allowLowQuality = false, plusOne = false, lastClaims = false, lowestBestIou = 0 } = options;
  const rule = [low, high, allowLowQuality, plusOne, lastClaims, lowestBestIou];
  return callTensorOp('goshawk::match_batch', objects, present, boxes, takingPart, ...rule);
}
