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
  return decodeMaskWithin(rle, [0, 0, width, height]);
}

/**
 * A part of the mask, column by column as its runs are, which takes as long as the runs are many: pixel (x, y) of it is at
 * `x * height + y`.
 * @param window `[left, top, width, height]` in whole pixels, that all of the mask lies in, such as its box
 * @throws InputError where the runs do not sum to height * width.
 */
export function decodeColumnsWithin(rle: Rle, window: readonly [number, number, number, number]): Uint8Array {
  const [left, top, columns, rows] = window;
  requireWhole(rle);
  const height = rle.size[0];
  const { counts } = rle;
  const mask = new Uint8Array(columns * rows);
  let start = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = start + counts[i]!;
    if (i % 2 === 1)
      for (let at = start; at < end; ) {
        const x = Math.floor(at / height);
        const y = at - x * height;
        const next = Math.min(end, (x + 1) * height);
        // A run that goes on in the next column ends at the picture's last row.
        const to = (x - left) * rows + y - top;
        mask.fill(1, to, to + next - at);
        at = next;
      }
    start = end;
  }
  return mask;
}

/**
 * A part of the mask, as rows of its own: its memory does not grow with the picture's.
 * @param window `[left, top, width, height]` in whole pixels, that all of the mask lies in, such as its box
 * @throws InputError where the runs do not sum to height * width.
 */
export function decodeMaskWithin(rle: Rle, window: readonly [number, number, number, number]): Uint8Array {
  const [left, top, columns, rows] = window;
  requireWhole(rle);
  const height = rle.size[0];
  const { counts } = rle;
  const mask = new Uint8Array(columns * rows);
  let start = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = start + counts[i]!;
    if (i % 2 === 1 && end > start) {
      let x = Math.floor(start / height);
      let y = start - x * height;
      let at = (y - top) * columns + x - left;
      for (let rest = end - start; rest > 0; rest--) {
        mask[at] = 1;
        at += columns;
        if (++y === height) {
          y = 0;
          x++;
          at = -top * columns + x - left;
        }
      }
    }
    start = end;
  }
  return mask;
}

function requireWhole({ counts, size }: Rle): void {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  if (sum !== maskPixels(size)) throw wrongSum(sum, size);
}
