// The losses of anchor-loss.ts from samples of fixed size: no number of anchors is read.
import { arange, type MatchBatchOptions, matchBatch, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import { acrossProcessesOnDevice } from '../across-processes.js';
import { encodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { countOf, drawFixedPositives, drawFixedSample, type FixedSample, roomFor } from '../fixed-sampling.js';
import { atLeastSingle, inAll, REDUCTION_NONE, REDUCTION_SUM, share, shareOfAll } from '../losses.js';
import { type PaddedObjects, rowsAt, zeroUnless } from '../padded.js';
import { BACKGROUND, IGNORED, type PriorityDraws, randomDraws } from '../sampling.js';
import type { Losses } from '../structures.js';
import { ANCHOR_WEIGHTS, type AnchorLossOptions, SMOOTH_L1_BETA } from './anchor-loss.js';

/** What the network says about every anchor, levels one after another. */
export interface JoinedPredictions {
  /** [N, A, 1] objectness, or [N, A, 2] with the background first. */
  readonly logits: Tensor;
  /** [N, A, 4] */
  readonly offsets: Tensor;
  /** [A, 4] xyxy, network pixels. */
  readonly anchors: Tensor;
  /** Anchors of each level. */
  readonly counts: readonly number[];
}

/** What the losses of a batch are computed from. */
interface FixedAnchorSample {
  readonly positive: Tensor;
  /** [N, R] int64 places; the first are `positive`. */
  readonly all: Tensor;
  /** [N, R] float32, 1 for positives. */
  readonly labels: Tensor;
  /** [N, R] float32, 1 for what was drawn. */
  readonly drawn: Tensor;
  /** [N, L] float32, 1 for positives. */
  readonly isPositive: Tensor;
  /** [N, L, 4] offsets to the objects; 0 for what is no positive. */
  readonly goals: Tensor;
}

/** loss_objectness and loss_rpn_box_reg of a batch, of a draw that is made here. @param sizes as `Frames.sizes` */
export function fixedAnchorLosses(
  predicted: JoinedPredictions,
  sizes: Tensor,
  objects: PaddedObjects,
  options: AnchorLossOptions,
  conventions: Conventions,
): Losses {
  const sample = noGrad(() => scope(() => sampleAnchors(predicted.anchors, sizes, objects, options, conventions)));
  return scope(() => {
    const { logits, offsets, counts } = predicted;
    const images = inAll(logits.size(0));
    const chosen = atLeastSingle(rowsAt(logits, sample.all));
    const regression = atLeastSingle(rowsAt(offsets, sample.positive));
    // Of a single level Detectron too divides by what was drawn.
    const capacity =
      conventions.anchorLoss === 'capacity' && counts.length > 1 ? options.batchSizePerImage * images : undefined;
    const drawn = acrossProcessesOnDevice(ops.sum(sample.drawn));
    return {
      loss_objectness:
        logits.size(2) === 1
          ? share(sigmoidSum(chosen, sample), capacity ?? drawn)
          : softmaxLoss(chosen, sample, counts, capacity === undefined ? drawn : undefined),
      loss_rpn_box_reg: boxLoss(regression, sample, { drawn, images }, conventions),
    };
  });
}

function sigmoidSum(logits: Tensor, { labels, drawn }: FixedAnchorSample): Tensor {
  const options = { weight: drawn.to(logits.dtype), reduction: REDUCTION_SUM };
  return ops.binary_cross_entropy_with_logits(ops.squeeze(logits, 2), labels.to(logits.dtype), options);
}

/** Cross entropy over what was drawn; without `drawn` the sum of the levels' means (see anchor-loss.ts). */
function softmaxLoss(
  logits: Tensor,
  sample: FixedAnchorSample,
  counts: readonly number[],
  drawn: Tensor | undefined,
): Tensor {
  const classes = ops.view(sample.labels.to('int64'), [-1]);
  const each = ops.cross_entropy_loss(ops.view(logits, [-1, 2]), classes, { reduction: REDUCTION_NONE });
  const weighted = ops.mul(ops.view(each, sample.drawn.shape), sample.drawn);
  if (drawn !== undefined) return share(ops.sum(weighted), drawn);
  let start = 0;
  const means = counts.map((count) => {
    const isOwn = ops.logical_and(ops.ge(sample.all, start), ops.lt(sample.all, start + count)).to('float32');
    start += count;
    return shareOfAll(ops.sum(ops.mul(weighted, isOwn)), ops.sum(ops.mul(sample.drawn, isOwn)));
  });
  return means.reduce((sum, mean) => ops.add(sum, mean));
}

function boxLoss(
  regression: Tensor,
  sample: FixedAnchorSample,
  { drawn, images }: { readonly drawn: Tensor; readonly images: number },
  conventions: Conventions,
): Tensor {
  const each = ops.smooth_l1_loss(regression, sample.goals.to(regression.dtype), {
    reduction: REDUCTION_NONE,
    beta: SMOOTH_L1_BETA,
  });
  const weighted = ops.mul(each, ops.unsqueeze(sample.isPositive, 2));
  if (conventions.anchorLoss === 'sampled') return share(ops.sum(weighted), drawn);
  // Each image's sum over its own number of drawn anchors, then the mean over the images.
  return ops.div(ops.sum(share(ops.sum(weighted, [1, 2]), ops.sum(sample.drawn, [1]))), images);
}

function sampleAnchors(
  anchors: Tensor,
  sizes: Tensor,
  objects: PaddedObjects,
  options: AnchorLossOptions,
  conventions: Conventions,
): FixedAnchorSample {
  const { draws = randomDraws } = options;
  const inside = options.straddle === undefined ? undefined : isInside(anchors, sizes, options.straddle);
  const rule = {
    low: options.backgroundIou,
    high: options.foregroundIou,
    plusOne: conventions.boxes === 'inclusive',
  };
  const isMatched = conventions.straddlers === 'matched';
  const matching = (own: MatchBatchOptions): Tensor => {
    const all = matchBatch(objects.boxes, objects.present, anchors, isMatched ? undefined : inside, own);
    return inside && isMatched ? ops.where(inside, all, IGNORED) : all;
  };
  const matches = matching({
    ...rule,
    allowLowQuality: true,
    lastClaims: conventions.bestAnchors === 'claimed',
    lowestBestIou: options.lowestBestIou,
  });
  const limits = { count: options.batchSizePerImage, positiveFraction: options.positiveFraction };
  const sample =
    conventions.anchorDraw === 'distinct'
      ? drawFixedSample(matches, limits, draws)
      : drawAsDetectron(matches, ops.eq(matching(rule), BACKGROUND), limits, draws);
  const { positive, isPositive, negative, isNegative } = sample;
  const own = rowsAt(objects.boxes, ops.clamp(rowsAt(matches, positive), { min: 0 }));
  const chosen = ops.view(ops.index_select(anchors, 0, ops.view(positive, [-1])), own.shape);
  const weights = isPositive.to('float32');
  return {
    positive,
    all: ops.cat([positive, negative], { dim: 1 }),
    labels: ops.constant_pad_nd(weights, [0, negative.size(1)]),
    drawn: ops.cat([weights, isNegative.to('float32')], { dim: 1 }),
    isPositive: weights,
    goals: zeroUnless(isPositive, encodeBoxes(own, chosen, ANCHOR_WEIGHTS, conventions.boxes)),
  };
}

/** As drawAsDetectron of draw-anchors.ts. @param far [N, A] bool: below the threshold with every object */
function drawAsDetectron(
  matches: Tensor,
  far: Tensor,
  limits: { readonly count: number; readonly positiveFraction: number },
  draws: PriorityDraws,
): FixedSample {
  const { count } = limits;
  const [images = 0, total = 0] = matches.shape;
  const { places: positive, isDrawn } = drawFixedPositives(ops.ge(matches, 0), limits, draws);
  const wanted = roomFor(isDrawn, count);
  const totals = countOf(far);
  // Place i of those that are far is where the number of them up to there becomes i + 1.
  const ranks = draws.places(totals, count, wanted);
  const drawn = ops.searchsorted(ops.cumsum(far, 1), ops.add(ranks, 1));
  const number = arange(0, count, { dtype: 'int64', device: matches.device });
  const isUsed = ops.logical_and(ops.lt(number, wanted), ops.gt(totals, wanted));
  // One column more takes what is not used.
  const marks = ops.new_zeros(ops.select(matches, 1, 0).to('float32'), [images, total + 1]);
  ops.scatter_(marks, 1, ops.where(isUsed, drawn, total), 1);
  const [mark, negative] = ops.topk(ops.narrow(marks, 1, 0, total), Math.min(count, total), { dim: 1 });
  return {
    positive,
    isPositive: ops.logical_and(isDrawn, ops.eq(rowsAt(marks, positive), 0)),
    negative,
    isNegative: ops.gt(mark, 0),
  };
}

/** [N, A] bool: which of the [A, 4] anchors reach less than `straddle` pixels beyond an image. */
function isInside(anchors: Tensor, sizes: Tensor, straddle: number): Tensor {
  const start = ops.all(ops.ge(ops.narrow(anchors, 1, 0, 2), -straddle), 1);
  const end = ops.all(ops.lt(ops.narrow(anchors, 1, 2, 2), ops.add(ops.narrow(sizes, 2, 2, 2), straddle)), 2);
  return ops.logical_and(start, end);
}
