// Which anchors and proposals are compared with which objects, and which of them a step learns from.
import { arange, boxIou, matchAnchors, ops, rand, randint, randperm, type Tensor, tensor } from '@goshawk/torch';
import type { BoxConvention } from './conventions.js';
import type { ImageBatch } from './structures.js';

export interface MatchOptions {
  /** At least this IoU: positive. */
  readonly foregroundIou: number;
  /** Below this IoU: negative; between the two: neither. */
  readonly backgroundIou: number;
  /** Every object's best boxes are positive, however low their IoU. */
  readonly allowLowQuality: boolean;
  /** Default continuous. */
  readonly convention?: BoxConvention;
  /** Whether an object takes its best boxes from objects that they overlap more (mmdetection). Default false. */
  readonly lastClaims?: boolean;
  /** With allowLowQuality: only objects whose best IoU reaches this have best boxes. Default 0. */
  readonly lowestBestIou?: number;
}

/** Match of a box with no object: background. */
export const BACKGROUND = -1;
/** Match of a box between the thresholds: left out of the losses. */
export const IGNORED = -2;

/** For each of the [A, 4] boxes the index of its object among the [G, 4] ones, or BACKGROUND, or IGNORED; [A] int64. */
export function matchBoxes(objects: Tensor, boxes: Tensor, options: MatchOptions): Tensor {
  const { allowLowQuality, lastClaims, lowestBestIou = 0 } = options;
  const plusOne = options.convention === 'inclusive';
  const thresholds = { low: options.backgroundIou, high: options.foregroundIou, plusOne };
  if (!allowLowQuality || lowestBestIou === 0 || objects.size(0) === 0 || boxes.size(0) === 0)
    return matchAnchors(objects, boxes, { ...thresholds, allowLowQuality, lastClaims });
  const plain = matchAnchors(objects, boxes, thresholds);
  const claiming = indicesWhere(ops.ge(ops.amax(boxIou(objects, boxes, { plusOne }), { dim: 1 }), lowestBestIou));
  if (claiming.size(0) === 0) return plain;
  const claims = matchAnchors(ops.index_select(objects, 0, claiming), boxes, {
    ...thresholds,
    allowLowQuality,
    lastClaims,
  });
  const claimed = ops.index_select(claiming, 0, ops.clamp(claims, { min: 0 }));
  return ops.where(ops.ge(claims, 0), claimed, plain);
}

export interface SampleOptions {
  readonly count: number;
  readonly positiveFraction: number;
}

export interface Sample {
  /** [P] int64 indices. */
  readonly positive: Tensor;
  /** [M] int64 indices. */
  readonly negative: Tensor;
}

/** How samples of exact size are drawn; each gives [count] int64 places below `total`. */
export interface PlaceDraws {
  /** @param candidates [total] int64: the place of each among all candidates of the image, by which draws in turns know its name */
  distinct(total: number, count: number, candidates: Tensor): Tensor;
  withRepeats(total: number, count: number): Tensor;
}

/** How samples of fixed size are drawn, for all images of a batch at once. */
export interface PriorityDraws {
  /**
   * [N, A] float32: of an image's [N, A] `candidates` (bool) those of highest priority are drawn, without repeats; never one
   * below 0. Random draws give any number so; others ask how many are `wanted` ([N, 1] int64, as many as there are at most).
   */
  priorities(candidates: Tensor, wanted: () => Tensor): Tensor;
  /** [N, count] int64 places below the [N, 1] `totals`, with repeats; the first `wanted` ([N, 1]) of an image are used. */
  places(totals: Tensor, count: number, wanted: Tensor): Tensor;
}

/** What is drawn for: each has draws of its own. */
export type DrawStage = 'anchors' | 'proposals' | 'keypoints';

/** How one stage draws from one batch. */
export interface BatchDraws extends PriorityDraws {
  /** From the batch's image of that number, in the order in which they are asked for. */
  ofImage(image: number): PlaceDraws;
}

