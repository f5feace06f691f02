// Which proposal answers for which object: the pairing of least total cost (DETR, Carion et al. 2020, section 3.1; the costs of
// Sparse R-CNN, section 3.3).
import { linearAssignment, noGrad, ops, type Tensor } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../../config/index.js';
import { overlapOf } from './overlap-measures.js';

/** B sets of predictions, each with the objects that it is held against. */
export interface SetsToMatch {
  /** [B, P, C]. */
  readonly logits: Tensor;
  /** [B, P, 4] xyxy, network pixels. */
  readonly boxes: Tensor;
  /** [B, G] int64, 1..C; any value where there is no object. */
  readonly labels: Tensor;
  /** [B, G, 4] xyxy, network pixels. */
  readonly objects: Tensor;
  /** [B, 1, 4]: width, height, width, height of the picture. */
  readonly sizes: Tensor;
}

export interface MatchingOptions {
  readonly matching: SparseRcnnConfig['matching'];
  readonly loss: Pick<SparseRcnnConfig['loss'], 'focalAlpha' | 'focalGamma'>;
}

/**
 * @param counts objects of each set
 * @returns [B, G] int64: the proposal of each object, -1 where there is none
 */
export function matchProposals(sets: SetsToMatch, counts: readonly number[], options: MatchingOptions): Tensor {
  return noGrad(() => linearAssignment(matchingCosts(sets, options), counts));
}

// What a cost that is no number counts as: such a training ends at its loss, which says so.
const WORST = 1e8;

/** [B, P, G]: focal loss of the object's class less that of its absence, distance of the corners, negative overlap. */
export function matchingCosts(sets: SetsToMatch, { matching, loss }: MatchingOptions): Tensor {
  const { classCost, l1Cost, iouCost, iou } = matching;
  const { labels, sizes } = sets;
  const proposals = sets.boxes.size(1);
  const dtype = sets.boxes.dtype;
  const [count = 0, objects = 0] = labels.shape;
  const columns = ops.expand(ops.unsqueeze(ops.clamp(ops.sub(labels, 1), { min: 0 }), 1), [count, proposals, objects]);
  const logits = ops.gather(sets.logits, 2, columns).to(dtype);
  const boxes = ops.unsqueeze(sets.boxes, 2);
  const others = ops.unsqueeze(sets.objects.to(dtype), 1);
  const scale = ops.unsqueeze(sizes.to(dtype), 2);
  const distance = ops.sum(ops.abs(ops.sub(ops.div(boxes, scale), ops.div(others, scale))), [-1]);
  const costs = ops.sub(
    ops.add(ops.mul(focalCost(logits, loss), classCost), ops.mul(distance, l1Cost)),
    ops.mul(overlapOf(iou, boxes, others), iouCost),
  );
  return ops.nan_to_num(costs, { nan: WORST, posinf: WORST, neginf: -WORST });
}

/** From the logits: the logarithm of a probability that rounds to 0 has no value. */
function focalCost(logits: Tensor, { focalAlpha, focalGamma }: MatchingOptions['loss']): Tensor {
  const present = ops.sigmoid(logits);
  const absent = ops.sigmoid(ops.neg(logits));
  const ifPresent = ops.mul(ops.mul(ops.pow(absent, focalGamma), ops.log_sigmoid(logits)), -focalAlpha);
  const ifAbsent = ops.mul(ops.mul(ops.pow(present, focalGamma), ops.log_sigmoid(ops.neg(logits))), focalAlpha - 1);
  return ops.sub(ifPresent, ifAbsent);
}
