// From heatmaps to keypoints (Detectron's heatmaps_to_keypoints): each is enlarged to its box, and its maximum is the place.
import { ops, scope, type Tensor, tensor } from '@goshawk/torch';
import type { KeypointHeadConfig } from '../../config/index.js';
import { atLeastSingle } from '../losses.js';
import type { Detections } from '../structures.js';
import { suppressSimilarPersons } from './oks-nms.js';

/** Detections of one image with the keypoints of [D, K, H, H] heatmaps, ranked and thinned out as the head is told. */
export function withKeypoints(found: Detections, heatmaps: Tensor, config: KeypointHeadConfig): Detections {
  const keypoints = decodeKeypoints(heatmaps, found.boxes, config.minSize);
  const scored = { ...found, keypoints, scores: personScores(found.scores, keypoints, config.score) };
  const kept =
    config.nmsOks === undefined
      ? undefined
      : suppressSimilarPersons(keypoints.toFloat32Array(), found.boxes.toFloat32Array(), config.nmsOks);
  if (kept === undefined && config.score === 'box') return scored;
  const scores = scored.scores.toFloat32Array();
  const order = (kept ?? Array.from(scores.keys())).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const index = tensor(BigInt64Array.from(order, BigInt), { device: found.boxes.device });
  const chosen = (values: Tensor): Tensor => ops.index_select(values, 0, index);
  return {
    ...found,
    boxes: chosen(found.boxes),
    scores: chosen(scored.scores),
    labels: chosen(found.labels),
    keypoints: chosen(keypoints),
    ...(found.masks && { masks: chosen(found.masks) }),
  };
}

function personScores(boxScores: Tensor, keypoints: Tensor, rule: KeypointHeadConfig['score']): Tensor {
  switch (rule) {
    case 'box':
      return boxScores;
    case 'mean_logit':
      return ops.mean(ops.select(keypoints, 2, 2), [1]);
    case 'mean_probability':
      return ops.mean(ops.select(keypoints, 2, 3), [1]);
  }
}

/**
 * @param heatmaps [D, K, H, H] logits
 * @param boxes [D, 4] xyxy; the keypoints come in the same pixels
 * @param minSize heatmaps are enlarged to at least this many pixels a side
 * @returns [D, K, 4] float32: x, y, the enlarged heatmap's logit there, and its share of the softmax over all places
 */
export function decodeKeypoints(heatmaps: Tensor, boxes: Tensor, minSize = 0): Tensor {
  const count = heatmaps.size(0);
  const keypoints = heatmaps.size(1);
  if (count === 0) return ops.new_zeros(heatmaps, [0, keypoints, 4]);
  const corners = boxes.toFloat32Array();
  const rows = Array.from({ length: count }, (_, index) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.subarray(index * 4, index * 4 + 4);
    return scope(() => decodeOne(ops.narrow(heatmaps, 0, index, 1), [x1, y1, x2, y2], minSize));
  });
  return ops.stack(rows);
}

/** So many cells are enlarged at once, 64 MiB, or one keypoint's where it has more. */
const CELLS_AT_ONCE = 2 ** 24;

function decodeOne(
  heatmaps: Tensor,
  [x1, y1, x2, y2]: readonly [number, number, number, number],
  minSize: number,
): Tensor {
  // In float32, as the originals measure: what is a whole number there must not become one pixel more here.
  const width = Math.max(Math.fround(x2 - x1), 1);
  const height = Math.max(Math.fround(y2 - y1), 1);
  const columns = Math.max(Math.ceil(width), Math.ceil(minSize));
  const lines = Math.max(Math.ceil(height), Math.ceil(minSize));
  const atOnce = Math.max(1, Math.floor(CELLS_AT_ONCE / (columns * lines)));
  const parts = Array.from({ length: Math.ceil(heatmaps.size(1) / atOnce) }, (_, part) => {
    const from = part * atOnce;
    const some = ops.narrow(heatmaps, 1, from, Math.min(atOnce, heatmaps.size(1) - from));
    return scope(() => maxima(some, lines, columns));
  });
  const [column, row, logit, probability] = ops.unbind(ops.cat(parts, { dim: 1 })) as [Tensor, Tensor, Tensor, Tensor];
  const x = ops.add(ops.mul(ops.add(column, 0.5), width / columns), x1);
  const y = ops.add(ops.mul(ops.add(row, 0.5), height / lines), y1);
  return ops.stack([x, y, logit, probability], { dim: 1 }).to('float32');
}

/** [1, K, H, H] -> [4, K] of the enlarged heatmaps' maxima: column, row, logit, and its share of the softmax. */
function maxima(heatmaps: Tensor, lines: number, columns: number): Tensor {
  // OpenCV's and the engine's bicubic filters are the same (a = -0.75, pixel centres at halves, borders repeated).
  const enlarged = ops.upsample_bicubic2d(atLeastSingle(heatmaps.contiguous()), [lines, columns], false);
  const flat = ops.view(enlarged, [heatmaps.size(1), lines * columns]);
  const [logit, place] = ops.max(flat, 1) as unknown as [Tensor, Tensor];
  const probability = ops.exp(ops.sub(logit, ops.logsumexp(flat, [1])));
  const row = ops.floor_divide(place, columns).to(logit.dtype);
  const column = ops.remainder(place, columns).to(logit.dtype);
  return ops.stack([column, row, logit, probability]);
}
