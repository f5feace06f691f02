// Outlines of a mask: walks along the borders between pixels, and simplifies what it walked by the method of Douglas
// and Peucker ("Algorithms for the reduction of the number of points required to represent a digitized line", 1973).
import type { MaskSize, Polygon } from './rle.js';

/** A closed line along pixel borders; the mask lies to the right of its direction. */
export interface MaskContour {
  /** Corners `[x0, y0, x1, y1, ...]`, whole numbers; pixel (x, y) covers x..x+1, y..y+1. */
  readonly points: Polygon;
  /** Square pixels that the line encloses. */
  readonly area: number;
  /** The line goes around a hole of the mask, not around the mask. */
  readonly isHole: boolean;
}

/**
 * All outlines of a mask, those of holes too. Pixels that only touch at a corner are separate parts.
 * @param mask height * width bytes in row-major order; every value but 0 is mask.
 */
export function traceContours(mask: Uint8Array, size: MaskSize): MaskContour[] {
  const [height, width] = size;
  // With a rim of nothing around it no step has to ask whether it is still inside; rows are whole words.
  const stride = (width + 5) & ~3;
  const pixels = new Uint8Array(stride * (height + 2));
  for (let y = 0; y < height; y++) pixels.set(mask.subarray(y * width, (y + 1) * width), (y + 1) * stride + 1);
  // Each outline runs to the right somewhere, above a mask pixel: those places are the starts.
  const walked = new Uint8Array(pixels.length);
  const contours: MaskContour[] = [];
  // Most rows are like the one above for long: four pixels at once tell where nothing begins.
  const words = new Uint32Array(pixels.buffer);
  const rowWords = stride / 4;
  for (let y = 0; y < height; y++) {
    const first = (y + 1) * rowWords;
    for (let word = first; word < first + rowWords; word++) {
      if ((words[word]! & ~words[word - rowWords]!) === 0) continue;
      for (let at = 4 * word; at < 4 * word + 4; at++)
        if (pixels[at] !== 0 && pixels[at - stride] === 0 && walked[at] === 0)
          contours.push(walk(at - 4 * first - 1, y, pixels, walked, stride));
    }
  }
  return contours;
}

// Directions: 0 right, 1 down, 2 left, 3 up. The pixels ahead of corner (x, y) on the right and on the left hand side.
const stepX = [1, 0, -1, 0] as const;
const stepY = [0, 1, 0, -1] as const;
const rightX = [0, -1, -1, 0] as const;
const rightY = [0, 0, -1, -1] as const;
const leftX = [0, 0, -1, -1] as const;
const leftY = [-1, 0, 0, -1] as const;

function walk(startX: number, startY: number, pixels: Uint8Array, walked: Uint8Array, stride: number): MaskContour {
  const points: number[] = [];
  let x = startX;
  let y = startY;
  let direction = 0;
  let twiceArea = 0;
  do {
    if (direction === 0) walked[(y + 1) * stride + x + 1] = 1;
    const nextX = x + stepX[direction]!;
    const nextY = y + stepY[direction]!;
    twiceArea += x * nextY - nextX * y;
    x = nextX;
    y = nextY;
    const corner = (y + 1) * stride + x + 1;
    let turned = direction;
    if (pixels[corner + rightY[direction]! * stride + rightX[direction]!] === 0) turned = (direction + 1) & 3;
    else if (pixels[corner + leftY[direction]! * stride + leftX[direction]!] !== 0) turned = (direction + 3) & 3;
    if (turned !== direction) points.push(x, y);
    direction = turned;
  } while (x !== startX || y !== startY || direction !== 0);
  return { points, area: Math.abs(twiceArea) / 2, isHole: twiceArea < 0 };
}

/**
 * The middles of the pixel sides along a contour, one a side: a smoother outline, as slanted borders have them on both
 * sides alike.
 */
export function contourSideMiddles(points: Polygon): number[] {
  const middles: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i]!;
    const y = points[i + 1]!;
    const dx = points[(i + 2) % points.length]! - x;
    const dy = points[(i + 3) % points.length]! - y;
    const sides = Math.abs(dx) + Math.abs(dy);
    for (let k = 0.5; k < sides; k++) middles.push(x + (dx * k) / sides, y + (dy * k) / sides);
  }
  return middles;
}

/**
 * The closed polygon with fewer corners, none of the old ones farther than `tolerancePx` from the new line.
 * A polygon of three corners or fewer comes back as it is.
 */
export function simplifyPolygon(polygon: ArrayLike<number>, tolerancePx: number): number[] {
  const count = polygon.length / 2;
  if (count <= 3) return Array.from(polygon);
  // A ring has no ends: split it at its first corner and at the one farthest from it.
  let farthest = 0;
  let best = -1;
  for (let i = 1; i < count; i++) {
    const d = (polygon[2 * i]! - polygon[0]!) ** 2 + (polygon[2 * i + 1]! - polygon[1]!) ** 2;
    if (d > best) {
      best = d;
      farthest = i;
    }
  }
  const keep = new Uint8Array(count);
  keep[0] = 1;
  keep[farthest] = 1;
  const pending: [number, number][] = [
    [0, farthest],
    [farthest, count],
  ];
  for (let span = pending.pop(); span !== undefined; span = pending.pop()) {
    const middle = farthestFromChord(polygon, span[0], span[1], tolerancePx);
    if (middle < 0) continue;
    keep[middle] = 1;
    pending.push([span[0], middle], [middle, span[1]]);
  }
  const simplified: number[] = [];
  for (let i = 0; i < count; i++) if (keep[i]) simplified.push(polygon[2 * i]!, polygon[2 * i + 1]!);
  return simplified.length >= 6 ? simplified : Array.from(polygon);
}

// The corner between `first` and `last` (which may be the ring's end, corner 0 again) that is farther than the tolerance, or -1.
function farthestFromChord(polygon: ArrayLike<number>, first: number, last: number, tolerance: number): number {
  const end = (last * 2) % polygon.length;
  const ax = polygon[2 * first]!;
  const ay = polygon[2 * first + 1]!;
  const dx = polygon[end]! - ax;
  const dy = polygon[end + 1]! - ay;
  const length2 = dx * dx + dy * dy;
  let worst = tolerance * tolerance;
  let index = -1;
  for (let i = first + 1; i < last; i++) {
    const px = polygon[2 * i]! - ax;
    const py = polygon[2 * i + 1]! - ay;
    const along = length2 === 0 ? 0 : Math.min(Math.max((px * dx + py * dy) / length2, 0), 1);
    const d = (px - along * dx) ** 2 + (py - along * dy) ** 2;
    if (d > worst) {
      worst = d;
      index = i;
    }
  }
  return index;
}
