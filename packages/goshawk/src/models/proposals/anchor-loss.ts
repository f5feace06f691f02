// What a region proposal network learns (Faster R-CNN, Ren et al. 2015, section 3.1.2): which of the anchors drawn hold an
// object, and how these lead to it.
import { noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import { acrossProcesses } from '../across-processes.js';
import { type BoxWeights, encodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import {
  atLeastSingle,
  binaryCrossEntropyMean,
  crossEntropyMean,
  shareOfAll,
  smoothL1Sum,
  zeroLoss,
} from '../losses.js';
import { type BatchDraws, randomDraws } from '../sampling.js';
import type { HeightWidth, Losses, Targets } from '../structures.js';
import { type DrawAnchorsOptions, drawAnchors } from './draw-anchors.js';

export interface AnchorLossOptions extends DrawAnchorsOptions {
  /** Default randomDraws. */
  readonly draws?: BatchDraws;
}

/** What the network says about every anchor, a tensor a level. */
export interface AnchorPredictions {
  /** [N, A_l, 1] objectness, or [N, A_l, 2] with the background first. */
  readonly logits: readonly Tensor[];
  /** [N, A_l, 4] */
  readonly offsets: readonly Tensor[];
  /** [A_l, 4] xyxy, network pixels. */
  readonly anchors: readonly Tensor[];
}

// The offsets of the first stage are not weighted.
export const ANCHOR_WEIGHTS: BoxWeights = [1, 1, 1, 1];

// Faster R-CNN's regression loss turns linear at 1/9: Detectron's choice, kept by torchvision.
export const SMOOTH_L1_BETA = 1 / 9;

/** What the losses of a batch are computed from; indices count over images, then levels, then cells, then anchors. */
interface AnchorSample {
  readonly positive: Tensor;
  readonly all: Tensor;
  /** [all] float32, 1 for positives. */
  readonly labels: Tensor;
  /** [positive, 4] offsets to the objects. */
  readonly goals: Tensor | undefined;
  /** [positive] float32: 1 / number of anchors drawn in the same image. */
  readonly shares: Tensor;
}

/** loss_objectness and loss_rpn_box_reg of a batch, of a draw that is made here. */
export function anchorLosses(
  { logits, offsets, anchors }: AnchorPredictions,
  sizes: readonly HeightWidth[],
  targets: readonly Targets[],
  options: AnchorLossOptions,
  conventions: Conventions,
): Losses {
  const sample = noGrad(() => scope(() => sampleAnchors(ops.cat([...anchors]), sizes, targets, options, conventions)));
  return scope(() => {
    const perAnchor = logits[0]!.size(2);
    const flatLogits = ops.reshape(ops.cat([...logits], { dim: 1 }), [-1, perAnchor]);
    const flatOffsets = ops.reshape(ops.cat([...offsets], { dim: 1 }), [-1, 4]);
    const objectness = atLeastSingle(ops.index_select(flatLogits, 0, sample.all));
    const regression = atLeastSingle(ops.index_select(flatOffsets, 0, sample.positive));
    const [drawn, images] = acrossProcesses([sample.all.size(0), targets.length] as const);
    // Of a single level Detectron too divides by what was drawn.
    const usesCapacity = conventions.anchorLoss === 'capacity' && anchors.length > 1;
    return {
      loss_objectness:
        perAnchor === 1
          ? binaryCrossEntropyMean(
              ops.squeeze(objectness, 1),
              sample.labels,
              usesCapacity ? options.batchSizePerImage * images : drawn,
            )
          : softmaxLoss(objectness, sample, usesCapacity ? anchors : undefined, drawn),
      loss_rpn_box_reg: sample.goals
        ? boxLoss(regression, sample.goals, sample, { drawn, images }, conventions)
        : zeroLoss(flatOffsets),
    };
  });
}

/**
 * Cross entropy. Detectron's over several levels (modeling/FPN.py, fpn_rpn_losses) is not divided by a capacity: it is the sum of
 * the levels' means, each over what was drawn of the level.
 * @param levels whose means are meant; absent: one mean over all that was drawn
 */
function softmaxLoss(
  logits: Tensor,
  { labels, all }: AnchorSample,
  levels: readonly Tensor[] | undefined,
  drawn: number,
): Tensor {
  const classes = labels.to('int64');
  if (levels === undefined) return crossEntropyMean(logits, classes, drawn);
  const each = ops.cross_entropy_loss(logits, classes, { reduction: 0 });
  const total = levels.reduce((sum, level) => sum + level.size(0), 0);
  const places = ops.remainder(all, total);
  let start = 0;
  const means = levels.map((level) => {
    const end = start + level.size(0);
    const isOwn = ops.logical_and(ops.ge(places, start), ops.lt(places, end)).to('float32');
    start = end;
    return shareOfAll(ops.sum(ops.mul(each, isOwn)), ops.sum(isOwn));
  });
  return means.reduce((sum, mean) => ops.add(sum, mean));
}

function boxLoss(
  regression: Tensor,
  goals: Tensor,
  { shares }: AnchorSample,
  { drawn, images }: { readonly drawn: number; readonly images: number },
  conventions: Conventions,
): Tensor {
  if (conventions.anchorLoss === 'sampled')
    return ops.div(smoothL1Sum(regression, goals, SMOOTH_L1_BETA), Math.max(1, drawn));
  // Each image's sum over its own number of drawn anchors, then the mean over the images.
  const perCoordinate = ops.smooth_l1_loss(regression, goals.to(regression.dtype), {
    reduction: 0,
    beta: SMOOTH_L1_BETA,
  });
  return ops.div(ops.sum(ops.mul(perCoordinate, ops.unsqueeze(shares, 1))), images);
}

function sampleAnchors(
  anchors: Tensor,
  sizes: readonly HeightWidth[],
  targets: readonly Targets[],
  options: AnchorLossOptions,
  conventions: Conventions,
): AnchorSample {
  const { draws = randomDraws } = options;
  const total = anchors.size(0);
  const positives: Tensor[] = [];
  const sampled: Tensor[] = [];
  const goals: Tensor[] = [];
  const shares: Tensor[] = [];
  targets.forEach((target, image) => {
    const drawn = drawAnchors(target.boxes, anchors, sizes[image]!, options, conventions, draws.ofImage(image));
    const count = drawn.positive.size(0) + drawn.negative.size(0);
    positives.push(ops.add(drawn.positive, image * total));
    sampled.push(ops.add(ops.cat([drawn.positive, drawn.negative]), image * total));
    shares.push(ops.new_full(anchors, [drawn.positive.size(0)], 1 / Math.max(1, count)));
    if (drawn.positive.size(0) === 0) return;
    const objects = ops.index_select(target.boxes, 0, drawn.objects);
    const chosen = ops.index_select(anchors, 0, drawn.positive);
    goals.push(encodeBoxes(objects, chosen, ANCHOR_WEIGHTS, conventions.boxes));
  });
  const positive = ops.cat(positives);
  const all = ops.cat(sampled);
  const labels = ops.new_zeros(anchors, [targets.length * total]);
  ops.index_fill_(labels, 0, positive, 1);
  return {
    positive,
    all,
    goals: goals.length > 0 ? ops.cat(goals) : undefined,
    labels: ops.index_select(labels, 0, all),
    shares: ops.cat(shares),
  };
}
