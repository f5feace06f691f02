// Which cells learn which object (Wang et al. 2019, section 3.3): those around its centre of mass, on the levels whose range holds
// its size. Numbers of the ground truth alone, so the host works it out.
import type { HeightWidth } from '../structures.js';
import type { ObjectMasks } from './object-masks.js';

export interface AssignmentOptions {
  readonly grids: readonly number[];
  readonly scaleRanges: readonly (readonly [number, number])[];
  readonly centreShare: number;
  /** Objects of fewer pixels are learned by no cell. */
  readonly leastArea: number;
}

/** One cell that learns the mask of one object. */
export interface AssignedCell {
  readonly level: number;
  readonly row: number;
  readonly column: number;
  /** Its number in the image. */
  readonly object: number;
}

/** One image's objects, on the host. */
export interface GroundTruth {
  /** [G * 4] xyxy, network pixels. */
  readonly boxes: Float32Array;
  /** [G], 1..C. */
  readonly labels: readonly number[];
  readonly masks: ObjectMasks;
}

/** The cell and the neighbours that it may spread to. */
const SPREAD = 1;

/**
 * In the order of levels, objects, rows and columns. An object is usually on two levels. The arithmetic is
 * the original's (solov2_head.py): centres in float64, edges in float32, and Python's floor division by 1 / S,
 * which puts 0.5 into cell 19 of 40, since 1 / 40 is rounded up.
 * @param size of the padded input
 */
export function assignCells(
  { boxes, masks }: Pick<GroundTruth, 'boxes' | 'masks'>,
  [height, width]: HeightWidth,
  { grids, scaleRanges, centreShare, leastArea }: AssignmentOptions,
): AssignedCell[] {
  const objects = masks.masses.map((mass, object) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(object * 4, object * 4 + 4);
    const [boxWidth, boxHeight] = [Math.fround(x2 - x1), Math.fround(y2 - y1)];
    const half = (side: number): number => Math.fround(Math.fround(0.5 * side) * Math.fround(centreShare));
    return {
      object,
      mass,
      size: Math.fround(Math.sqrt(Math.fround(boxWidth * boxHeight))),
      halfWidth: half(boxWidth),
      halfHeight: half(boxHeight),
    };
  });
  return grids.flatMap((side, level) => {
    const [low, high] = scaleRanges[level]!;
    return objects.flatMap(({ object, mass, size, halfWidth, halfHeight }) => {
      if (mass.area < leastArea || !(size >= low && size <= high)) return [];
      const rows = cellsAround(mass.y, halfHeight, height, side);
      const columns = cellsAround(mass.x, halfWidth, width, side);
      return rows.flatMap((row) => columns.map((column) => ({ level, row, column, object })));
    });
  });
}

/** Cells of one axis. */
function cellsAround(centre: number, half: number, length: number, cells: number): number[] {
  const own = Math.trunc(floorDivide(centre / length, 1 / cells));
  const edge = (at: number): number =>
    Math.trunc(floorDivide32(Math.fround(Math.fround(at) / length), Math.fround(1 / cells)));
  const first = Math.max(0, edge(Math.fround(centre) - half), own - SPREAD);
  const last = Math.min(cells - 1, edge(Math.fround(centre) + half), own + SPREAD);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

/** Python's a // b, b above 0: exact in the remainder, so a multiple of b that was rounded falls short. */
function floorDivide(a: number, b: number): number {
  const remainder = a % b;
  return roundedDown((a - remainder) / b - (remainder < 0 ? 1 : 0));
}

/** The same in float32. */
function floorDivide32(a: number, b: number): number {
  const remainder = a % b;
  return roundedDown(Math.fround(Math.fround(a - remainder) / b) - (remainder < 0 ? 1 : 0));
}

/** What is whole but for rounding. */
function roundedDown(quotient: number): number {
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}
