// Polygons of a cropped picture: Sutherland and Hodgman, "Reentrant polygon clipping", 1974.
import type { PixelWindow } from './pixel-window.js';

/**
 * The part of a polygon inside of a window, in the window's pixels; empty where nothing is left. Parts of a concave polygon
 * stay one, joined by lines along the window's border that enclose nothing.
 * @param polygon corners `[x0, y0, x1, y1, ...]`, closed by itself
 */
export function polygonInWindow(polygon: Iterable<number>, window: PixelWindow): number[] {
  let points = Array.from(polygon, (value, i) => value - (i % 2 === 0 ? window.x : window.y));
  points = keepBeyond(points, 0, 0, 1);
  points = keepBeyond(points, 1, 0, 1);
  points = keepBeyond(points, 0, window.width, -1);
  points = keepBeyond(points, 1, window.height, -1);
  return hasArea(points) ? points : [];
}

/** What lies on one side of a line: along `axis` (0: x), at `border` or further in the direction of `sign`. */
function keepBeyond(points: readonly number[], axis: 0 | 1, border: number, sign: 1 | -1): number[] {
  const kept: number[] = [];
  const depth = (at: number) => (points[at + axis]! - border) * sign;
  for (let to = 0; to < points.length; to += 2) {
    const from = to === 0 ? points.length - 2 : to - 2;
    if (depth(from) < 0 !== depth(to) < 0) {
      const share = depth(from) / (depth(from) - depth(to));
      const other = points[from + 1 - axis]! + (points[to + 1 - axis]! - points[from + 1 - axis]!) * share;
      kept.push(...(axis === 0 ? [border, other] : [other, border]));
    }
    if (depth(to) >= 0) kept.push(points[to]!, points[to + 1]!);
  }
  return kept;
}

function hasArea(points: readonly number[]): boolean {
  const differs = (axis: 0 | 1) => points.some((value, i) => i % 2 === axis && value !== points[axis]);
  return points.length >= 6 && differs(0) && differs(1);
}
