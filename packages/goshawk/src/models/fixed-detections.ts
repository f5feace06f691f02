// Detections of fixed size, and their way out of it: the one number an image that the host reads.
import { nmsFirst, ops, type Tensor } from '@goshawk/torch';
import type { Conventions } from './conventions.js';
import { rowsAt } from './padded.js';
import type { Detections } from './structures.js';

/** K boxes an image with a class each. */
export interface FixedCandidates {
  /** What the boxes are measured in. */
  readonly pixels: 'network' | 'image';
  /** [N, K, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [N, K] float32; -Infinity where there is no candidate. */
  readonly scores: Tensor;
  /** [N, K] int64 1..C, or [K] for all images. */
  readonly labels: Tensor;
}

/** D rows an image, best first. */
export interface FixedDetections extends FixedCandidates {
  /** [N, D] bool; those that are none stand last. */
  readonly valid: Tensor;
}

/** The best of each image's candidates that do not cover one another, class by class: as many as the limit and its rule leave. */
export function suppressFixed(
  { pixels, boxes, scores, labels }: FixedCandidates,
  { nmsThreshold, maxDetections }: { readonly nmsThreshold: number; readonly maxDetections: number },
  { boxes: convention, detectionLimit }: Pick<Conventions, 'boxes' | 'detectionLimit'>,
): FixedDetections {
  const inclusive = convention === 'inclusive';
  const isCounted = detectionLimit === 'count';
  const all = scores.size(1);
  const count = isCounted ? Math.min(maxDetections, all) : all;
  const rules = { count, plusOne: inclusive, suppressEqual: inclusive };
  const { kept, valid } = nmsFirst(boxes, scores, labels, nmsThreshold, rules);
  const found = {
    pixels,
    boxes: rowsAt(boxes, kept),
    scores: rowsAt(scores, kept),
    labels: rowsAt(labels.rank === 1 ? ops.expand(labels, scores.shape) : labels, kept),
    valid,
  };
  if (isCounted || all <= maxDetections) return found;
  // All that reach the score of the last.
  const last = ops.narrow(ops.where(valid, found.scores, -Infinity), 1, maxDetections - 1, 1);
  return { ...found, valid: ops.logical_and(valid, ops.ge(found.scores, last)) };
}

/** The detections of each image. On a card this waits until they are there. */
export function readDetections({ pixels, boxes, scores, labels, valid }: FixedDetections): Detections[] {
  const counts = ops.sum(valid, [1]).toNumbers();
  return counts.map((count, image) => {
    const own = (values: Tensor): Tensor => ops.narrow(ops.select(values, 0, image), 0, 0, count);
    return { pixels, boxes: own(boxes), scores: own(scores), labels: own(labels) };
  });
}
