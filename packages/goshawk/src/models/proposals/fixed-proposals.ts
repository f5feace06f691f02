// Proposals of fixed size: what the region proposal network selects for one image after the other, for all images of a batch
// at once and without reading how many survive.
import { nmsFirst, ops, scope, type Tensor } from '@goshawk/torch';
import { bestAcrossProcesses } from '../across-processes.js';
import { atLeast, decodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { inAll } from '../losses.js';
import { type Frames, rowsAt, zeroUnless } from '../padded.js';
import type { HeightWidth } from '../structures.js';
import { ANCHOR_WEIGHTS } from './anchor-loss.js';
import type { JoinedPredictions } from './fixed-anchor-loss.js';
import { objectnessOf } from './objectness.js';
import { collectedLimit, keepsBest, type RpnOptions } from './rpn-options.js';

export interface SelectionContext {
  readonly frames: Frames;
  /** Of the batch. */
  readonly padded: HeightWidth;
  readonly mode: 'train' | 'test';
  readonly options: RpnOptions;
  readonly conventions: Conventions;
}

/** Boxes [N, P, 4], scores [N, P], numbers [N, P] of their anchors, and which of them are any; best first. */
export interface FixedSelection {
  readonly boxes: Tensor;
  readonly anchorNumbers: Tensor;
  readonly scores: Tensor;
  readonly valid: Tensor;
}

/** The best anchors of every level, refined, clipped, and thinned out level by level. */
export function selectFixedProposals(predicted: JoinedPredictions, context: SelectionContext): FixedSelection {
  return scope(() => {
    const { mode, options, conventions } = context;
    const inclusive = conventions.boxes === 'inclusive';
    const { numbers, objectness, sizes } = bestOfLevels(predicted, options.preNmsTopN[mode]);
    const images = numbers.size(0);
    const all = refined(predicted, numbers, conventions);
    const border = borderOf(context);
    const inside = ops.minimum(ops.clamp(all, { min: 0 }), inclusive ? ops.sub(border, 1) : border);
    const scores = ops.sigmoid(objectness);
    const isGood = ops.logical_and(isLargeEnough(inside, border, context), ops.ge(scores, options.scoreThreshold));
    const ranked = ops.where(isGood, scores, -Infinity);
    const levels = ops.cat(
      sizes.map((size, level) => ops.full([size], level, { dtype: 'int64', device: scores.device })),
    );
    const total = scores.size(1);
    const perLevel = options.levelPostNmsTopN?.[mode];
    const isCollected = mode === 'train' && options.collectImages;
    const limit = isCollected ? collectedLimit(options, inAll(images)) : undefined;
    const { kept, valid } = nmsFirst(inside, ranked, levels, options.nmsThreshold, {
      // What is thinned out once more is taken whole, as far as it can be needed.
      count: Math.min(total, perLevel !== undefined ? total : (limit ?? options.postNmsTopN[mode])),
      plusOne: inclusive,
      suppressEqual: inclusive,
    });
    const ofLevels =
      perLevel === undefined
        ? { kept, valid }
        : firstOfLevels({ kept, valid }, perLevel, {
            numbers,
            sizes,
            isSorted: predicted.counts.map((count) => keepsBest(count, options.preNmsTopN[mode], conventions)),
            count: Math.min(total, limit ?? options.postNmsTopN[mode]),
          });
    const found = zeroUnless(ofLevels.valid, rowsAt(inside, ofLevels.kept));
    const own = rowsAt(scores, ofLevels.kept);
    const isFound = limit === undefined ? ofLevels.valid : bestOfImages(own, ofLevels.valid, limit);
    return { boxes: found, scores: own, anchorNumbers: rowsAt(numbers, ofLevels.kept), valid: isFound };
  });
}

/** Of each image the numbers [N, K] of the best anchors, level by level, and their objectness. */
function bestOfLevels({ logits, counts }: JoinedPredictions, most: number) {
  const objectness = objectnessOf(logits);
  let start = 0;
  const levels = counts.map((count) => {
    const [best, index] = ops.topk(ops.narrow(objectness, 1, start, count), Math.min(most, count), { dim: 1 });
    start += count;
    return { best, numbers: ops.add(index, start - count) };
  });
  return {
    numbers: ops.cat(
      levels.map((level) => level.numbers),
      { dim: 1 },
    ),
    objectness: ops.cat(
      levels.map((level) => level.best),
      { dim: 1 },
    ),
    sizes: levels.map((level) => level.best.size(1)),
  };
}

/** [N, K, 4] boxes of the anchors `numbers`. */
function refined({ offsets, anchors }: JoinedPredictions, numbers: Tensor, conventions: Conventions): Tensor {
  const own = ops.view(rowsAt(offsets, numbers).to('float32'), [-1, 4]);
  const references = ops.index_select(anchors, 0, ops.view(numbers, [-1]));
  const options = { convention: conventions.boxes, boundsShrinking: conventions.boundsShrinking };
  return ops.view(decodeBoxes(own, references, ANCHOR_WEIGHTS, options), [...numbers.shape, 4]);
}

/** [N or 1, 1, 4]: width, height, width, height that proposals end at. */
function borderOf({ frames, padded: [height, width], mode, conventions }: SelectionContext): Tensor {
  if (mode === 'train' || conventions.proposalBorder === 'image') return frames.sizes;
  const side = (value: number): Tensor => ops.new_full(frames.sizes, [1, 1, 1], value);
  return ops.cat([side(width), side(height)], { dim: 2 }).repeat([1, 1, 2]);
}

/** [N, K] bool; see RegionProposalNetwork. */
function isLargeEnough(boxes: Tensor, border: Tensor, { frames, options, conventions }: SelectionContext): Tensor {
  if (conventions.proposalSize === 'network') return atLeast(boxes, options.minSize, conventions.boxes);
  const start = ops.narrow(boxes, 2, 0, 2);
  const sides = ops.add(ops.sub(ops.narrow(boxes, 2, 2, 2), start), 1);
  const smallest = ops.mul(ops.narrow(frames.scales, 2, 0, 1), options.minSize);
  const middle = ops.add(start, ops.div(sides, 2));
  return ops.all(ops.logical_and(ops.ge(sides, smallest), ops.lt(middle, ops.narrow(border, 2, 0, 2))), 2);
}

/** [N, P] bool: which of an image's proposals are among the `limit` best of the batch. */
function bestOfImages(scores: Tensor, valid: Tensor, limit: number): Tensor {
  const flat = ops.view(ops.where(valid, scores, -Infinity), [-1]);
  return ops.logical_and(valid, ops.view(bestAcrossProcesses(flat, limit), valid.shape));
}

interface Kept {
  readonly kept: Tensor;
  readonly valid: Tensor;
}

/**
 * At most `perLevel` of each level's proposals, and of them `count`, best first; what is first in a level is told in
 * {@link RpnOptions.levelPostNmsTopN}.
 * @param levels.numbers [N, K] numbers of the candidates' anchors
 * @param levels.sizes candidates of each level; inside of one they stand best first
 */
function firstOfLevels(
  { kept, valid }: Kept,
  perLevel: number,
  levels: {
    readonly numbers: Tensor;
    readonly sizes: readonly number[];
    readonly isSorted: readonly boolean[];
    readonly count: number;
  },
): Kept {
  const { numbers, sizes, isSorted, count } = levels;
  const [images = 0, total = 0] = numbers.shape;
  // One column more takes the rows of `kept` that are none.
  const marks = ops.new_zeros(numbers, [images, total + 1]);
  ops.scatter_(marks, 1, ops.where(valid, kept, total), 1);
  let start = 0;
  const isFirst = ops.cat(
    sizes.map((size, level) => {
      const own = ops.narrow(marks, 1, start, size);
      const numbersOfLevel = ops.narrow(numbers, 1, start, size);
      start += size;
      if (isSorted[level]) return ops.le(ops.cumsum(own, 1), perLevel);
      const inOrder = ops.argsort(numbersOfLevel, { dim: 1 });
      const rank = ops.cumsum(rowsAt(own, inOrder), 1);
      return ops.scatter(ops.zeros_like(own), 1, inOrder, ops.le(rank, perLevel).to('int64')).to('bool');
    }),
    { dim: 1 },
  );
  // Those that stay move up, in the order of `kept`, which is that of their scores.
  const stays = ops.logical_and(valid, rowsAt(isFirst, kept));
  const order = ops.rsub(
    ops.mul(stays.to('int64'), total),
    ops.arange(0, total, { dtype: 'int64', device: kept.device }),
  );
  const [, rows] = ops.topk(order, count, { dim: 1, largest: false });
  return { kept: rowsAt(kept, rows), valid: rowsAt(stays, rows) };
}
