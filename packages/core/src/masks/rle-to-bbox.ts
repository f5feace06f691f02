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
  // Where the current run starts.
  let x = 0;
  let y = 0;
  for (let i = 0; i < counts.length; i++) {
    const run = counts[i]!;
    if (run === 0) continue;
    if (i % 2 === 1) {
      if (right < 0) left = x;
      right = x;
      const last = y + run - 1;
      if (last >= height) {
        top = 0;
        bottom = height - 1;
        right += Math.floor(last / height);
      } else {
        if (y < top) top = y;
        if (last > bottom) bottom = last;
      }
    }
    y += run;
    if (y >= height) {
      // Most runs end in the next column; a division for each would be the larger part of the work.
      const columns = y < 2 * height ? 1 : Math.floor(y / height);
      x += columns;
      y -= columns * height;
    }
  }
  return right < 0 ? boxXywh(0, 0, 0, 0) : boxXywh(left, top, right - left + 1, bottom - top + 1);
}
