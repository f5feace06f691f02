// Whether a box has an area in the numbers that a network gets, which are float32.
import type { BoxXyxy } from '@goshawk/core';

/**
 * A side of at most this share of the picture's longer side is left out when a data set is opened: eight steps of float32
 * at the far edge, so that resizing and mirroring cannot round it away.
 */
export const vanishingShare = 2 ** -20;

// An area below it loses digits, and underflows when it is divided by an anchor's.
const SMALLEST_NORMAL = 2 ** -126;

/** Whether both sides and the area, as float32 computes them from float32 corners, are above zero. */
export function hasSides([x1, y1, x2, y2]: BoxXyxy): boolean {
  const width = Math.fround(Math.fround(x2) - Math.fround(x1));
  const height = Math.fround(Math.fround(y2) - Math.fround(y1));
  return width > 0 && height > 0 && Math.fround(width * height) >= SMALLEST_NORMAL;
}
