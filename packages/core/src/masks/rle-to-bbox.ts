// The box around a mask.
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import type { Rle } from './rle.js';

/** The smallest box around the mask, whole pixels (a single pixel is 1 x 1); `[0, 0, 0, 0]` for an empty mask. */
export function rleToBbox(rle: Rle): BoxXywh {
  const [height, width] = rle.size;
  const { counts } = rle;
  let left = width;
  let right = -1;
  let top = height;
  let bottom = -1;
  let end = 0;
  for (let i = 0; i < counts.length; i++) {
    const start = end;
    end += counts[i]!;
    if (i % 2 === 0 || end === start) continue;
    const firstColumn = Math.floor(start / height);
    const lastColumn = Math.floor((end - 1) / height);
    // Runs come in order, so the first one is leftmost and the last one rightmost.
    if (left > firstColumn) left = firstColumn;
    right = lastColumn;
    if (firstColumn < lastColumn) {
      top = 0;
      bottom = height - 1;
    } else {
      top = Math.min(top, start - firstColumn * height);
      bottom = Math.max(bottom, end - 1 - firstColumn * height);
    }
  }
  return right < 0 ? boxXywh(0, 0, 0, 0) : boxXywh(left, top, right - left + 1, bottom - top + 1);
}
