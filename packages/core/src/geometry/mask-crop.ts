// An object's mask in network pixels, cut to where it is not zero: what a mask target needs, without a full-size bitmap
// for each object of a crowded picture.
import type { Rle } from '../masks/rle.js';
import type { PixelWindow } from './pixel-window.js';

/** A binary mask (0 or 1, rows first) of `width` x `height` network pixels whose corner lies at (x, y); zero outside. */
export interface MaskCrop {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * torchvision's rule: the object is a bitmap of the original picture (COCO rasteriser), resized by nearest neighbour, the
 * source index of pixel i being floor(i * in / out) in float32 as in aten's upsample_nearest2d. Exactly the full-size
 * result, cut to its extent; an object that vanishes has width and height 0.
 * @param rle of the full original picture, `size` = [its height, its width]
 * @param options.flip mirrors the original picture first
 */
export function nearestMaskCrop(
  rle: Rle,
  width: number,
  height: number,
  options: { readonly flip?: boolean } = {},
): MaskCrop {
  const [sourceHeight, sourceWidth] = rle.size;
  const extent = rleExtent(rle);
  if (extent === undefined) return { x: 0, y: 0, width: 0, height: 0, data: new Uint8Array(0) };
  const columns = nearestIndices(sourceWidth, width);
  if (options.flip) for (let i = 0; i < columns.length; i++) columns[i] = sourceWidth - 1 - columns[i]!;
  const rows = nearestIndices(sourceHeight, height);
  const xs = indicesWithin(columns, extent.x1, extent.x2);
  const ys = indicesWithin(rows, extent.y1, extent.y2);
  const cropWidth = xs.end - xs.start;
  const cropHeight = ys.end - ys.start;
  if (cropWidth === 0 || cropHeight === 0) return { x: 0, y: 0, width: 0, height: 0, data: new Uint8Array(0) };

  const bitmap = decodeExtent(rle, extent);
  const bitmapHeight = extent.y2 - extent.y1;
  const data = new Uint8Array(cropWidth * cropHeight);
  for (let y = 0, o = 0; y < cropHeight; y++) {
    const sourceY = rows[ys.start + y]! - extent.y1;
    for (let x = 0; x < cropWidth; x++, o++) {
      data[o] = bitmap[(columns[xs.start + x]! - extent.x1) * bitmapHeight + sourceY]!;
    }
  }
  return { x: xs.start, y: ys.start, width: cropWidth, height: cropHeight, data };
}

/** The part of a mask inside a window of its picture, in the window's pixels; what of it is zero is not cut off. */
export function maskInWindow(mask: MaskCrop, window: PixelWindow): MaskCrop {
  const x1 = Math.max(mask.x, window.x);
  const y1 = Math.max(mask.y, window.y);
  const width = Math.min(mask.x + mask.width, window.x + window.width) - x1;
  const height = Math.min(mask.y + mask.height, window.y + window.height) - y1;
  if (width <= 0 || height <= 0) return { x: 0, y: 0, width: 0, height: 0, data: new Uint8Array(0) };
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (y1 - mask.y + y) * mask.width + x1 - mask.x;
    data.set(mask.data.subarray(from, from + width), y * width);
  }
  return { x: x1 - window.x, y: y1 - window.y, width, height, data };
}

/** Half-open bounds in pixels. */
interface Extent {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** Where the mask has ones, or undefined where it has none. */
function rleExtent(rle: Rle): Extent | undefined {
  const height = rle.size[0];
  let x1 = Number.POSITIVE_INFINITY;
  let y1 = Number.POSITIVE_INFINITY;
  let x2 = 0;
  let y2 = 0;
  forEachRun(rle, (start, end) => {
    const firstColumn = Math.floor(start / height);
    const lastColumn = Math.floor((end - 1) / height);
    x1 = Math.min(x1, firstColumn);
    x2 = Math.max(x2, lastColumn + 1);
    if (firstColumn === lastColumn) {
      y1 = Math.min(y1, start - firstColumn * height);
      y2 = Math.max(y2, end - firstColumn * height);
    } else {
      y1 = 0;
      y2 = height;
    }
  });
  return x2 === 0 ? undefined : { x1, y1, x2, y2 };
}

/** The mask within `extent`, columns first. */
function decodeExtent(rle: Rle, extent: Extent): Uint8Array {
  const height = rle.size[0];
  const cropHeight = extent.y2 - extent.y1;
  const bitmap = new Uint8Array((extent.x2 - extent.x1) * cropHeight);
  forEachRun(rle, (start, end) => {
    for (let at = start; at < end; ) {
      const column = Math.floor(at / height);
      const stop = Math.min(end, (column + 1) * height);
      const base = (column - extent.x1) * cropHeight - column * height - extent.y1;
      bitmap.fill(1, base + at, base + stop);
      at = stop;
    }
  });
  return bitmap;
}

function forEachRun(rle: Rle, visit: (start: number, end: number) => void): void {
  let at = 0;
  for (let i = 0; i < rle.counts.length; i++) {
    const end = at + rle.counts[i]!;
    if (i % 2 === 1 && end > at) visit(at, end);
    at = end;
  }
}

function nearestIndices(from: number, to: number): Int32Array {
  const scale = Math.fround(from / to);
  return Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), from - 1));
}

/** The positions of a rising or falling table whose values lie in [low, high): they are consecutive. */
function indicesWithin(indices: Int32Array, low: number, high: number): { start: number; end: number } {
  let start = 0;
  while (start < indices.length && (indices[start]! < low || indices[start]! >= high)) start++;
  let end = start;
  while (end < indices.length && indices[end]! >= low && indices[end]! < high) end++;
  return { start, end };
}
