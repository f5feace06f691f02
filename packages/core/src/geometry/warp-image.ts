// Pictures under a map of the plane, by bilinear interpolation between pixel centres, in bytes.
import { mirrorImage } from './flip.js';
import type { RgbImage } from './image.js';
import { inverseMap, isIdentity, isWholeMove, type PlanarMap } from './planar-map.js';

/** Red, green and blue, 0..255. */
export type Fill = readonly [number, number, number];

/** A picture of one colour. */
export function filledImage(width: number, height: number, fill: Fill): RgbImage {
  const data = new Uint8Array(width * height * 3);
  fillPixels(data, 0, width, fill);
  for (let done = width * 3; done < data.length; ) {
    const count = Math.min(done, data.length - done);
    data.copyWithin(done, 0, count);
    done += count;
  }
  return { data, width, height };
}

/**
 * What `map` makes of a picture, in a view of `size`: each pixel is the picture, bilinear, at the place from which its
 * centre comes; pixels from beyond the border blend into `fill` over one pixel. No low-pass when shrinking, as OpenCV's
 * warpAffine and warpPerspective. A move by whole pixels,
 * mirrored or not, copies them.
 */
export function warpImage(
  image: RgbImage,
  map: PlanarMap,
  size: { readonly width: number; readonly height: number },
  fill: Fill,
): RgbImage {
  const { width, height } = size;
  if (isIdentity(map) && width === image.width && height === image.height)
    return { width, height, data: image.data.slice() };
  if (isWholeMove(map)) {
    const [a, , c, , e, f] = map;
    const moved = filledImage(width, height, fill);
    const mirrored = mirrorImage(image, { horizontally: a < 0, vertically: e < 0 });
    pasteImage(moved, mirrored, a < 0 ? c - image.width : c, e < 0 ? f - image.height : f);
    return moved;
  }
  const warped: RgbImage = { width, height, data: new Uint8Array(width * height * 3) };
  const source: Source = { image, inverse: inverseMap(map), fill };
  for (let y = 0; y < height; y++) warpRow(source, warped, y);
  return warped;
}

/** Copies a picture over another, its upper left corner at (x, y), whole pixels; what does not fit is cut off. */
export function pasteImage(onto: RgbImage, image: RgbImage, x: number, y: number): void {
  const left = Math.max(0, x);
  const right = Math.min(onto.width, x + image.width);
  if (right <= left) return;
  for (let row = Math.max(0, y); row < Math.min(onto.height, y + image.height); row++) {
    const from = ((row - y) * image.width + left - x) * 3;
    onto.data.set(image.data.subarray(from, from + (right - left) * 3), (row * onto.width + left) * 3);
  }
}

interface Source {
  readonly image: RgbImage;
  /** From the warped picture to this one. */
  readonly inverse: PlanarMap;
  readonly fill: Fill;
}

/** `slope * x + offset >= 0`, for whole numbers x. */
interface Bound {
  readonly slope: number;
  readonly offset: number;
}

/**
 * A row's pixels lie on a line of the source: u, v and w are linear in x, and so are "u / w is at least" and "at most" where
 * w is positive. That gives the stretch that needs no look at the border, and the one beyond which all is fill.
 */
function warpRow({ image, inverse, fill }: Source, into: RgbImage, y: number): void {
  const { width, data } = into;
  const [a, b, c, d, e, f, g, h, i] = inverse;
  const row = y * width * 3;
  // In steps of the source's pixel centres.
  const w0 = g * 0.5 + h * (y + 0.5) + i;
  const u0 = a * 0.5 + b * (y + 0.5) + c - 0.5 * w0;
  const v0 = d * 0.5 + e * (y + 0.5) + f - 0.5 * w0;
  const line: Line = { u: u0, v: v0, w: w0, du: a - 0.5 * g, dv: d - 0.5 * g, dw: g };
  // So far inside that rounding to 1/256 of a pixel, and steps that are off by 1/131072 each, never leave the source.
  const slack = 0.003 + width / 131072;
  const seen = stretch(width, boundsWithin(line, -1, image.width, -1, image.height));
  const inner = stretch(width, boundsWithin(line, slack, image.width - 1 - slack, slack, image.height - 1 - slack));
  const isInner = inner.end > inner.start;
  const innerStart = isInner ? Math.max(inner.start, seen.start) : seen.end;
  const innerEnd = isInner ? Math.min(inner.end, seen.end) : seen.end;
  fillPixels(data, row, seen.start, fill);
  for (let x = seen.start; x < innerStart; x++) sampleBorder(image, line, x, fill, data, row + x * 3);
  if (line.dw === 0 && line.w === 1) sampleAffine(image, line, innerStart, innerEnd, data, row + innerStart * 3);
  else samplePerspective(image, line, innerStart, innerEnd, data, row + innerStart * 3);
  for (let x = innerEnd; x < seen.end; x++) sampleBorder(image, line, x, fill, data, row + x * 3);
  fillPixels(data, row + seen.end * 3, width - seen.end, fill);
}

/** u, v and w at x = 0 and what they grow by. */
interface Line {
  readonly u: number;
  readonly v: number;
  readonly w: number;
  readonly du: number;
  readonly dv: number;
  readonly dw: number;
}

const LEAST_DEPTH = 1e-6;

