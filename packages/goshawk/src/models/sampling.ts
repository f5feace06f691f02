// Which anchors and proposals are compared with which objects, and which of them a step learns from.
import { boxIou, matchAnchors, ops, randint, randperm, type Tensor, tensor } from '@goshawk/torch';
import type { BoxConvention } from './conventions.js';

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

/** How samples are drawn; each gives [count] int64 places below `total`. */
export interface Draws {
  distinct(total: number, count: number): Tensor;
  withRepeats(total: number, count: number): Tensor;
}

/** By the engine's generator. */
export const randomDraws: Draws = {
  distinct: (total, count) => ops.narrow(randperm(total), 0, 0, count),
  withRepeats: (total, count) => randint(0, total, [count]),
};

/** Evenly spaced, for comparing numbers with those of another implementation that draws so. */
export const evenDraws: Draws = { distinct: evenPlaces, withRepeats: evenPlaces };

function evenPlaces(total: number, count: number): Tensor {
  return tensor(BigInt64Array.from({ length: count }, (_, i) => BigInt(Math.floor((i * total) / count))));
}

/** Draws at most `count` boxes, at most `positiveFraction` of them positive, from the [A] matches (Fast R-CNN, 2015, section 2.3). */
export function drawSample(
  matches: Tensor,
  { count, positiveFraction }: SampleOptions,
  draws: Draws = randomDraws,
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
export function drawFrom(indices: Tensor, count: number, draws: Draws): Tensor {
  if (count === indices.size(0)) return indices;
  return ops.index_select(indices, 0, draws.distinct(indices.size(0), count).to({ device: indices.device }));
}

/** The indices of the true elements of an [A] bool tensor, int64. */
export function indicesWhere(mask: Tensor): Tensor {
  return ops.squeeze(ops.nonzero(mask), 1);
}
