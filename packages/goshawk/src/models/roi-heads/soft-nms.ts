// Soft-NMS (Bodla et al. 2017): the scores of boxes that overlap a better one decay, instead of the boxes being dropped.
// The rules are those of Detectron's soft_nms (utils/cython_nms.pyx).
import type { BoxConvention } from '../conventions.js';
import { overlapOf } from './box-overlap.js';

export interface SoftNmsOptions {
  /**
   * linear: a factor of 1 - IoU above the threshold; gaussian: exp(-IoU^2 / sigma) at any overlap; hard: 0 above the
   * threshold, which is ordinary NMS.
   */
  readonly method: 'linear' | 'gaussian' | 'hard';
  /** Of gaussian. */
  readonly sigma: number;
  /** IoU; of linear and hard. */
  readonly threshold: number;
  /** A box whose score decays below this is dropped; one that never overlaps a better one stays whatever its score. */
  readonly minScore: number;
  readonly convention: BoxConvention;
}

export interface SoftNmsResult {
  /** Of the kept boxes, best new score first. */
  readonly indices: Int32Array;
  /** The new score of each. */
  readonly scores: Float32Array;
}

/**
 * The best box is kept, the scores of those that overlap it decay, and so on with the best of the rest.
 * @param boxes N x 4 xyxy, all of one class
 * @param scores N; of equal ones the first in the list goes first
 */
export function softNms(boxes: Float32Array, scores: Float32Array, options: SoftNmsOptions): SoftNmsResult {
  const { method, sigma, threshold, minScore, convention } = options;
  const decayed = Float32Array.from(scores);
  const rest = Int32Array.from(scores.keys());
  const indices: number[] = [];
  let count = rest.length;
  let best = 0;
  for (let at = 1; at < count; at++) if (decayed[rest[at]!]! > decayed[rest[best]!]!) best = at;
  while (count > 0) {
    const chosen = rest[best]!;
    indices.push(chosen);
    let left = 0;
    let nextBest = 0;
    for (let at = 0; at < count; at++) {
      if (at === best) continue;
      const other = rest[at]!;
      const iou = overlapOf(boxes, chosen, boxes, other, convention);
      if (iou > 0) {
        decayed[other]! *= decay(method, iou, threshold, sigma);
        if (decayed[other]! < minScore) continue;
      }
      rest[left] = other;
      if (decayed[other]! > decayed[rest[nextBest]!]!) nextBest = left;
      left++;
    }
    count = left;
    best = nextBest;
  }
  return { indices: Int32Array.from(indices), scores: Float32Array.from(indices, (index) => decayed[index]!) };
}

function decay(method: SoftNmsOptions['method'], iou: number, threshold: number, sigma: number): number {
  switch (method) {
    case 'linear':
      return iou > threshold ? 1 - iou : 1;
    case 'gaussian':
      return Math.exp(-(iou * iou) / sigma);
    case 'hard':
      return iou > threshold ? 0 : 1;
  }
}
