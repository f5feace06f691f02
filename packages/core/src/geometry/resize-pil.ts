// PIL's Image.resize with BILINEAR on uint8, bit for bit: a triangle filter widened when shrinking (antialiased), one
// pass along x and one along y, each rounded to uint8. The arithmetic is that of Pillow's Resample.c, checked against 12.3. Pictures a
// hundred times as tall as wide, which that version makes smaller along y first, can differ by one level.
import type { RgbImage } from './image.js';
import { type PixelWindow, wholeWindow } from './pixel-window.js';

// Resample.c, PRECISION_BITS: 32 - 8 bits of a value - 2 bits of headroom.
const PRECISION_BITS = 22;

/**
 * `image` at `width` x `height` as PIL's bilinear makes it.
 * @param window only this part of the output is computed and returned
 */
export function resizePil(
  image: RgbImage,
  width: number,
  height: number,
  window: PixelWindow = wholeWindow(width, height),
): RgbImage {
  const rows = filterTable(image.height, height, window.y, window.height);
  const last = rows.start.length - 1;
  const firstRow = rows.start[0]!;
  const rowCount = rows.start[last]! + rows.count[last]! - firstRow;
  let data = image.data.subarray(firstRow * image.width * 3, (firstRow + rowCount) * image.width * 3);
  // A pass that changes nothing is left out, as in PIL.
  if (width !== image.width || window.width !== width)
    data = resizeColumns(data, image.width, rowCount, filterTable(image.width, width, window.x, window.width));
  if (height !== image.height) data = resizeRows(data, window.width, firstRow, rows);
  const length = window.width * window.height * 3;
  const isOwn = data.buffer !== image.data.buffer && data.length === length;
  return { width: window.width, height: window.height, data: isOwn ? data : data.slice(0, length) };
}

interface FilterTable {
  /** First source index of each output position, and how many follow. */
  readonly start: Int32Array;
  readonly count: Int32Array;
  /** `size` fixed-point weights an output position. */
  readonly weights: Int32Array;
  readonly size: number;
}

/** Of `outputs` output positions from `offset` on. */
function filterTable(from: number, to: number, offset: number, outputs: number): FilterTable {
  const scale = from / to;
  const radius = Math.max(scale, 1);
  const size = Math.ceil(radius) * 2 + 1;
  const table = {
    start: new Int32Array(outputs),
    count: new Int32Array(outputs),
    weights: new Int32Array(outputs * size),
    size,
  };
  const exact = new Float64Array(size);
  for (let i = 0; i < outputs; i++) {
    const centre = (offset + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - radius + 0.5));
    const end = Math.min(from, Math.trunc(centre + radius + 0.5));
    let sum = 0;
    for (let j = first; j < end; j++) {
      const weight = Math.max(0, 1 - Math.abs((j - centre + 0.5) * (1 / radius)));
      exact[j - first] = weight;
      sum += weight;
    }
    for (let k = 0; k < end - first; k++) {
      table.weights[i * size + k] = Math.trunc((exact[k]! / sum) * (1 << PRECISION_BITS) + 0.5);
    }
    table.start[i] = first;
    table.count[i] = end - first;
  }
  return table;
}

function resizeColumns(data: Uint8Array, from: number, rows: number, columns: FilterTable): Uint8Array {
  const { start, count, weights, size } = columns;
  const to = start.length;
  const out = new Uint8Array(rows * to * 3);
  for (let y = 0, o = 0; y < rows; y++) {
    const base = y * from * 3;
    for (let x = 0; x < to; x++, o += 3) {
      let r = 1 << (PRECISION_BITS - 1);
      let g = r;
      let b = r;
      let p = base + start[x]! * 3;
      const end = x * size + count[x]!;
      for (let k = x * size; k < end; k++, p += 3) {
        const weight = weights[k]!;
        r += data[p]! * weight;
        g += data[p + 1]! * weight;
        b += data[p + 2]! * weight;
      }
      out[o] = toByte(r);
      out[o + 1] = toByte(g);
      out[o + 2] = toByte(b);
    }
  }
  return out;
}

/** @param firstRow the source row with which `data` begins */
function resizeRows(data: Uint8Array, width: number, firstRow: number, rows: FilterTable): Uint8Array {
  const { start, count, weights, size } = rows;
  const to = start.length;
  const stride = width * 3;
  const out = new Uint8Array(to * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < to; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * size + k]!;
      const base = (start[y]! - firstRow + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] = sums[i]! + data[base + i]! * weight;
    }
    const base = y * stride;
    for (let i = 0; i < stride; i++) out[base + i] = toByte(sums[i]!);
  }
  return out;
}

function toByte(sum: number): number {
  // The triangle filter has no negative weights; their rounding can only exceed the top.
  return Math.min(sum >> PRECISION_BITS, 255);
}