/** Where w is positive and left < u / w < right, top < v / w < bottom. */
function boundsWithin(
  { u, v, w, du, dv, dw }: Line,
  left: number,
  right: number,
  top: number,
  bottom: number,
): Bound[] {
  const above = (value: number, slope: number, low: number): Bound => ({
    slope: slope - low * dw,
    offset: value - low * w,
  });
  const below = (value: number, slope: number, high: number): Bound => ({
    slope: high * dw - slope,
    offset: high * w - value,
  });
  return [
    { slope: dw, offset: w - LEAST_DEPTH },
    above(u, du, left),
    below(u, du, right),
    above(v, dv, top),
    below(v, dv, bottom),
  ];
}

/** The whole numbers of 0..width - 1 that keep within all bounds: they are consecutive. */
function stretch(width: number, bounds: readonly Bound[]): { readonly start: number; readonly end: number } {
  let start = 0;
  let end = width;
  for (const { slope, offset } of bounds) {
    if (slope > 0) start = Math.max(start, Math.ceil(-offset / slope));
    else if (slope < 0) end = Math.min(end, Math.floor(offset / -slope) + 1);
    else if (offset < 0) end = 0;
  }
  // The quotient can be one off by rounding.
  const isWithin = (x: number) => bounds.every(({ slope, offset }) => slope * x + offset >= 0);
  while (start < end && !isWithin(start)) start++;
  while (end > start && !isWithin(end - 1)) end--;
  return start < end ? { start, end } : { start: width, end: width };
}

/** Places are in 1/65536 and advance by whole steps of that; weights are in 1/256, products in 1/65536, rounded once. */
function sampleAffine(
  { data: source, width }: RgbImage,
  line: Line,
  start: number,
  end: number,
  into: Uint8Array,
  first: number,
): void {
  const stride = width * 3;
  const stepX = Math.round(line.du * 65536);
  const stepY = Math.round(line.dv * 65536);
  // Half a weight more, for which the shifts below round.
  let placeX = Math.round((line.u + line.du * start) * 65536 + 128);
  let placeY = Math.round((line.v + line.dv * start) * 65536 + 128);
  const last = first + (end - start) * 3;
  for (let o = first; o < last; o += 3) {
    const fx = (placeX >> 8) & 255;
    const fy = (placeY >> 8) & 255;
    const at = (placeY >> 16) * stride + (placeX >> 16) * 3;
    const below = at + stride;
    placeX = (placeX + stepX) | 0;
    placeY = (placeY + stepY) | 0;
    let top = (source[at]! << 8) + (source[at + 3]! - source[at]!) * fx;
    let bottom = (source[below]! << 8) + (source[below + 3]! - source[below]!) * fx;
    into[o] = ((top << 8) + (bottom - top) * fy + 32768) >> 16;
    top = (source[at + 1]! << 8) + (source[at + 4]! - source[at + 1]!) * fx;
    bottom = (source[below + 1]! << 8) + (source[below + 4]! - source[below + 1]!) * fx;
    into[o + 1] = ((top << 8) + (bottom - top) * fy + 32768) >> 16;
    top = (source[at + 2]! << 8) + (source[at + 5]! - source[at + 2]!) * fx;
    bottom = (source[below + 2]! << 8) + (source[below + 5]! - source[below + 2]!) * fx;
    into[o + 2] = ((top << 8) + (bottom - top) * fy + 32768) >> 16;
  }
}

function samplePerspective(
  { data: source, width }: RgbImage,
  line: Line,
  start: number,
  end: number,
  into: Uint8Array,
  first: number,
): void {
  const { u, v, w, du, dv, dw } = line;
  const stride = width * 3;
  let o = first;
  for (let x = start; x < end; x++, o += 3) {
    const scale = 256 / (w + dw * x);
    const fixedX = ((u + du * x) * scale + 0.5) | 0;
    const fixedY = ((v + dv * x) * scale + 0.5) | 0;
    const fx = fixedX & 255;
    const fy = fixedY & 255;
    const at = (fixedY >> 8) * stride + (fixedX >> 8) * 3;
    const below = at + stride;
    for (let channel = 0; channel < 3; channel++) {
      const top = (source[at + channel]! << 8) + (source[at + channel + 3]! - source[at + channel]!) * fx;
      const bottom = (source[below + channel]! << 8) + (source[below + channel + 3]! - source[below + channel]!) * fx;
      into[o + channel] = ((top << 8) + (bottom - top) * fy + 32768) >> 16;
    }
  }
}

/** One pixel near the border, where some of its four neighbours may be fill. */
function sampleBorder(image: RgbImage, line: Line, x: number, fill: Fill, into: Uint8Array, o: number): void {
  const { data: source, width, height } = image;
  const w = line.w + line.dw * x;
  const sx = (line.u + line.du * x) / w;
  const sy = (line.v + line.dv * x) / w;
  const left = Math.floor(sx);
  const top = Math.floor(sy);
  const [fx, fy] = [sx - left, sy - top];
  const at = (px: number, py: number, channel: number): number =>
    px >= 0 && py >= 0 && px < width && py < height ? source[(py * width + px) * 3 + channel]! : fill[channel]!;
  for (let channel = 0; channel < 3; channel++) {
    const upper = at(left, top, channel) * (1 - fx) + at(left + 1, top, channel) * fx;
    const lower = at(left, top + 1, channel) * (1 - fx) + at(left + 1, top + 1, channel) * fx;
    into[o + channel] = Math.round(upper * (1 - fy) + lower * fy);
  }
}

function fillPixels(data: Uint8Array, offset: number, count: number, [red, green, blue]: Fill): void {
  for (let o = offset, end = offset + count * 3; o < end; o += 3) {
    data[o] = red;
    data[o + 1] = green;
    data[o + 2] = blue;
  }
}
