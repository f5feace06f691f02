// The mask of an image from the small map of probabilities in a box (He et al., Mask R-CNN, 2017, section 3.1), as run lengths at
// once. All sums are in float32, in the order of the engine's kernel (torch/native/kernels/masks-to-rle.cc), which says the same.
import type { Rle } from './rle.js';

export interface BoxMaskOptions {
  /** Of the image, pixels. */
  readonly width: number;
  readonly height: number;
  /** Probability from which a pixel belongs to the mask. */
  readonly threshold: number;
  /** Whether a pixel of exactly the threshold does not. */
  readonly strict: boolean;
  /**
   * 1: the map gets a border of zeros, its box grows by (side + 2) / side about its centre (torchvision, Detectron,
   * maskrcnn-benchmark). 0: neither (mmdetection 1). The box is truncated to whole pixels, the last ones included.
   */
  readonly padding: 0 | 1;
}

/**
 * @param cells [side * side] probabilities, rows first
 * @param box x1, y1, x2, y2 in image pixels
 */
export function boxMaskToRle(cells: Float32Array, box: ArrayLike<number>, options: BoxMaskOptions): Rle {
  const { width, height, padding } = options;
  const runs = new RunWriter();
  const size = [height, width] as const;
  const resolution = Math.round(Math.sqrt(cells.length));
  const corners = Array.from({ length: 4 }, (_, i) => Math.fround(box[i]!));
  const pixels = corners.every(Number.isFinite) ? expandedBox(corners, resolution, padding) : undefined;
  const left = Math.max(pixels?.[0] ?? 0, 0);
  const top = Math.max(pixels?.[1] ?? 0, 0);
  const right = Math.min((pixels?.[2] ?? -1) + 1, width);
  const bottom = Math.min((pixels?.[3] ?? -1) + 1, height);
  if (!pixels || left >= right || top >= bottom) {
    runs.add(false, width * height);
    return { size, counts: runs.finish() };
  }
  const side = resolution + 2 * padding;
  const columns = paddedColumns(cells, resolution, padding);
  const [x1, y1, x2, y2] = pixels;
  const rows = Array.from({ length: bottom - top }, (_, i) => tapAt(top + i - y1, Math.max(y2 - y1 + 1, 1), side));
  const column = new Float32Array(side);
  const threshold = Math.fround(options.threshold);
  const { strict } = options;
  runs.add(false, left * height);
  for (let x = left; x < right; x++) {
    const tap = tapAt(x - x1, Math.max(x2 - x1 + 1, 1), side);
    blend(columns, tap, side, column);
    runs.add(false, top);
    for (const row of rows) {
      const low = Math.fround(Math.fround(1 - row.share) * column[row.low]!);
      const value = Math.fround(low + Math.fround(row.share * column[row.high]!));
      runs.add(strict ? value > threshold : value >= threshold, 1);
    }
    runs.add(false, height - bottom);
  }
  runs.add(false, (width - right) * height);
  return { size, counts: runs.finish() };
}

class RunWriter {
  readonly #counts: number[] = [];
  #value = false;
  #length = 0;

  add(value: boolean, length: number): void {
    if (length <= 0) return;
    if (value !== this.#value) {
      this.#counts.push(this.#length);
      this.#value = value;
      this.#length = 0;
    }
    this.#length += length;
  }

  finish(): Uint32Array {
    return Uint32Array.from([...this.#counts, this.#length]);
  }
}

/** In whole pixels, the last ones included. */
function expandedBox(box: readonly number[], resolution: number, padding: number): [number, number, number, number] {
  const [x1, y1, x2, y2] = box as [number, number, number, number];
  const truncated = (value: number): number => Math.trunc(Math.min(Math.max(value, -FAR), FAR));
  if (padding === 0) return [truncated(x1), truncated(y1), truncated(x2), truncated(y2)];
  const { fround } = Math;
  const scale = fround((resolution + 2 * padding) / resolution);
  const half = (low: number, high: number): number => fround(fround(fround(high - low) * 0.5) * scale);
  const centre = (low: number, high: number): number => fround(fround(high + low) * 0.5);
  const [halfWidth, halfHeight, x, y] = [half(x1, x2), half(y1, y2), centre(x1, x2), centre(y1, y2)];
  return [
    truncated(fround(x - halfWidth)),
    truncated(fround(y - halfHeight)),
    truncated(fround(x + halfWidth)),
    truncated(fround(y + halfHeight)),
  ];
}

// Beyond every image.
const FAR = 1e12;

/** The map's columns one after another, with its border of zeros. */
function paddedColumns(cells: Float32Array, resolution: number, padding: number): Float32Array {
  const side = resolution + 2 * padding;
  const columns = new Float32Array(side * side);
  for (let y = 0; y < resolution; y++)
    for (let x = 0; x < resolution; x++) columns[(x + padding) * side + y + padding] = cells[y * resolution + x]!;
  return columns;
}

/** Where a pixel reads the map: between two cells, the second by its share. */
interface Tap {
  readonly low: number;
  readonly high: number;
  readonly share: number;
}

/** Bilinear, pixel centres at halves, borders repeated. */
function tapAt(at: number, size: number, sourceSize: number): Tap {
  const { fround } = Math;
  const scale = fround(sourceSize / size);
  const centre = fround(fround(scale * fround(at + 0.5)) - 0.5);
  const source = Math.max(centre, 0);
  const low = Math.min(Math.trunc(source), sourceSize - 1);
  return { low, high: low + (low < sourceSize - 1 ? 1 : 0), share: fround(source - low) };
}

function blend(columns: Float32Array, { low, high, share }: Tap, side: number, into: Float32Array): void {
  const { fround } = Math;
  const rest = fround(1 - share);
  for (let s = 0; s < side; s++)
    into[s] = fround(rest * columns[low * side + s]!) + fround(share * columns[high * side + s]!);
}
