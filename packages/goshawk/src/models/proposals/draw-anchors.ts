// Which anchors a region proposal network learns from (Faster R-CNN, Ren et al. 2015, section 3.1.2).
import { ops, type Tensor } from '@goshawk/torch';
import type { Conventions } from '../conventions.js';
import {
  BACKGROUND,
  drawFrom,
  drawSample,
  IGNORED,
  indicesWhere,
  type MatchOptions,
  matchBoxes,
  type PlaceDraws,
  type Sample,
} from '../sampling.js';
import type { HeightWidth } from '../structures.js';

export interface DrawAnchorsOptions {
  readonly foregroundIou: number;
  readonly backgroundIou: number;
  readonly batchSizePerImage: number;
  readonly positiveFraction: number;
  /** An object's best anchors are positive from this IoU on. Default 0. */
  readonly lowestBestIou?: number;
  /** Anchors that reach further beyond the image, in pixels, take no part. Absent: all take part. */
  readonly straddle?: number;
}

export interface DrawnAnchors extends Sample {
  /** [P] int64: the object of each positive. */
  readonly objects: Tensor;
}

/**
 * Draws from [A, 4] anchors for one image's [G, 4] objects.
 *
 * Detectron's way differs from the paper's sampling in three points (its roi_data/rpn.py), kept because they shape its
 * models: negatives are drawn with repeats; none are drawn unless there are more than wanted; and an object's best anchor
 * of low IoU that is drawn as a negative becomes one.
 */
export function drawAnchors(
  objects: Tensor,
  anchors: Tensor,
  size: HeightWidth,
  options: DrawAnchorsOptions,
  conventions: Conventions,
  draws: PlaceDraws,
): DrawnAnchors {
  const inside = options.straddle === undefined ? undefined : insideImage(anchors, size, options.straddle);
  const cut = conventions.straddlers === 'unmatched' ? inside : undefined;
  const candidates = cut ? ops.index_select(anchors, 0, cut) : anchors;
  const thresholds = { foregroundIou: options.foregroundIou, backgroundIou: options.backgroundIou };
  const matching = (rule: Omit<MatchOptions, 'foregroundIou' | 'backgroundIou' | 'convention'>): Tensor => {
    const all = matchBoxes(objects, candidates, { ...thresholds, convention: conventions.boxes, ...rule });
    return inside && !cut ? ignoredBut(all, inside) : all;
  };
  const matches = matching({
    allowLowQuality: true,
    lastClaims: conventions.bestAnchors === 'claimed',
    lowestBestIou: options.lowestBestIou,
  });
  const sample =
    conventions.anchorDraw === 'distinct'
      ? drawSample(matches, { count: options.batchSizePerImage, positiveFraction: options.positiveFraction }, draws)
      : drawAsDetectron(
          matches,
          indicesWhere(ops.eq(matching({ allowLowQuality: false }), BACKGROUND)),
          options,
          draws,
        );
  const positiveObjects = ops.index_select(matches, 0, sample.positive);
  const original = (indices: Tensor): Tensor => (cut ? ops.index_select(cut, 0, indices) : indices);
  return { positive: original(sample.positive), negative: original(sample.negative), objects: positiveObjects };
}

function drawAsDetectron(matches: Tensor, far: Tensor, options: DrawAnchorsOptions, draws: PlaceDraws): Sample {
  const all = indicesWhere(ops.ge(matches, 0));
  const limit = Math.trunc(options.batchSizePerImage * options.positiveFraction);
  const positive = drawFrom(all, Math.min(limit, all.size(0)), draws);
  const wanted = options.batchSizePerImage - positive.size(0);
  if (far.size(0) <= wanted) return { positive, negative: ops.narrow(far, 0, 0, 0) };
  const drawn = ops.index_select(far, 0, draws.withRepeats(far.size(0), wanted).to({ device: far.device }));
  const isNegative = ops.new_zeros(matches, [matches.size(0)]);
  ops.index_fill_(isNegative, 0, drawn, 1);
  const stays = indicesWhere(ops.eq(ops.index_select(isNegative, 0, positive), 0));
  return { positive: ops.index_select(positive, 0, stays), negative: indicesWhere(ops.eq(isNegative, 1)) };
}

/** [A] matches of which those outside of the [I] indices are left out of the loss. */
function ignoredBut(matches: Tensor, indices: Tensor): Tensor {
  const own = ops.index_select(matches, 0, indices);
  return ops.index_copy(ops.full_like(matches, IGNORED), 0, indices, own);
}

function insideImage(anchors: Tensor, [height, width]: HeightWidth, straddle: number): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(anchors, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  const start = ops.logical_and(ops.ge(x1, -straddle), ops.ge(y1, -straddle));
  const end = ops.logical_and(ops.lt(x2, width + straddle), ops.lt(y2, height + straddle));
  return indicesWhere(ops.logical_and(start, end));
}
