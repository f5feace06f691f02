// From RetinaNet's maps to detections for all images of a batch at once: select-detections.ts in fixed sizes.
import { arange, ops, scope, type Tensor } from '@goshawk/torch';
import { bestOf } from '../best-of.js';
import { decodeBoxes } from '../box-coder.js';
import { type FixedCandidates, type FixedDetections, suppressFixed } from '../fixed-detections.js';
import { type Frames, rowsAt } from '../padded.js';
import type { RetinaPrediction } from './retina-head.js';
import { anchorsLast } from './retina-loss.js';
import type { SelectOptions } from './select-detections.js';

/** Numbers [N, K] of anchors among those of all levels, and what their logits say. */
interface Chosen {
  readonly anchors: Tensor;
  /** [N, K, T] of T columns of each. */
  readonly scores: Tensor;
  readonly columns: Tensor;
}

/** The detections of all images, best first. */
export function selectFixedRetinaDetections(
  prediction: RetinaPrediction,
  anchors: readonly Tensor[],
  frames: Frames,
  options: SelectOptions,
): FixedDetections {
  return scope(() => {
    const candidates = fixedCandidates(prediction, anchors, frames, options);
    return suppressFixed(candidates, options, options.conventions);
  });
}

function fixedCandidates(
  { logits, offsets }: RetinaPrediction,
  anchors: readonly Tensor[],
  frames: Frames,
  options: SelectOptions,
): FixedCandidates {
  const { boxes: convention, boundsShrinking, candidates, suppression, hasBackgroundLogit } = options.conventions;
  let start = 0;
  const levels = anchors.map((own, level) => {
    const map = ops.permute(logits[level]!, [0, 2, 3, 1]);
    const chosen = candidates === 'pairs' ? bestPairs(map, options) : bestAnchors(map, options);
    start += own.size(0);
    return { ...chosen, anchors: ops.add(chosen.anchors, start - own.size(0)) };
  });
  const joined = (part: keyof Chosen): Tensor =>
    ops.cat(
      levels.map((level) => level[part]),
      { dim: 1 },
    );
  const [numbers, scores, columns] = [joined('anchors'), joined('scores'), joined('columns')];
  const [images = 0, count = 0, perAnchor = 0] = scores.shape;
  const deltas = rowsAt(ops.cat(offsets.map(anchorsLast), { dim: 1 }), numbers).to('float32');
  const references = ops.index_select(ops.cat([...anchors]), 0, ops.view(numbers, [-1]));
  const decoded = decodeBoxes(ops.view(deltas, [-1, 4]), references, options.regressionWeights, {
    convention,
    boundsShrinking,
  });
  const border = convention === 'inclusive' ? ops.sub(frames.sizes, 1) : frames.sizes;
  const clipped = ops.minimum(ops.clamp(ops.view(decoded, [images, count, 4]), { min: 0 }), border);
  const measured = suppression === 'image' ? ops.div(clipped, frames.scales) : clipped;
  // The first logit stands for no class where there is one; training drives it down, an untrained model may still choose it.
  const real = hasBackgroundLogit ? ops.where(ops.gt(columns, 0), scores, -Infinity) : scores;
  return {
    pixels: suppression,
    boxes: ops.reshape(ops.expand(ops.unsqueeze(measured, 2), [images, count, perAnchor, 4]), [images, -1, 4]),
    scores: ops.reshape(real, [images, -1]),
    labels: ops.reshape(hasBackgroundLogit ? columns : ops.add(columns, 1), [images, -1]),
  };
}

function columnsOf({ classes, conventions }: SelectOptions): number {
  return classes + (conventions.hasBackgroundLogit ? 1 : 0);
}

/** The best pairs of an anchor and a class: torchvision's way. @param map [N, H, W, A * columns] */
function bestPairs(map: Tensor, options: SelectOptions): Chosen {
  const { scoreThreshold, preNmsTopN } = options;
  const flat = ops.reshape(map, [map.size(0), -1]);
  const [top, pairs] = bestOf(flat, Math.min(preNmsTopN, flat.size(1)));
  const probabilities = ops.sigmoid(top.to('float32'));
  const scores = ops.where(ops.gt(probabilities, scoreThreshold), probabilities, -Infinity);
  return {
    anchors: ops.floor_divide(pairs, columnsOf(options)),
    scores: ops.unsqueeze(scores, 2),
    columns: ops.unsqueeze(ops.remainder(pairs, columnsOf(options)), 2),
  };
}

/** All classes of the anchors whose best class is best: mmdetection's way. @param map [N, H, W, A * columns] */
function bestAnchors(map: Tensor, options: SelectOptions): Chosen {
  const { scoreThreshold, preNmsTopN } = options;
  const columns = columnsOf(options);
  const all = ops.reshape(map, [map.size(0), -1, columns]);
  const [, best] = bestOf(ops.amax(all, { dim: 2 }), Math.min(preNmsTopN, all.size(1)));
  const scores = ops.sigmoid(rowsAt(all, best).to('float32'));
  return {
    anchors: best,
    scores: ops.where(ops.gt(scores, scoreThreshold), scores, -Infinity),
    columns: ops.expand(arange(0, columns, { dtype: 'int64', device: map.device }), scores.shape),
  };
}
