// The losses of the second stage over rows of which some count: box-loss.ts, mask-loss.ts and keypoint-loss.ts of samples of
// fixed size. A row that does not count has no influence on a value or a gradient.
import { ops, type Tensor } from '@goshawk/torch';
import { acrossProcessesOnDevice } from '../across-processes.js';
import { atLeastSingle, REDUCTION_NONE, REDUCTION_SUM, share } from '../losses.js';
import type { Losses } from '../structures.js';
import type { BoxPrediction } from './box-head.js';
import type { FixedRoiSample } from './fixed-samples.js';
import { type KeypointGoals, keypointLoss } from './keypoint-loss.js';

// The engine leaves this class out of a cross entropy.
const NO_CLASS = -100;

/** @param prediction of [N * S] rows */
export function fixedBoxLosses({ logits, offsets }: BoxPrediction, sample: FixedRoiSample, beta: number): Losses {
  const { positives, valid } = sample;
  const [images = 0, rows = 0] = valid.shape;
  const most = positives.valid.size(1);
  const counted = acrossProcessesOnDevice(ops.sum(valid));
  const classes = ops.view(ops.where(valid, sample.labels, NO_CLASS), [-1]);
  const crossEntropy = ops.cross_entropy_loss(atLeastSingle(logits), classes, {
    reduction: REDUCTION_SUM,
    ignore_index: NO_CLASS,
  });
  const boxes = offsets.size(1) / 4;
  const first = ops.narrow(ops.view(offsets, [images, rows, boxes, 4]), 1, 0, most);
  const own = boxes === logits.size(1) ? positives.labels : ops.ones_like(positives.labels);
  const places = ops.expand(ops.view(own, [images, most, 1, 1]), [images, most, 1, 4]);
  const chosen = atLeastSingle(ops.squeeze(ops.gather(first, 2, places), 2));
  const each = ops.smooth_l1_loss(chosen, positives.goals.to(chosen.dtype), { reduction: REDUCTION_NONE, beta });
  return {
    loss_classifier: share(crossEntropy, counted),
    loss_box_reg: share(ops.sum(ops.mul(each, ops.unsqueeze(positives.valid, 2))), counted),
  };
}

/** Binary cross entropy between [N * L, M, M] logits and as many goals: its mean over the positives. */
export function fixedMaskLoss(logits: Tensor, goals: Tensor, valid: Tensor): Tensor {
  const [, height = 0, width = 0] = logits.shape;
  const values = atLeastSingle(logits);
  const sum = ops.binary_cross_entropy_with_logits(values, goals.to(values.dtype), {
    weight: ops.view(valid.to(values.dtype), [-1, 1, 1]),
    reduction: REDUCTION_SUM,
  });
  return share(sum, ops.mul(ops.clamp(acrossProcessesOnDevice(ops.sum(valid)), { min: 1 }), height * width));
}

/** As keypointLoss, of [N * R, K, H, H] logits. @param valid [N, R] bool */
export function fixedKeypointLoss(
  logits: Tensor,
  goals: KeypointGoals,
  valid: Tensor,
  normaliser: number | undefined,
): Tensor {
  const counted = ops.logical_and(goals.valid, ops.view(valid, [-1, 1]));
  return keypointLoss(logits, { cells: goals.cells, valid: counted }, normaliser);
}
