// Which anchors and proposals are compared with which objects, and which of them a step learns from.
import { matchAnchors, ops, randperm, type Tensor } from '@goshawk/torch';

export interface MatchOptions {
  /** At least this IoU: positive. */
  readonly foregroundIou: number;
  /** Below this IoU: negative; between the two: neither. */
  readonly backgroundIou: number;
  /** Every object's best boxes are positive, however low their IoU. */
  readonly allowLowQuality: boolean;
}

/** Match of a box with no object: background. */
export const BACKGROUND = -1;
/** Match of a box between the thresholds: left out of the losses. */
export const IGNORED = -2;

/** For each of the [A, 4] boxes the index of its object among the [G, 4] ones, or BACKGROUND, or IGNORED; [A] int64. */
export function matchBoxes(objects: Tensor, boxes: Tensor, options: MatchOptions): Tensor {
  return matchAnchors(objects, boxes, {
    low: options.backgroundIou,
    high: options.foregroundIou,
    allowLowQuality: options.allowLowQuality,
  });
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

/** Draws at most `count` boxes, at most `positiveFraction` of them positive, from the [A] matches (Fast R-CNN, 2015, section 2.3). */
export function drawSample(matches: Tensor, { count, positiveFraction }: SampleOptions): Sample {
  const positive = indicesWhere(ops.ge(matches, 0));
  const negative = indicesWhere(ops.eq(matches, BACKGROUND));
  const positives = Math.min(Math.trunc(count * positiveFraction), positive.size(0));
  return {
    positive: drawFrom(positive, positives),
    negative: drawFrom(negative, Math.min(count - positives, negative.size(0))),
  };
}

/** The indices of the true elements of an [A] bool tensor, int64. */
export function indicesWhere(mask: Tensor): Tensor {
  return ops.squeeze(ops.nonzero(mask), 1);
}

function drawFrom(indices: Tensor, count: number): Tensor {
  if (count === indices.size(0)) return indices;
  const order = ops.narrow(randperm(indices.size(0)), 0, 0, count);
  return ops.index_select(indices, 0, order.to({ device: indices.device }));
}
