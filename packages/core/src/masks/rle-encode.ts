// Between masks of one byte a pixel, row by row, and run lengths, column by column.
import { InputError } from '../errors/input-error.js';
import { type MaskSize, maskPixels, type Rle, wrongSum } from './rle.js';

/**
 * Run lengths of a mask.
 * @param mask height * width bytes in row-major order; every value but 0 is mask.
 * @throws InputError where the length is not height * width.
 */
export function encodeMask(mask: Uint8Array, size: MaskSize): Rle {
  const [height, width] = size;
  const pixels = maskPixels(size);
  if (mask.length !== pixels) {
    throw new InputError(
      'annotation-invalid',
      `encodeMask: mask must hold ${pixels} bytes (${height} x ${width}), got ${mask.length}: pass [height, width] of this mask`,
    );
  }
  const counts: number[] = [];
  let run = 0;
  let value = false;
  for (let x = 0; x < width; x++) {
    for (let at = x; at < pixels; at += width) {
      if ((mask[at] !== 0) !== value) {
        counts.push(run);
        run = 0;
        value = !value;
      }
      run++;
    }
  }
  counts.push(run);
  return { size: [height, width], counts: Uint32Array.from(counts) };
}

/**
 * The mask of run lengths: height * width bytes, 0 or 1, in row-major order.
 * @throws InputError where the runs do not sum to height * width.
 */
export function decodeMask(rle: Rle): Uint8Array {
  const [height, width] = rle.size;
  const pixels = maskPixels(rle.size);
  const { counts } = rle;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  if (sum !== pixels) throw wrongSum(sum, rle.size);
  const mask = new Uint8Array(pixels);
  let start = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = start + counts[i]!;
    if (i % 2 === 1 && end > start) {
      let x = Math.floor(start / height);
      let y = start - x * height;
      for (let left = end - start; left > 0; left--) {
        mask[y * width + x] = 1;
        if (++y === height) {
          y = 0;
          x++;
        }
      }
    }
    start = end;
  }
  return mask;
}
