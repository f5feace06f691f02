// What the keypoint head learns: of all cells of a heatmap, the one in which the keypoint lies.
import { ops, type Tensor } from '@goshawk/torch';
import { atLeastSingle, shareOfAll, zeroLoss } from '../losses.js';

export interface KeypointGoals {
  /** [R, K] int64: row * side + column of the keypoint's cell. */
  readonly cells: Tensor;
  /** [R, K] bool: visible and inside the box. */
  readonly valid: Tensor;
}

/**
 * @param keypoints [R, K, 3] x, y, visibility of each box's object
 * @param boxes [R, 4] xyxy in the same pixels; one pixel is not added, also to inclusive boxes (Detectron's
 *   keypoints_to_heatmap_labels, whose right and lower border belong to the last cell)
 */
export function keypointCells(keypoints: Tensor, boxes: Tensor, side: number): KeypointGoals {
  const [x, y, visibility] = ops.unbind(keypoints, { dim: 2 }) as [Tensor, Tensor, Tensor];
  const [x1, y1, x2, y2] = ops.unbind(ops.unsqueeze(boxes, 1), { dim: 2 }) as [Tensor, Tensor, Tensor, Tensor];
  const cellAlong = (value: Tensor, from: Tensor, to: Tensor): Tensor => {
    const cell = ops.floor(ops.mul(ops.sub(value, from), ops.div(ops.full_like(from, side), ops.sub(to, from))));
    return ops.where(ops.eq(value, to), ops.full_like(cell, side - 1), cell);
  };
  const column = cellAlong(x, x1, x2);
  const row = cellAlong(y, y1, y2);
  const within = (cell: Tensor): Tensor => ops.logical_and(ops.ge(cell, 0), ops.lt(cell, side));
  const valid = ops.logical_and(ops.logical_and(within(column), within(row)), ops.gt(visibility, 0));
  const cells = ops.mul(ops.add(ops.mul(row, side), column), valid.to('float32'));
  return { cells: ops.nan_to_num(cells).to('int64'), valid };
}

/** [R] bool: whether at least one visible keypoint of [R, K, 3] lies in the [R, 4] box, its border included. */
export function hasKeypointInside(keypoints: Tensor, boxes: Tensor): Tensor {
  const [x, y, visibility] = ops.unbind(keypoints, { dim: 2 }) as [Tensor, Tensor, Tensor];
  const [x1, y1, x2, y2] = ops.unbind(ops.unsqueeze(boxes, 1), { dim: 2 }) as [Tensor, Tensor, Tensor, Tensor];
  const along = (value: Tensor, from: Tensor, to: Tensor): Tensor =>
    ops.logical_and(ops.ge(value, from), ops.le(value, to));
  const inside = ops.logical_and(along(x, x1, x2), along(y, y1, y2));
  return ops.any(ops.logical_and(inside, ops.gt(visibility, 0)), 1);
}

/**
 * Cross entropy over the H * H cells of [R, K, H, H] logits, summed over the valid keypoints and divided by `normaliser`;
 * without one, by the number of valid keypoints in all processes.
 */
export function keypointLoss(logits: Tensor, { cells, valid }: KeypointGoals, normaliser?: number): Tensor {
  const [rois = 0, keypoints = 0, height = 0, width = 0] = logits.shape;
  const counted = ops.sum(valid.to('float32'));
  if (rois === 0) return normaliser === undefined ? shareOfAll(zeroLoss(logits), counted) : zeroLoss(logits);
  const flat = ops.view(atLeastSingle(logits.contiguous()), [rois * keypoints, height * width]);
  const each = ops.nll_loss(ops.log_softmax(flat, 1), ops.reshape(cells, [-1]), { reduction: 0 });
  const weights = ops.reshape(valid, [-1]).to(each.dtype);
  const sum = ops.sum(ops.mul(each, weights));
  return normaliser === undefined ? shareOfAll(sum, counted) : ops.div(sum, normaliser);
}
