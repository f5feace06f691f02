// What is done to pictures in bytes, by the compiled kernels where they are there. Each gives the bytes of core's function of the same
// name. Functions that say so write into the picture that they are given: training decodes each picture for itself.
import {
  addNoise as addNoiseBy,
  type BlurKernel,
  blendImages as blendBy,
  blurImage as blurBy,
  type ColorChange,
  changeColor as changeColorBy,
  type Fill,
  flipImageInPlace as flipBy,
  type HsvGains,
  inverseMap,
  isWholeMove,
  medianImage as medianBy,
  mirroring,
  noiseQuantiles,
  type PlanarMap,
  type RgbImage,
  resizeOpenCv as resizeBy,
  scaleHsv as scaleHsvBy,
  warpImage as warpBy,
} from '@goshawk/core';
import { mostWarpSide, pixelAddon } from '@goshawk/torch/pixels';

const addon = pixelAddon();

interface Size {
  readonly width: number;
  readonly height: number;
}

// Pictures of megabytes, one for each step, cost the collector more than the steps cost: their memory is used again.
const free: ArrayBuffer[] = [];
const MOST_FREE = 8;
/** What {@link recycle} may take: memory that no one else has a part of. */
const lent = new WeakSet<ArrayBufferLike>();

/** A new picture, whose bytes are still to be written. */
function unwritten({ width, height }: Size): RgbImage {
  const length = width * height * 3;
  const place = free.findIndex(({ byteLength }) => byteLength >= length && byteLength <= 2 * length);
  const buffer = place < 0 ? (Buffer.allocUnsafeSlow(length).buffer as ArrayBuffer) : free.splice(place, 1)[0]!;
  lent.add(buffer);
  return { data: new Uint8Array(buffer, 0, length), width, height };
}

/** Ends a picture: its memory becomes another's, where it comes from here. */
export function recycle({ data: { buffer } }: RgbImage): void {
  if (!lent.delete(buffer)) return;
  free.push(buffer as ArrayBuffer);
  if (free.length > MOST_FREE) free.shift();
}

/** A new picture. */
export function resizeOpenCv(image: RgbImage, width: number, height: number): RgbImage {
  if (addon === undefined) return resizeBy(image, width, height);
  const result = unwritten({ width, height });
  addon.resizeBytes(image, 'opencv', result);
  return result;
}

/** A new picture of one colour. */
export function filledImage(width: number, height: number, fill: Fill): RgbImage {
  const image = unwritten({ width, height });
  // From few bytes that are written to many: each copy reads what lies in the processor's cache.
  const row = Math.min(64, width) * 3;
  for (let i = 0; i < row; i++) image.data[i] = fill[i % 3]!;
  for (let done = row; done < image.data.length; ) {
    const count = Math.min(done, 24_576, image.data.length - done);
    image.data.copyWithin(done, 0, count);
    done += count;
  }
  return image;
}

/** A new picture; mirrored left to right, the picture itself in its own memory. */
export function warpImage(image: RgbImage, map: PlanarMap, size: Size, fill: Fill): RgbImage {
  const mirror = mirroring('horizontal', image.width);
  if (
    addon &&
    size.width === image.width &&
    size.height === image.height &&
    map.every((value, i) => value === mirror[i])
  ) {
    addon.mirrorRows(image);
    return image;
  }
  const isLarge = Math.max(image.width, image.height, size.width, size.height) > mostWarpSide;
  if (addon === undefined || isLarge || isWholeMove(map)) return warpBy(image, map, size, fill);
  const result = unwritten(size);
  addon.warp(image, inverseMap(map), fill, result);
  return result;
}

/** Writes into the picture. */
export function scaleHsv(image: RgbImage, gains: HsvGains): RgbImage {
  if (addon === undefined) return scaleHsvBy(image, gains);
  const { hue, saturation, value } = gains;
  if (hue !== 1 || saturation !== 1 || value !== 1) addon.scaleHsv(image, [hue, saturation, value], image.data);
  return image;
}

/** Writes into the picture. */
export function changeColor(image: RgbImage, change: ColorChange, factor: number): RgbImage {
  if (addon === undefined) return changeColorBy(image, change, factor);
  if (factor !== 1) addon.changeColor(image, change, factor, image.data);
  return image;
}

/** A new picture. */
export function blurImage(image: RgbImage, filter: 'gaussian' | 'box' | 'median', side: BlurKernel): RgbImage {
  if (addon === undefined) return filter === 'median' ? medianBy(image, side) : blurBy(image, filter, side);
  const result = unwritten(image);
  addon.blur(image, filter, side, result.data);
  return result;
}

/** Writes into the picture. */
export function addNoise(image: RgbImage, sigma: number, seed: number): RgbImage {
  if (addon === undefined) return addNoiseBy(image, sigma, seed);
  addon.addNoise(image, sigma, seed, noiseQuantiles(), image.data);
  return image;
}

/** Writes into the first picture. */
export function blendImages(first: RgbImage, second: RgbImage, share: number): RgbImage {
  if (addon === undefined || first.data.length !== second.data.length) return blendBy(first, second, share);
  addon.blend(first.data, second.data, share, first.data);
  return first;
}

/** Writes into the picture. */
export function flipImageInPlace(image: RgbImage): void {
  if (addon === undefined) flipBy(image);
  else addon.mirrorRows(image);
}
