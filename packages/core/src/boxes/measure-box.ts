// Area and overlap of single boxes, and the box around points.
import { type BoxXywh, type BoxXyxy, boxXywh } from './box.js';
import type { BoxConvention } from './transform-box.js';

/** Square pixels; 0 for a box whose corners are in the wrong order. */
export function boxArea(box: BoxXyxy, convention: BoxConvention = {}): number {
  const extra = convention.legacyPlusOne ? 1 : 0;
  return Math.max(box[2] - box[0] + extra, 0) * Math.max(box[3] - box[1] + extra, 0);
}

/** Square pixels that both boxes cover. */
export function boxIntersection(a: BoxXyxy, b: BoxXyxy, convention: BoxConvention = {}): number {
  const extra = convention.legacyPlusOne ? 1 : 0;
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]) + extra;
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]) + extra;
  return Math.max(width, 0) * Math.max(height, 0);
}

/** Intersection over union, 0 to 1; 0 where both boxes are empty. */
export function boxIou(a: BoxXyxy, b: BoxXyxy, convention: BoxConvention = {}): number {
  const intersection = boxIntersection(a, b, convention);
  const union = boxArea(a, convention) + boxArea(b, convention) - intersection;
  return union > 0 ? intersection / union : 0;
}

/** The smallest box around points `[x0, y0, x1, y1, ...]`, of which there is at least one. */
export function boxAround(points: readonly number[]): BoxXywh {
  let [left, top, right, bottom] = [points[0]!, points[1]!, points[0]!, points[1]!];
  for (let i = 2; i < points.length; i += 2) {
    left = Math.min(left, points[i]!);
    right = Math.max(right, points[i]!);
    top = Math.min(top, points[i + 1]!);
    bottom = Math.max(bottom, points[i + 1]!);
  }
  return boxXywh(left, top, right - left, bottom - top);
}
