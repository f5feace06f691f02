// Objects for tests of detectors: squares with everything that a head learns from.
import { tensor } from '@goshawk/torch';
import type { Targets } from '../models/structures.js';

export type Square = readonly [x1: number, y1: number, x2: number, y2: number];

/** Two that do not touch, in a picture of at least 80 x 52 pixels. */
export const SQUARES: readonly Square[] = [
  [8, 8, 32, 32],
  [48, 20, 80, 52],
];

/** Of an object: two visible ones on its diagonal and one that is not. */
export const SQUARE_KEYPOINTS = 3;

/** Squares of classes 1 and 2 by turns, each with its mask, its outline, and its keypoints. */
export function squareTargets(squares: readonly Square[]): Targets {
  let offset = 0;
  const crops = squares.flatMap(([x1, y1, x2, y2]) => {
    const crop = [offset, x1, y1, x2 - x1, y2 - y1];
    offset += (x2 - x1) * (y2 - y1);
    return crop;
  });
  return {
    boxes: tensor(squares.flat(), { shape: [squares.length, 4] }),
    labels: tensor(
      BigInt64Array.from(squares, (_, i) => BigInt(1 + (i % 2))),
      { shape: [squares.length] },
    ),
    masks: {
      pixels: tensor(new Uint8Array(offset).fill(1)),
      crops: tensor(BigInt64Array.from(crops, BigInt), { shape: [squares.length, 5] }),
    },
    polygons: squares.map(([x1, y1, x2, y2]) => [Float64Array.of(x1, y1, x2, y1, x2, y2, x1, y2)]),
    keypoints: tensor(
      squares.flatMap(([x1, y1]) => [x1 + 4, y1 + 4, 2, x1 + 12, y1 + 12, 1, x1 + 16, y1 + 16, 0]),
      { shape: [squares.length, SQUARE_KEYPOINTS, 3] },
    ),
  };
}
