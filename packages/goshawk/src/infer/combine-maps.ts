// Putting together what several views of a picture say about the same boxes (Detectron's MASK_AUG and KPS_AUG heuristics).
import { ops, type Tensor, tensor } from '@goshawk/torch';
import type { KeypointAugmentConfig, MaskAugmentConfig } from '../config/index.js';

/** The maps of one view. */
export interface ViewMaps {
  /** [D, ...] of D boxes, the same in every view. */
  readonly maps: Tensor;
  /** For each box whether this view counts; absent: for all. Of every box at least one view must count. */
  readonly counts?: readonly boolean[];
}

/** [D, M, M] probabilities. */
export function combineMasks(views: readonly ViewMaps[], heuristic: MaskAugmentConfig['heuristic']): Tensor {
  switch (heuristic) {
    case 'soft_avg':
      return meanOf(views);
    case 'soft_max':
      return largestOf(views);
    case 'logit_avg':
      return ops.sigmoid(meanOf(views.map((view) => ({ ...view, maps: logit(view.maps) }))));
  }
}

/** [D, K, H, H] logits. */
export function combineHeatmaps(views: readonly ViewMaps[], heuristic: KeypointAugmentConfig['heuristic']): Tensor {
  return heuristic === 'hm_avg' ? meanOf(views) : largestOf(views);
}

/** Heatmaps [D, K, H, H] of a mirrored picture as those of the picture: columns reversed, left and right exchanged. */
export function unflipHeatmaps(heatmaps: Tensor, flipOrder: readonly number[]): Tensor {
  const order = tensor(BigInt64Array.from(flipOrder, BigInt), { device: heatmaps.device });
  return ops.flip(ops.index_select(heatmaps, 1, order), [3]);
}

/** Masks [D, M, M] of a mirrored picture as those of the picture. */
export function unflipMasks(masks: Tensor): Tensor {
  return ops.flip(masks, [2]);
}

// Detectron's bound, against the logarithm of 0.
const SMALLEST_PROBABILITY = 1e-20;

function logit(probability: Tensor): Tensor {
  const rest = ops.rsub(probability, 1);
  return ops.neg(ops.log(ops.div(rest, ops.clamp(probability, { min: SMALLEST_PROBABILITY }))));
}

function meanOf(views: readonly ViewMaps[]): Tensor {
  const weights = views.map((view) => weightOf(view));
  // Filled, not multiplied: the logit of a certain 1 is infinite, and 0 times that is no number.
  const sum = views
    .map(({ maps }, i) => ops.masked_fill(maps, ops.eq(weights[i]!, 0), 0))
    .reduce((total, maps) => ops.add(total, maps));
  return ops.div(
    sum,
    weights.reduce((total, weight) => ops.add(total, weight)),
  );
}

function largestOf(views: readonly ViewMaps[]): Tensor {
  return views
    .map((view) => ops.masked_fill(view.maps, ops.eq(weightOf(view), 0), Number.NEGATIVE_INFINITY))
    .reduce((largest, maps) => ops.maximum(largest, maps));
}

/** [D, 1, ...]: 1 where the view counts, else 0. */
function weightOf({ maps, counts }: ViewMaps): Tensor {
  const shape = maps.shape.map((side, dim) => (dim === 0 ? side : 1));
  const weights = Float32Array.from({ length: maps.size(0) }, (_, i) => ((counts?.[i] ?? true) ? 1 : 0));
  return tensor(weights, { shape, device: maps.device });
}
