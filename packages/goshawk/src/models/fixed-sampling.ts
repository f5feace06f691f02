// Samples of fixed size: what drawSample draws for one image, for all images of a batch at once and without reading how many
// boxes match. Places [N, K] come with flags for those that were drawn.
import { arange, ops, type Tensor } from '@goshawk/torch';
import { rowsAt } from './padded.js';
import { BACKGROUND, type PriorityDraws, type SampleOptions } from './sampling.js';

export interface FixedSample {
  /** [N, L] int64; the drawn ones come first. */
  readonly positive: Tensor;
  /** [N, L] bool. */
  readonly isPositive: Tensor;
  /** [N, M] int64. */
  readonly negative: Tensor;
  /** [N, M] bool. */
  readonly isNegative: Tensor;
}

/** Draws at most `count` boxes an image, at most `positiveFraction` of them positive, from the [N, A] matches. */
export function drawFixedSample(matches: Tensor, options: SampleOptions, draws: PriorityDraws): FixedSample {
  const { count } = options;
  const positives = drawFixedPositives(ops.ge(matches, 0), options, draws);
  const candidates = ops.eq(matches, BACKGROUND);
  const room = roomFor(positives.isDrawn, count);
  const most = Math.min(count, matches.size(1));
  const negatives = drawFixed(candidates, most, () => ops.minimum(room, countOf(candidates)), draws);
  return {
    positive: positives.places,
    isPositive: positives.isDrawn,
    negative: negatives.places,
    isNegative: ops.logical_and(negatives.isDrawn, ops.lt(numbers(most, matches), room)),
  };
}

/** The positives of {@link drawFixedSample}, from [N, A] candidates. */
export function drawFixedPositives(
  candidates: Tensor,
  { count, positiveFraction }: SampleOptions,
  draws: PriorityDraws,
): FixedDraw {
  const most = Math.min(Math.trunc(count * positiveFraction), candidates.size(1));
  return drawFixed(candidates, most, () => ops.clamp(countOf(candidates), { max: most }), draws);
}

/** Places [N, most] int64, the drawn ones first, and whether each was drawn. */
export interface FixedDraw {
  readonly places: Tensor;
  readonly isDrawn: Tensor;
}

/** At most `most` of the [N, A] candidates of each image, each once. */
export function drawFixed(candidates: Tensor, most: number, wanted: () => Tensor, draws: PriorityDraws): FixedDraw {
  const priorities = ops.where(candidates, draws.priorities(candidates, wanted), -1);
  const [best, places] = ops.topk(priorities, most, { dim: 1 });
  return { places, isDrawn: ops.ge(best, 0) };
}

/** [N, 1] int64: how many of `count` are left beside the drawn ones of [N, L] flags. */
export function roomFor(isDrawn: Tensor, count: number): Tensor {
  return ops.rsub(countOf(isDrawn), count);
}

/** How many of [N, K] flags are set, [N, 1] int64. */
export function countOf(flags: Tensor): Tensor {
  return ops.sum(flags, [1], { keepdim: true });
}

/** Positives and negatives in one row an image. */
export interface RowSample {
  /** [N, M] int64; positives come first, then negatives, and those that were not drawn are last. */
  readonly places: Tensor;
  /** [N, M] bool. */
  readonly valid: Tensor;
  /** [N, L] bool: of the first L rows, all that can be positive. */
  readonly isPositive: Tensor;
}

/** A sample of {@link drawFixedSample} in as many rows as it draws at most. */
export function positivesFirst({ positive, isPositive, negative, isNegative }: FixedSample): RowSample {
  const positives = countOf(isPositive);
  const row = numbers(negative.size(1), negative);
  const index = ops.where(ops.lt(row, positives), row, ops.sub(ops.add(row, positive.size(1)), positives));
  return {
    places: rowsAt(ops.cat([positive, negative], { dim: 1 }), index),
    valid: rowsAt(ops.cat([isPositive, isNegative], { dim: 1 }), index),
    isPositive,
  };
}

/** 0, 1, ... below `count`, [count] int64. */
function numbers(count: number, like: Tensor): Tensor {
  return arange(0, count, { dtype: 'int64', device: like.device });
}
