// The mask of an image from a coarse map of the network's input, as SOLO makes it, without the full-size map of probabilities.
import type { Rle } from './rle.js';

export interface GridMaskOptions {
  readonly rows: number;
  readonly columns: number;
  /** Network pixels a side of a cell. */
  readonly stride: number;
  /** The part of the network's input that is the picture, pixels from its corner. */
  readonly network: { readonly width: number; readonly height: number };
  /** Of the picture itself, pixels. */
  readonly image: { readonly width: number; readonly height: number };
  /** A pixel with more than this belongs to the mask. */
  readonly threshold: number;
}

/**
 * Two bilinear resizes (pixel centres at halves, borders repeated) with a cut between them: to the network's pixels, to those of
 * the picture. Each pixel is a mean of at most 3 x 3 cells: where they all lie on one side of the threshold it is not computed.
 * @param cells probabilities, rows first
 */
export function gridMaskToRle(cells: ArrayLike<number>, options: GridMaskOptions): Rle {
  const { rows, columns, stride, network, image, threshold } = options;
  const across = axisTaps(columns, stride, network.width, image.width);
  const down = axisTaps(rows, stride, network.height, image.height);
  const line = new Float64Array(rows + 2);
  const runs = new RunLengths();
  const any = columnsAbove(cells, options);
  for (let x = 0; x < image.width; x++) {
    const first = across.first[x]!;
    if (!any[first] && !any[first + 1] && !any[first + 2]) {
      runs.add(0, image.height);
      continue;
    }
    const [w0, w1, w2] = [across.weights[3 * x]!, across.weights[3 * x + 1]!, across.weights[3 * x + 2]!];
    for (let row = 0, at = first; row < rows; row++, at += columns) {
      // Beyond the last cell a weight is 0.
      line[row] = w0 * cells[at]! + (w1 === 0 ? 0 : w1 * cells[at + 1]!) + (w2 === 0 ? 0 : w2 * cells[at + 2]!);
    }
    for (let y = 0; y < image.height; ) {
      const start = down.first[y]!;
      let end = y + 1;
      while (end < image.height && down.first[end] === start) end++;
      const [a, b, c] = [line[start]!, line[Math.min(start + 1, rows - 1)]!, line[Math.min(start + 2, rows - 1)]!];
      const isIn = a > threshold;
      if (b > threshold === isIn && c > threshold === isIn) runs.add(isIn ? 1 : 0, end - y);
      else
        for (let at = y; at < end; at++) {
          const value = down.weights[3 * at]! * a + down.weights[3 * at + 1]! * b + down.weights[3 * at + 2]! * c;
          runs.add(value > threshold ? 1 : 0, 1);
        }
      y = end;
    }
  }
  return { size: [image.height, image.width], counts: runs.counts() };
}

/** Whether a column of cells has any above the threshold; two columns more, in which none is. */
function columnsAbove(cells: ArrayLike<number>, { rows, columns, threshold }: GridMaskOptions): Uint8Array {
  const any = new Uint8Array(columns + 2);
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at++) if (cells[at]! > threshold) any[column] = 1;
  return any;
}

interface Taps {
  /** The first cell that each pixel reads. */
  readonly first: Int32Array;
  /** Three weights a pixel, of that cell and the next two. */
  readonly weights: Float64Array;
}

/** Along one axis: what of the cells each of `length` pixels is made of. */
function axisTaps(cells: number, stride: number, between: number, length: number): Taps {
  const first = new Int32Array(length);
  const weights = new Float64Array(3 * length);
  for (let pixel = 0; pixel < length; pixel++) {
    const outer = bilinear(pixel, between / length, between);
    const [one, other] = [outer.low, outer.high].map((at) => bilinear(at, 1 / stride, cells)) as [Tap, Tap];
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

/** Zeros first, by turns. */
class RunLengths {
  readonly #counts: number[] = [0];

  add(value: 0 | 1, count: number): void {
    const last = this.#counts.length - 1;
    if (last % 2 === value) this.#counts[last] = this.#counts[last]! + count;
    else this.#counts.push(count);
  }

  counts(): Uint32Array {
    return Uint32Array.from(this.#counts);
  }
}
