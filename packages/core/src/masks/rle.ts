// Run-length encoded masks as in the COCO API: column-major order, the first run counts zeros.
import { InputError } from '../errors/input-error.js';

/** `[height, width]` in pixels. */
export type MaskSize = readonly [number, number];

/** A binary mask as run lengths: zeros, ones, zeros, ...; the lengths sum to height * width, columns first. */
export interface Rle {
  readonly size: MaskSize;
  readonly counts: Uint32Array;
}

/** The same as it stands in a JSON file: `counts` in COCO's compressed string form. */
export interface CompressedRle {
  readonly size: MaskSize;
  readonly counts: string;
}

/** A polygon as `[x0, y0, x1, y1, ...]` in pixels. */
export type Polygon = readonly number[];

/**
 * The number of pixels of a mask of this size.
 * @throws InputError where height or width is not a whole number, is negative, or their product does not fit in 32 bits.
 */
export function maskPixels(size: MaskSize): number {
  const [height, width] = size;
  const pixels = height * width;
  if (!Number.isInteger(height) || !Number.isInteger(width) || height < 0 || width < 0 || pixels > 0xffffffff) {
    throw new InputError(
      'annotation-invalid',
      `mask: size must be [height, width] in whole pixels, at most 2**32 - 1 in all, got [${height}, ${width}]: correct the size`,
    );
  }
  return pixels;
}

/**
 * The run lengths of a file's uncompressed form, checked.
 * @throws InputError where a run is not a whole number of pixels or the runs do not sum to height * width.
 */
export function rleFromCounts(counts: ArrayLike<number>, size: MaskSize): Rle {
  const pixels = maskPixels(size);
  let sum = 0;
  for (let i = 0; i < counts.length; i++) {
    const run = counts[i]!;
    if (!Number.isInteger(run) || run < 0 || run > pixels) {
      throw new InputError(
        'annotation-invalid',
        `mask: counts[${i}] must be a whole number from 0 to ${pixels}, got ${String(run).slice(0, 40)}: encode the mask again`,
      );
    }
    sum += run;
  }
  if (sum !== pixels) throw wrongSum(sum, size);
  return { size: [size[0], size[1]], counts: Uint32Array.from(counts) };
}

/** The error for run lengths that do not fill their mask. */
export function wrongSum(sum: number, size: MaskSize): InputError {
  return new InputError(
    'annotation-invalid',
    `mask: run lengths must sum to ${size[0] * size[1]} (${size[0]} x ${size[1]}), got ${sum}: encode the mask again at this size`,
  );
}

/** The number of mask pixels. */
export function rleArea(rle: Rle): number {
  const { counts } = rle;
  let area = 0;
  for (let i = 1; i < counts.length; i += 2) area += counts[i]!;
  return area;
}
