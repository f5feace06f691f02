// What RetinaNet learns: the class of every anchor (focal loss) and the box of those on objects.

import { matchAnchors, noGrad, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import { acrossProcesses } from '../across-processes.js';
import { type BoxWeights, decodeBoxes, encodeBoxes } from '../box-coder.js';
import { pyramidFocalLoss } from '../focal-loss.js';
import { generalizedIouLoss } from '../giou-loss.js';
import { atLeastSingle, REDUCTION_NONE, zeroLoss } from '../losses.js';
import { BACKGROUND, indicesWhere } from '../sampling.js';
import type { Losses, Targets } from '../structures.js';
import type { RetinaConventions } from './retina-conventions.js';
import type { RetinaPrediction } from './retina-head.js';

export interface RetinaLossOptions {
  readonly conventions: RetinaConventions;
  readonly classes: number;
  readonly foregroundIou: number;
  readonly backgroundIou: number;
  readonly focalAlpha: number;
  readonly focalGamma: number;
  readonly boxLoss: 'l1' | 'smooth_l1' | 'giou';
  readonly smoothL1Beta: number;
  /** Factors of the offsets. */
  readonly regressionWeights: BoxWeights;
  /** Factor of the box loss. */
  readonly boxLossWeight: number;
}

/** The anchors of a batch and what they are to become. */
export interface AnchorTargets {
  /** [N, A] int64: place of the class among the logits, -1 for background, -2 for an anchor left out. */
  readonly classes: Tensor;
  /** [P] int64 places of the anchors on objects among N * A. */
  readonly positive: Tensor;
  /** [P, 4] their anchors. */
  readonly anchors: Tensor;
  /** [P, 4] the boxes of their objects. */
  readonly boxes: Tensor;
  /** [P] weight of each in the box loss. */
  readonly positiveWeights: Tensor;
  /** [N] weight of each image in the class loss. */
  readonly imageWeights: Tensor;
}

/** Matches the [A, 4] anchors with the objects of each image. */
export function assignAnchors(anchors: Tensor, targets: readonly Targets[], options: RetinaLossOptions): AnchorTargets {
  const { conventions, foregroundIou, backgroundIou } = options;
  const total = anchors.size(0);
  const device = anchors.device;
  const first = conventions.hasBackgroundLogit ? 0 : 1;
  return noGrad(() => {
    const images = targets.map(({ boxes, labels }, image) => {
      const matches = matchAnchors(boxes, anchors, {
        low: backgroundIou,
        high: foregroundIou,
        allowLowQuality: true,
        plusOne: conventions.boxes === 'inclusive',
        lastClaims: conventions.lastObjectClaims,
      });
      const positive = indicesWhere(ops.gt(matches, BACKGROUND));
      const objects = ops.index_select(matches, 0, positive);
      return {
        classes: ops.index_copy(matches, 0, positive, ops.sub(ops.index_select(labels, 0, objects), first)),
        positive: ops.add(positive, image * total),
        anchors: ops.index_select(anchors, 0, positive),
        boxes: ops.index_select(boxes, 0, objects),
        count: positive.size(0),
      };
    });
    const weights = lossWeights(
      images.map((image) => image.count),
      conventions.normaliser,
    );
    const imageWeights = tensor(weights.classes, { device });
    const boxWeights = tensor(weights.boxes, { device });
    const repeats = tensor(
      BigInt64Array.from(images, (image) => BigInt(image.count)),
      { device },
    );
    return {
      classes: ops.stack(images.map((image) => image.classes)),
      positive: ops.cat(images.map((image) => image.positive)),
      anchors: ops.cat(images.map((image) => image.anchors)),
      boxes: ops.cat(images.map((image) => image.boxes)),
      positiveWeights: ops.repeat_interleave(boxWeights, repeats, { dim: 0 }),
      imageWeights,
    };
  });
}

/** What each image's losses are multiplied by; `counts` are the positives of this process's images. */
function lossWeights(
  counts: readonly number[],
  normaliser: RetinaConventions['normaliser'],
): { readonly classes: number[]; readonly boxes: number[] } {
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const atLeastOne = counts.map((count) => Math.max(1, count));
  const own = [counts.length, sum(counts), sum(atLeastOne)] as const;
  const [images, positives, positivesOrImages] = acrossProcesses(own);
  const evenly = (divisor: number): number[] => counts.map(() => 1 / divisor);
  switch (normaliser) {
    case 'image': {
      const weights = atLeastOne.map((count) => 1 / (count * images));
      return { classes: weights, boxes: weights };
    }
    case 'batch': {
      const weights = evenly(positivesOrImages);
      return { classes: weights, boxes: weights };
    }
    case 'positives_and_images':
      return { classes: evenly(positives + images), boxes: evenly(Math.max(1, positives)) };
  }
}

/** The two losses of a batch; `anchors` are those of all levels, [A, 4]. */
export function retinaLosses(
  { logits, offsets }: RetinaPrediction,
  anchors: Tensor,
  targets: readonly Targets[],
  options: RetinaLossOptions,
): Losses {
  const { conventions, focalAlpha: alpha, focalGamma: gamma } = options;
  return scope(() => {
    const goal = assignAnchors(anchors, targets, options);
    const classes = options.classes + (conventions.hasBackgroundLogit ? 1 : 0);
    return {
      loss_classification: pyramidFocalLoss(logits, goal.classes, goal.imageWeights, { alpha, gamma, classes }),
      loss_box_reg: scope(() => boxLoss(offsets, goal, options)),
    };
  });
}

function boxLoss(offsets: readonly Tensor[], goal: AnchorTargets, options: RetinaLossOptions): Tensor {
  const { conventions, regressionWeights, boxLossWeight } = options;
  const { boxes: convention, boundsShrinking } = conventions;
  const flat = ops.reshape(ops.cat(offsets.map(anchorsLast), { dim: 1 }), [-1, 4]);
  if (goal.positive.length === 0) return zeroLoss(flat);
  const predicted = atLeastSingle(ops.index_select(flat, 0, goal.positive));
  const perAnchor = (values: Tensor): Tensor => ops.mul(ops.sum(ops.mul(values, goal.positiveWeights)), boxLossWeight);
  if (options.boxLoss === 'giou') {
    const decoded = decodeBoxes(predicted, goal.anchors, regressionWeights, { convention, boundsShrinking });
    return perAnchor(generalizedIouLoss(ops.select(decoded, 1, 0), goal.boxes));
  }
  const wanted = noGrad(() => encodeBoxes(goal.boxes, goal.anchors, regressionWeights, convention));
  const distance = ops.abs(ops.sub(predicted, wanted));
  if (options.boxLoss === 'l1') return perAnchor(ops.sum(distance, 1));
  const smooth = ops.smooth_l1_loss(predicted, wanted.to(predicted.dtype), {
    reduction: REDUCTION_NONE,
    beta: options.smoothL1Beta,
  });
  return perAnchor(ops.sum(smooth, 1));
}
/** [N, A * 4, H, W] -> [N, H * W * A, 4], the anchors' order. */
export function anchorsLast(level: Tensor): Tensor {
  return ops.reshape(ops.permute(level, [0, 2, 3, 1]), [level.size(0), -1, 4]);
}