/**
 * What an image's candidates are called, whatever their order: [A] int64 of each image, or [N, A] of all. Proposals stand in the order of
 * their scores, of which rounding moves neighbours; what is drawn by name does not hang on that.
 */
export type CandidateNames = readonly Tensor[] | Tensor;

/** How samples are drawn. */
export interface Draws extends PlaceDraws, BatchDraws {
  /** Draws that depend on the turns of the batch's pictures. Absent: they come as they are asked for. */
  inTurns?(batch: ImageBatch, stage: DrawStage, names?: CandidateNames): BatchDraws;
}

/** The draws of a stage from a batch. @param names of candidates whose order the network decides */
export function drawsOf(draws: Draws, batch: ImageBatch, stage: DrawStage, names?: () => CandidateNames): BatchDraws {
  return draws.inTurns && batch.turns ? draws.inTurns(batch, stage, names?.()) : draws;
}

/** By the engine's generator. */
export const randomDraws: Draws = {
  ofImage: () => randomDraws,
  distinct: (total, count) => ops.narrow(randperm(total), 0, 0, count),
  withRepeats: (total, count) => randint(0, total, [count]),
  priorities: (candidates) => rand(candidates.shape, { device: candidates.device }),
  places: (totals, count) =>
    below(totals, ops.mul(rand([totals.size(0), count], { device: totals.device }), totals).to('int64')),
};

/** Evenly spaced, for comparing numbers with those of another implementation that draws so. */
export const evenDraws: Draws = {
  ofImage: () => evenDraws,
  distinct: evenPlaces,
  withRepeats: evenPlaces,
  priorities(candidates, wanted) {
    const count = wanted();
    const total = ops.clamp(ops.sum(candidates, [1], { keepdim: true }), { min: 1 });
    const rank = ops.sub(ops.cumsum(candidates, 1), 1);
    // Place i of evenPlaces is floor(i * total / count): a rank is drawn where the first i that reaches it does not pass it.
    const first = ops.floor_divide(ops.add(ops.mul(rank, count), ops.sub(total, 1)), total);
    const isReached = ops.lt(ops.mul(first, total), ops.mul(ops.add(rank, 1), count));
    return ops.sub(ops.logical_and(isReached, ops.lt(first, count)).to('float32'), 0.5);
  },
  places(totals, count, wanted) {
    const steps = ops.mul(arange(0, count, { dtype: 'int64', device: totals.device }), totals);
    return below(totals, ops.floor_divide(steps, ops.clamp(wanted, { min: 1 })));
  },
};

function evenPlaces(total: number, count: number): Tensor {
  return tensor(BigInt64Array.from({ length: count }, (_, i) => BigInt(Math.floor((i * total) / count))));
}

/** [N, count] places, none beyond the last of [N, 1] totals. */
export function below(totals: Tensor, places: Tensor): Tensor {
  return ops.clamp(ops.minimum(places, ops.sub(totals, 1)), { min: 0 });
}

/** Draws at most `count` boxes, at most `positiveFraction` of them positive, from the [A] matches (Fast R-CNN, 2015, section 2.3). */
export function drawSample(
  matches: Tensor,
  { count, positiveFraction }: SampleOptions,
  draws: PlaceDraws = randomDraws,
): Sample {
  const positive = indicesWhere(ops.ge(matches, 0));
  const negative = indicesWhere(ops.eq(matches, BACKGROUND));
  const positives = Math.min(Math.trunc(count * positiveFraction), positive.size(0));
  return {
    positive: drawFrom(positive, positives, draws),
    negative: drawFrom(negative, Math.min(count - positives, negative.size(0)), draws),
  };
}

/** `count` of the [N] int64 indices, without repeats. */
export function drawFrom(indices: Tensor, count: number, draws: PlaceDraws): Tensor {
  if (count === indices.size(0)) return indices;
  return ops.index_select(indices, 0, draws.distinct(indices.size(0), count, indices).to({ device: indices.device }));
}

/** The indices of the true elements of an [A] bool tensor, int64. */
export function indicesWhere(mask: Tensor): Tensor {
  return ops.squeeze(ops.nonzero(mask), 1);
}
