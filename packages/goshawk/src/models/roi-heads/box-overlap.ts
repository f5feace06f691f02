// Intersection over union of single boxes in flat lists, under either convention of where a box ends.
import type { BoxConvention } from '../conventions.js';

/** IoU of box `i` of `a` with box `j` of `b`, both N x 4 xyxy; 0 where they share nothing. */
export function overlapOf(a: Float32Array, i: number, b: Float32Array, j: number, convention: BoxConvention): number {
  const edge = convention === 'inclusive' ? 1 : 0;
  const [ax1, ay1, ax2, ay2] = [a[i * 4]!, a[i * 4 + 1]!, a[i * 4 + 2]!, a[i * 4 + 3]!];
  const [bx1, by1, bx2, by2] = [b[j * 4]!, b[j * 4 + 1]!, b[j * 4 + 2]!, b[j * 4 + 3]!];
  const width = Math.min(ax2, bx2) - Math.max(ax1, bx1) + edge;
  if (!(width > 0)) return 0;
  const height = Math.min(ay2, by2) - Math.max(ay1, by1) + edge;
  if (!(height > 0)) return 0;
  const shared = width * height;
  const areas = (ax2 - ax1 + edge) * (ay2 - ay1 + edge) + (bx2 - bx1 + edge) * (by2 - by1 + edge);
  return shared / (areas - shared);
}
