// RetinaNet's losses without reading how many anchors match: what retina-loss.ts computes of the anchors on objects is computed
// of all, and weighed by 0 where there is none.

import { matchBatch, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import { acrossProcessesOnDevice } from '../across-processes.js';
import { decodeBoxes, encodeBoxes } from '../box-coder.js';
import { pyramidFocalLoss } from '../focal-loss.js';
import { generalizedIouLoss } from '../giou-loss.js';
import { atLeastSingle, inAll, REDUCTION_NONE } from '../losses.js';
import { type PaddedObjects, rowsAt, zeroUnless } from '../padded.js';
import type { Losses } from '../structures.js';
import type { RetinaConventions } from './retina-conventions.js';
import type { RetinaPrediction } from './retina-head.js';
import { anchorsLast, type RetinaLossOptions } from './retina-loss.js';

/** The anchors of a batch and what they are to become. */
export interface FixedAnchorTargets {
  /** [N, A] int64: place of the class among the logits, -1 for background, -2 for an anchor left out. */
  readonly classes: Tensor;
  /** [N, A] bool: on an object. */
  readonly isPositive: Tensor;
  /** [N, A, 4] the boxes of their objects; of no meaning where there is none. */
  readonly boxes: Tensor;
  /** [N, A] weight of each in the box loss, 0 where there is no object. */
  readonly weights: Tensor;
  /** [N] weight of each image in the class loss. */
  readonly imageWeights: Tensor;
}

/** Matches the [A, 4] anchors with the objects of each image. */
export function assignFixedAnchors(
  anchors: Tensor,
  objects: PaddedObjects,
  { conventions, foregroundIou, backgroundIou }: RetinaLossOptions,
): FixedAnchorTargets {
  return noGrad(() => {
    const matches = matchBatch(objects.boxes, objects.present, anchors, undefined, {
      low: backgroundIou,
      high: foregroundIou,
      allowLowQuality: true,
      plusOne: conventions.boxes === 'inclusive',
      lastClaims: conventions.lastObjectClaims,
    });
    const isPositive = ops.ge(matches, 0);
    const own = ops.clamp(matches, { min: 0 });
    const labels = rowsAt(objects.labels, own);
    const places = conventions.hasBackgroundLogit ? labels : ops.sub(labels, 1);
    const divisors = lossDivisors(ops.sum(isPositive, [1]).to('float32'), conventions.normaliser);
    return {
      classes: ops.where(isPositive, places, matches),
      isPositive,
      boxes: rowsAt(objects.boxes, own),
      weights: ops.mul(isPositive, ops.unsqueeze(ops.reciprocal(divisors.boxes), 1)),
      imageWeights: ops.reciprocal(divisors.classes),
    };
  });
}

/** What each image's losses are divided by, [N] each; `counts` [N] are the positives of this process's images. */
function lossDivisors(
  counts: Tensor,
  normaliser: RetinaConventions['normaliser'],
): { readonly classes: Tensor; readonly boxes: Tensor } {
  const images = inAll(counts.size(0));
  const ofAll = (value: Tensor): Tensor => ops.expand(value, counts.shape);
  switch (normaliser) {
    case 'image': {
      const divisors = ops.mul(ops.clamp(counts, { min: 1 }), images);
      return { classes: divisors, boxes: divisors };
    }
    case 'batch': {
      const divisors = ofAll(acrossProcessesOnDevice(ops.sum(ops.clamp(counts, { min: 1 }))));
      return { classes: divisors, boxes: divisors };
    }
    case 'positives_and_images': {
      const total = acrossProcessesOnDevice(ops.sum(counts));
      return { classes: ofAll(ops.add(total, images)), boxes: ofAll(ops.clamp(total, { min: 1 })) };
    }
  }
}

/** The two losses of a batch; `anchors` are those of all levels, [A, 4]. */
export function fixedRetinaLosses(
  { logits, offsets }: RetinaPrediction,
  anchors: Tensor,
  objects: PaddedObjects,
  options: RetinaLossOptions,
): Losses {
  const { conventions, focalAlpha: alpha, focalGamma: gamma } = options;
  return scope(() => {
    const goal = assignFixedAnchors(anchors, objects, options);
    const classes = options.classes + (conventions.hasBackgroundLogit ? 1 : 0);
    return {
      loss_classification: pyramidFocalLoss(logits, goal.classes, goal.imageWeights, { alpha, gamma, classes }),
      loss_box_reg: scope(() => boxLoss(offsets, anchors, goal, options)),
    };
  });
}

function boxLoss(
  offsets: readonly Tensor[],
  anchors: Tensor,
  goal: FixedAnchorTargets,
  options: RetinaLossOptions,
): Tensor {
  const { conventions, regressionWeights, boxLossWeight } = options;
  const { boxes: convention, boundsShrinking } = conventions;
  const predicted = atLeastSingle(ops.cat(offsets.map(anchorsLast), { dim: 1 }));
  const perAnchor = (values: Tensor): Tensor => ops.mul(ops.sum(ops.mul(values, goal.weights)), boxLossWeight);
  if (options.boxLoss === 'giou') {
    const flat = (values: Tensor): Tensor => ops.reshape(values, [-1, 4]);
    const references = flat(ops.expand(anchors, predicted.shape));
    const decoded = decodeBoxes(flat(predicted), references, regressionWeights, { convention, boundsShrinking });
    const each = generalizedIouLoss(ops.select(decoded, 1, 0), flat(goal.boxes));
    return perAnchor(ops.view(each, goal.weights.shape));
  }
  const wanted = noGrad(() => {
    const goals = encodeBoxes(goal.boxes, ops.unsqueeze(anchors, 0), regressionWeights, convention);
    return zeroUnless(goal.isPositive, goals);
  });
  const each =
    options.boxLoss === 'l1'
      ? ops.abs(ops.sub(predicted, wanted))
      : ops.smooth_l1_loss(predicted, wanted.to(predicted.dtype), {
          reduction: REDUCTION_NONE,
          beta: options.smoothL1Beta,
        });
  return perAnchor(ops.sum(each, [2]));
}
