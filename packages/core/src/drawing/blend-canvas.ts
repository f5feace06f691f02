// What a canvas holds, which is RGBA, laid over an RGB picture.
import type { RgbImage } from '../geometry/image.js';
import type { Canvas2D } from './canvas-2d.js';
import type { Rectangle } from './instructions.js';

/**
 * Only what is drawn makes the way, not the picture to the canvas and back: most pixels of a region are clear.
 * @param region whole pixels within the picture, which is at the canvas's upper left corner
 */
export function blendCanvas(image: RgbImage, context: Canvas2D, { x, y, width, height }: Rectangle): void {
  const words = wordsOf(context, { x, y, width, height });
  const rgb = image.data;
  for (let row = 0, from = 0; row < height; row++) {
    let to = ((y + row) * image.width + x) * 3;
    for (let column = 0; column < width; column++, to += 3, from++) {
      const word = words[from]!;
      if (word === 0) continue;
      const cover = word >>> 24;
      rgb[to] = blended(rgb[to]!, word & 255, cover);
      rgb[to + 1] = blended(rgb[to + 1]!, (word >>> 8) & 255, cover);
      rgb[to + 2] = blended(rgb[to + 2]!, (word >>> 16) & 255, cover);
    }
  }
}

/** The same for regions in which all pixels of the canvas are alike: one is asked for, and each value of the picture has its table. */
export function blendEvenly(image: RgbImage, context: Canvas2D, regions: readonly Rectangle[]): void {
  const [first] = regions;
  if (!first) return;
  const [word = 0] = wordsOf(context, { ...first, width: 1, height: 1 });
  if (word === 0) return;
  const [red, green, blue] = [0, 8, 16].map((shift) => blendTable((word >>> shift) & 255, word >>> 24)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const rgb = image.data;
  for (const { x, y, width, height } of regions) {
    for (let row = y; row < y + height; row++) {
      const end = (row * image.width + x + width) * 3;
      for (let to = end - width * 3; to < end; to += 3) {
        rgb[to] = red[rgb[to]!]!;
        rgb[to + 1] = green[rgb[to + 1]!]!;
        rgb[to + 2] = blue[rgb[to + 2]!]!;
      }
    }
  }
}

/** A pixel at once is faster than its bytes. The first byte is the lowest wherever JavaScript has typed arrays today. */
function wordsOf(context: Canvas2D, { x, y, width, height }: Rectangle): Uint32Array {
  const { data } = context.getImageData(x, y, width, height);
  return new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
}

/** What each value becomes below another. */
function blendTable(above: number, cover: number): Uint8Array {
  const table = new Uint8Array(256);
  for (let below = 0; below < 256; below++) table[below] = blended(below, above, cover);
  return table;
}

/** @param cover 0 to 255: how much of `above` is seen */
function blended(below: number, above: number, cover: number): number {
  const sum = below * (255 - cover) + above * cover + 128;
  // sum / 255, rounded, for every sum that there can be.
  return (sum + (sum >>> 8)) >>> 8;
}
