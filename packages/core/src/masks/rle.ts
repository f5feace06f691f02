// Run-length encoded masks as in the COCO API: column-major order, the first run counts zeros.

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
