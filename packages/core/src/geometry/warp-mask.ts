// Run-length masks under a map of the plane.
import type { Rle } from '../masks/rle.js';
import { rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import { depthOf, inverseMap, type PlanarMap } from './planar-map.js';
import { mapPolygon } from './polygon-under-map.js';

/** What became of a mask. */
export interface MovedMask {
  readonly rle: Rle;
  /** The share of its pixels whose centres are still in the picture, 0..1. */
  readonly visible: number;
}

/**
 * What `map` makes of a mask, in a view of `width` x `height` pixels: each pixel is the mask's, at the place from which its
 * centre comes.
 */
export function warpMask(
  rle: Rle,
  map: PlanarMap,
  size: { readonly width: number; readonly height: number },
): MovedMask {
  const { width, height } = size;
  const [x, y, boxWidth, boxHeight] = rleToBbox(rle);
  const nothing: MovedMask = { rle: { size: [height, width], counts: Uint32Array.of(width * height) }, visible: 0 };
  if (boxWidth === 0) return nothing;
  const box: Extent = { x, y, width: boxWidth, height: boxHeight };
  const outline = mapPolygon([x, y, x + boxWidth, y, x + boxWidth, y + boxHeight, x, y + boxHeight], map);
  const reach = pixelsWithin(outline, size);
  if (reach === undefined) return nothing;
  const bitmap = decodeColumns(rle, box);
  const visible = countVisible(bitmap, box, map, size) / rleArea(rle);
  return { rle: { size: [height, width], counts: runsOf(bitmap, box, inverseMap(map), reach, size) }, visible };
}

interface Extent {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The pixels of the view that an outline touches. */
function pixelsWithin(
  outline: readonly number[],
  { width, height }: { readonly width: number; readonly height: number },
): Extent | undefined {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < outline.length; i += 2) {
    left = Math.min(left, Math.floor(outline[i]!));
    right = Math.max(right, Math.ceil(outline[i]!));
    top = Math.min(top, Math.floor(outline[i + 1]!));
    bottom = Math.max(bottom, Math.ceil(outline[i + 1]!));
  }
  left = Math.max(0, left);
  top = Math.max(0, top);
  right = Math.min(width, right);
  bottom = Math.min(height, bottom);
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : undefined;
}

/** The mask within its box, one byte a pixel, columns first as in the runs. */
function decodeColumns({ size: [height], counts }: Rle, box: Extent): Uint8Array {
  const bitmap = new Uint8Array(box.width * box.height);
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = at + counts[i]!;
    for (let start = at; i % 2 === 1 && start < end; ) {
      const column = Math.floor(start / height);
      const stop = Math.min(end, (column + 1) * height);
      const base = (column - box.x) * box.height - column * height - box.y;
      bitmap.fill(1, base + start, base + stop);
      start = stop;
    }
    at = end;
  }
  return bitmap;
}

function countVisible(
  bitmap: Uint8Array,
  box: Extent,
  map: PlanarMap,
  { width, height }: { readonly width: number; readonly height: number },
): number {
  const [a, b, c, d, e, f, g, h, i] = map;
  let count = 0;
  for (let x = 0, at = 0; x < box.width; x++) {
    const px = box.x + x + 0.5;
    for (let y = 0; y < box.height; y++, at++) {
      if (bitmap[at] === 0) continue;
      const py = box.y + y + 0.5;
      const w = g * px + h * py + i;
      const u = a * px + b * py + c;
      const v = d * px + e * py + f;
      if (w > 0 && u >= 0 && v >= 0 && u < width * w && v < height * w) count++;
    }
  }
  return count;
}

function runsOf(
  bitmap: Uint8Array,
  box: Extent,
  inverse: PlanarMap,
  reach: Extent,
  { width, height }: { readonly width: number; readonly height: number },
): Uint32Array {
  const [a, b, c, d, e, f] = inverse;
  const counts: number[] = [];
  let value = 0;
  let since = 0;
  const change = (at: number) => {
    counts.push(at - since);
    since = at;
    value = 1 - value;
  };
  for (let x = reach.x; x < reach.x + reach.width; x++) {
    const px = x + 0.5;
    const column = x * height;
    for (let y = reach.y; y < reach.y + reach.height; y++) {
      const py = y + 0.5;
      const w = depthOf(inverse, px, py);
      const u = Math.floor((a * px + b * py + c) / w) - box.x;
      const v = Math.floor((d * px + e * py + f) / w) - box.y;
      const isInside = w > 0 && u >= 0 && v >= 0 && u < box.width && v < box.height;
      if ((isInside ? bitmap[u * box.height + v] : 0) !== value) change(column + y);
    }
    // Below the reach nothing is, and above it in the next column.
    if (value === 1 && (reach.y > 0 || reach.y + reach.height < height)) change(column + reach.y + reach.height);
  }
  if (value === 1) change((reach.x + reach.width - 1) * height + reach.y + reach.height);
  if (since < width * height) counts.push(width * height - since);
  return Uint32Array.from(counts);
}
