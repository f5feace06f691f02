// The losses of a set of predictions (Sparse R-CNN, section 3.3): each stage's proposals are paired with the objects; those with an
// object learn its class and box, the others that there is none.
import { ops, sigmoidFocalLoss, type Tensor } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../../config/index.js';
import { inAll } from '../losses.js';
import { padObjects, rowsAt, zeroUnless } from '../padded.js';
import type { Losses, Targets } from '../structures.js';
import type { StagePredictions } from './dynamic-head.js';
import { matchProposals } from './match-proposals.js';
import { overlapLoss } from './overlap-measures.js';

export type SetLossOptions = Pick<SparseRcnnConfig, 'loss' | 'matching'>;

/**
 * Sums over the stages and the pictures, divided by the number of objects in the batches of all processes, at least 1.
 * @param sizes [N, 1, 4]: width, height, width, height of each picture, network pixels
 */
export function setLosses(
  predictions: StagePredictions,
  targets: readonly Targets[],
  sizes: Tensor,
  options: SetLossOptions,
): Losses {
  const { loss } = options;
  const first = loss.allStages ? 0 : predictions.logits.length - 1;
  const dtype = predictions.boxes[0]!.dtype;
  const logits = ops.cat(predictions.logits.slice(first)).to(dtype);
  const boxes = ops.cat(predictions.boxes.slice(first));
  const stages = predictions.logits.length - first;
  const perStage = (values: Tensor): Tensor => ops.repeat(values, [stages, ...values.shape.slice(1).map(() => 1)]);

  const padded = padObjects(targets);
  const objects = perStage(padded.boxes).to(dtype);
  const labels = perStage(padded.labels);
  const ownSizes = perStage(sizes).to(dtype);
  const counts = targets.map((target) => target.boxes.size(0));
  const divisor = Math.max(1, inAll(counts.reduce((sum, count) => sum + count, 0)));
  const proposalOf = matchProposals(
    { logits: logits.detach(), boxes: boxes.detach(), labels, objects, sizes: ownSizes },
    Array.from({ length: stages }, () => counts).flat(),
    options,
  );

  const isPaired = ops.ge(proposalOf, 0);
  const classes = classTargets(proposalOf, isPaired, labels, boxes.size(1));
  const weights = ops.new_full(logits, [logits.size(0)], loss.classWeight / divisor);
  const classification = sigmoidFocalLoss(logits, classes, weights, { alpha: loss.focalAlpha, gamma: loss.focalGamma });

  const own = rowsAt(boxes, ops.clamp(proposalOf, { min: 0 }));
  const distance = ops.sum(ops.abs(ops.sub(ops.div(own, ownSizes), ops.div(objects, ownSizes))), [-1]);
  const total = (values: Tensor, weight: number): Tensor =>
    ops.mul(ops.sum(zeroUnless(isPaired, values)), weight / divisor);
  return {
    classification,
    box_l1: total(distance, loss.l1Weight),
    box_iou: total(overlapLoss(loss.iou, own, objects), loss.iouWeight),
  };
}

/** [B, P] int64: the class 0..C-1 of each proposal's object, -1 for none. */
function classTargets(proposalOf: Tensor, isPaired: Tensor, labels: Tensor, proposals: number): Tensor {
  // What is not paired goes to a place behind the last.
  const places = ops.where(isPaired, proposalOf, proposals);
  const none = ops.new_full(labels, [labels.size(0), proposals + 1], -1);
  return ops.narrow(ops.scatter(none, 1, places, ops.sub(labels, 1)), 1, 0, proposals).contiguous();
}
