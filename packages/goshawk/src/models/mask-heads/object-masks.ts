// The masks of an image's objects as SOLO needs them: where their mass lies, and their pixels at the resolution of the network's
// masks.
import type { HeightWidth, MaskTargets } from '../structures.js';

/** Masks of G objects, on the host. */
export interface ObjectMasks {
  /** Number of each one's pixels, and their mean column and row, which are of no meaning without any. */
  readonly masses: readonly { readonly area: number; readonly x: number; readonly y: number }[];
  /**
   * [G * rows * columns] 0 or 1 of a map whose cells have `stride` pixels a side: whether at least two of a cell's four middle
   * pixels belong to the object. It is what OpenCV's bilinear resize of bytes gives for an even stride.
   */
  reduced(size: HeightWidth, stride: number): Float32Array;
}

/** @param pixels of all cut-outs, `crops` [G * 5]: as {@link MaskTargets} */
export function objectMasks(pixels: Uint8Array, crops: readonly number[]): ObjectMasks {
  const objects = Array.from({ length: crops.length / 5 }, (_, i) => {
    const [offset = 0, x = 0, y = 0, width = 0, height = 0] = crops.slice(i * 5, i * 5 + 5);
    return { offset, x, y, width, height };
  });
  return {
    masses: objects.map((crop) => massOf(pixels, crop)),
    reduced([rows, columns], stride) {
      const cells = new Float32Array(objects.length * rows * columns);
      for (const [i, crop] of objects.entries())
        reduce(pixels, crop, { rows, columns, stride, into: cells.subarray(i * rows * columns) });
      return cells;
    },
  };
}

export function readObjectMasks({ pixels, crops }: MaskTargets): ObjectMasks {
  return objectMasks(pixels.toTypedArray() as Uint8Array, crops.toNumbers());
}

interface Crop {
  readonly offset: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function massOf(pixels: Uint8Array, { offset, x, y, width, height }: Crop): ObjectMasks['masses'][number] {
  let [area, sumX, sumY] = [0, 0, 0];
  for (let row = 0, at = offset; row < height; row++) {
    let inRow = 0;
    for (let column = 0; column < width; column++, at++) {
      if (pixels[at] === 0) continue;
      inRow++;
      sumX += column;
    }
    area += inRow;
    sumY += inRow * row;
  }
  return { area, x: x + sumX / area, y: y + sumY / area };
}

interface Reduced {
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  readonly into: Float32Array;
}

function reduce(
  pixels: Uint8Array,
  { offset, x, y, width, height }: Crop,
  { rows, columns, stride, into }: Reduced,
): void {
  if (width === 0 || height === 0) return;
  // The two middle pixels of cell i are stride * i + middle and the one behind it.
  const middle = Math.floor((stride - 1) / 2);
  const first = (start: number): number => Math.max(0, Math.floor((start - middle - 1) / stride));
  const end = (stop: number, cells: number): number => Math.min(cells, Math.ceil((stop - middle) / stride));
  const at = (column: number, row: number): number =>
    column < 0 || row < 0 || column >= width || row >= height ? 0 : pixels[offset + row * width + column]!;
  for (let row = first(y); row < end(y + height, rows); row++) {
    const top = row * stride + middle - y;
    for (let column = first(x); column < end(x + width, columns); column++) {
      const left = column * stride + middle - x;
      const covered = at(left, top) + at(left + 1, top) + at(left, top + 1) + at(left + 1, top + 1);
      if (covered >= 2) into[row * columns + column] = 1;
    }
  }
}
