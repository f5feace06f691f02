// RGB pictures to a canvas, which has RGBA, and back.
import type { RgbImage } from '../geometry/image.js';
import type { Canvas2D, CanvasPixels } from './canvas-2d.js';
import type { Rectangle } from './instructions.js';

/** @param region whole pixels within the picture, which is at the canvas's upper left corner */
export function copyToCanvas(image: RgbImage, context: Canvas2D, { x, y, width, height }: Rectangle): void {
  const pixels = context.createImageData(width, height);
  const words = wordsOf(pixels);
  const rgb = image.data;
  for (let row = 0, to = 0; row < height; row++) {
    let from = ((y + row) * image.width + x) * 3;
    for (let column = 0; column < width; column++, to++, from += 3)
      words[to] = rgb[from]! | (rgb[from + 1]! << 8) | (rgb[from + 2]! << 16) | OPAQUE;
  }
  context.putImageData(pixels, x, y);
}

/** What {@link copyToCanvas} brought there, with what was drawn since. */
export function copyFromCanvas(image: RgbImage, context: Canvas2D, { x, y, width, height }: Rectangle): void {
  const words = wordsOf(context.getImageData(x, y, width, height));
  const rgb = image.data;
  for (let row = 0, from = 0; row < height; row++) {
    let to = ((y + row) * image.width + x) * 3;
    for (let column = 0; column < width; column++, to += 3, from++) {
      const word = words[from]!;
      rgb[to] = word;
      rgb[to + 1] = word >> 8;
      rgb[to + 2] = word >> 16;
    }
  }
}

// A pixel at once is faster than its bytes. The first byte is the lowest wherever JavaScript has typed arrays today.
const OPAQUE = 0xff000000;

function wordsOf({ data }: CanvasPixels): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
}
