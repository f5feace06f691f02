// The mask of an image from a coarse map of the network's input, as SOLO makes it, without the full-size map of probabilities.
import type { Rle } from './rle.js';

/** Where the pixels of a mask read the map that it is made of. */
export interface GridMaskPlace {
  readonly rows: number;
  readonly columns: number;
  /** Network pixels a side of a cell. */
  readonly stride: number;
  /** The part of the network's input that is the picture, pixels. */
  readonly network: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
  /** Of the picture itself, pixels. */
  readonly image: { readonly width: number; readonly height: number };
}

export interface GridMaskOptions extends GridMaskPlace {
  /** A pixel with more than this belongs to the mask. */
  readonly threshold: number;
}

/**
 * Two bilinear resizes (pixel centres at halves, borders repeated) with a cut between them: to the network's pixels, to those of
 * the picture. Each pixel is a mean of at most 3 x 3 cells: where they all lie on one side of the threshold it is not computed.
 * @param cells probabilities, rows first
 */
export function gridMaskToRle(cells: ArrayLike<number>, options: GridMaskOptions): Rle {
  const { rows, image, threshold } = options;
  const { across, down } = gridMaskTaps(options);
  const line = new Float64Array(rows);
  const above = extentAbove(cells, options);
  const groups = groupsReading(down.first, above);
  const [top, bottom] = [groups[0]!, groups.at(-1)!];
  // The runs so far, and the one that goes on: zeros first.
  const counts: number[] = [];
  let [value, length] = [0, 0];
  const add = (isIn: boolean, pixels: number): void => {
    if ((value === 1) !== isIn) {
      counts.push(length);
      [value, length] = [1 - value, 0];
    }
    length += pixels;
  };
  const { weights } = down;
  for (let x = 0; x < image.width; x++) {
    const first = across.first[x]!;
    if (first > above.right || first + 2 < above.left || top === bottom) {
      add(false, image.height);
      continue;
    }
    if (top > 0) add(false, top);
    blendColumns(cells, options, { first, weights: across.weights, at: 3 * x }, { into: line, ...above });
    for (let group = 0; group + 1 < groups.length; group++) {
      const [y, end] = [groups[group]!, groups[group + 1]!];
      const row = down.first[y]!;
      const [a, b, c] = [line[row]!, line[Math.min(row + 1, rows - 1)]!, line[Math.min(row + 2, rows - 1)]!];
      const isIn = a > threshold;
      if (b > threshold === isIn && c > threshold === isIn) {
        add(isIn, end - y);
        continue;
      }
      for (let at = 3 * y; at < 3 * end; at += 3)
        add(weights[at]! * a + weights[at + 1]! * b + weights[at + 2]! * c > threshold, 1);
    }
    if (bottom < image.height) add(false, image.height - bottom);
  }
  counts.push(length);
  return { size: [image.height, image.width], counts: new Uint32Array(counts) };
}

interface Extent {
  readonly left: number;
  readonly top: number;
  /** Inclusive, as the bottom. */
  readonly right: number;
  readonly bottom: number;
}

/** Around the cells above the threshold: without any, left and top lie behind right and bottom. */
function extentAbove(cells: ArrayLike<number>, { rows, columns, threshold }: GridMaskOptions): Extent {
  let [left, top, right, bottom] = [columns, rows, -1, -1];
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at++) {
      if (!(cells[at]! > threshold)) continue;
      left = Math.min(left, column);
      right = Math.max(right, column);
      top = Math.min(top, row);
      bottom = row;
    }
  return { left, top, right, bottom };
}

/** Of the pixels that read rows of the extent: where runs that read the same rows begin, and the end of the last. */
function groupsReading(first: Int32Array, { top, bottom }: Extent): number[] {
  const groups: number[] = [];
  let end = 0;
  for (let pixel = 0; pixel < first.length; pixel++) {
    const row = first[pixel]!;
    if (row > bottom || row + 2 < top) continue;
    if (groups.length === 0 || row !== first[pixel - 1]) groups.push(pixel);
    end = pixel + 1;
  }
  return [...groups, end];
}

/** The cells of three columns as one, weighed, in the rows that matter. */
function blendColumns(
  cells: ArrayLike<number>,
  { rows, columns }: GridMaskOptions,
  { first, weights, at }: { readonly first: number; readonly weights: Float64Array; readonly at: number },
  { into, top, bottom }: Pick<Extent, 'top' | 'bottom'> & { readonly into: Float64Array },
): void {
  const [w0, w1, w2] = [weights[at]!, weights[at + 1]!, weights[at + 2]!];
  // Beyond the last cell a weight is 0.
  const [second, third] = [Math.min(first + 1, columns - 1) - first, Math.min(first + 2, columns - 1) - first];
  const end = Math.min(rows, bottom + 3);
  for (let row = Math.max(0, top - 2), cell = row * columns + first; row < end; row++, cell += columns)
    into[row] = w0 * cells[cell]! + w1 * cells[cell + second]! + w2 * cells[cell + third]!;
}

/** Along both axes what of the map's cells the picture's pixels are made of: the same for all masks of a picture. */
export function gridMaskTaps({ rows, columns, stride, network, image }: GridMaskPlace): {
  readonly across: AxisTaps;
  readonly down: AxisTaps;
} {
  return {
    across: axisTaps(columns, stride, { start: network.left, length: network.width }, image.width),
    down: axisTaps(rows, stride, { start: network.top, length: network.height }, image.height),
  };
}

export interface AxisTaps {
  /** The first cell that each pixel reads. */
  readonly first: Int32Array;
  /** Three weights a pixel, of that cell and the next two. */
  readonly weights: Float64Array;
}

/** Along one axis: what of the cells each of `length` pixels is made of, by way of `between`, pixels of the network. */
function axisTaps(
  cells: number,
  stride: number,
  between: { readonly start: number; readonly length: number },
  length: number,
): AxisTaps {
  const first = new Int32Array(length);
  const weights = new Float64Array(3 * length);
  for (let pixel = 0; pixel < length; pixel++) {
    const outer = bilinear(pixel, between.length / length, between.length);
    const [one, other] = [outer.low, outer.high].map((at) => bilinear(between.start + at, 1 / stride, cells)) as [
      Tap,
      Tap,
    ];
    first[pixel] = one.low;
    const add = (cell: number, weight: number): void => {
      if (weight !== 0) weights[3 * pixel + cell - one.low] = weights[3 * pixel + cell - one.low]! + weight;
    };
    for (const [tap, share] of [
      [one, 1 - outer.share],
      [other, outer.share],
    ] as const) {
      add(tap.low, share * (1 - tap.share));
      add(tap.high, share * tap.share);
    }
  }
  return { first, weights };
}

interface Tap {
  readonly low: number;
  readonly high: number;
  /** Of `high`. */
  readonly share: number;
}

/** As aten's upsample_bilinear2d places pixels, in float32. */
function bilinear(pixel: number, step: number, length: number): Tap {
  const place = Math.max(0, Math.fround(Math.fround(Math.fround(step) * (pixel + 0.5)) - 0.5));
  const low = Math.min(Math.floor(place), length - 1);
  return { low, high: Math.min(low + 1, length - 1), share: low === length - 1 ? 0 : place - low };
}
