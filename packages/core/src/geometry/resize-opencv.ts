// OpenCV's cv::resize with INTER_LINEAR on uint8, bit for bit: 11-bit fixed-point weights along both axes.
// The arithmetic is that of OpenCV's resize.cpp (HResizeLinear, VResizeLinear), checked against OpenCV 5.0.
import type { RgbImage } from './image.js';
import { type PixelWindow, wholeWindow } from './pixel-window.js';

/** `image` at `width` x `height` as OpenCV's bilinear makes it (no low-pass when shrinking). */
export function resizeOpenCv(image: RgbImage, width: number, height: number): RgbImage {
  if (width === image.width && height === image.height) return { width, height, data: image.data.slice() };
  const data = new Uint8Array(width * height * 3);
  resizeOpenCvRows(image, width, height, (y, row) => data.set(row, y * width * 3));
  return { width, height, data };
}

/**
 * The same, row by row: `emit` is called with each output row (`width * 3` values, valid during the call only), so that
 * a caller can convert rows without a second picture in memory.
 * @param window only this part of the output is computed; its rows are numbered from 0
 */
export function resizeOpenCvRows(
  image: RgbImage,
  width: number,
  height: number,
  emit: (y: number, row: Uint8Array) => void,
  window: PixelWindow = wholeWindow(width, height),
): void {
  const stride = window.width * 3;
  if (width === image.width && height === image.height) {
    // The filter would give every byte back.
    for (let y = 0; y < window.height; y++) {
      const start = ((window.y + y) * width + window.x) * 3;
      emit(y, image.data.subarray(start, start + stride));
    }
    return;
  }
  const columns = columnTable(image.width, width, window);
  const above = { y: -1, values: new Int32Array(stride) };
  const below = { y: -1, values: new Int32Array(stride) };
  const row = new Uint8Array(stride);
  const last = image.height - 1;
  const scale = image.height / height;
  for (let y = 0; y < window.height; y++) {
    const position = Math.fround((window.y + y + 0.5) * scale - 0.5);
    const start = Math.floor(position);
    const fraction = Math.fround(position - start);
    const y0 = Math.min(Math.max(start, 0), last);
    const y1 = Math.min(Math.max(start + 1, 0), last);
    if (above.y !== y0) {
      if (below.y === y0) swap(above, below);
      else filterRow(image, y0, columns, above);
    }
    if (below.y !== y1) filterRow(image, y1, columns, below);
    blendRows(above.values, below.values, fixedWeight(Math.fround(1 - fraction)), fixedWeight(fraction), row);
    emit(y, row);
  }
}

/** One source row after the horizontal pass, values 2048 times the grey level. */
interface FilteredRow {
  y: number;
  values: Int32Array;
}

interface ColumnTable {
  /** Index of the left source pixel's first channel, and of the right one's. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly leftWeight: Int32Array;
  readonly rightWeight: Int32Array;
}

function columnTable(from: number, to: number, { x: first, width }: PixelWindow): ColumnTable {
  const table: ColumnTable = {
    left: new Int32Array(width),
    right: new Int32Array(width),
    leftWeight: new Int32Array(width),
    rightWeight: new Int32Array(width),
  };
  const scale = from / to;
  for (let x = 0; x < width; x++) {
    const position = Math.fround((first + x + 0.5) * scale - 0.5);
    let start = Math.floor(position);
    let fraction = Math.fround(position - start);
    if (start < 0) {
      start = 0;
      fraction = 0;
    }
    if (start >= from - 1) {
      start = from - 1;
      fraction = 0;
    }
    table.left[x] = start * 3;
    table.right[x] = Math.min(start + 1, from - 1) * 3;
    table.leftWeight[x] = fixedWeight(Math.fround(1 - fraction));
    table.rightWeight[x] = fixedWeight(fraction);
  }
  return table;
}

function filterRow(image: RgbImage, y: number, columns: ColumnTable, into: FilteredRow): void {
  const { left, right, leftWeight, rightWeight } = columns;
  const { data } = image;
  const { values } = into;
  const base = y * image.width * 3;
  for (let x = 0, o = 0; x < left.length; x++, o += 3) {
    const l = base + left[x]!;
    const r = base + right[x]!;
    const a = leftWeight[x]!;
    const b = rightWeight[x]!;
    values[o] = data[l]! * a + data[r]! * b;
    values[o + 1] = data[l + 1]! * a + data[r + 1]! * b;
    values[o + 2] = data[l + 2]! * a + data[r + 2]! * b;
  }
  into.y = y;
}

function blendRows(above: Int32Array, below: Int32Array, a: number, b: number, row: Uint8Array): void {
  for (let i = 0; i < row.length; i++) {
    row[i] = (((a * (above[i]! >> 4)) >> 16) + ((b * (below[i]! >> 4)) >> 16) + 2) >> 2;
  }
}

function swap(a: FilteredRow, b: FilteredRow): void {
  const { y, values } = a;
  a.y = b.y;
  a.values = b.values;
  b.y = y;
  b.values = values;
}

/** `weight` in 1/2048 (INTER_RESIZE_COEF_BITS 11), halves to even as cvRound does. */
function fixedWeight(weight: number): number {
  const scaled = weight * 2048;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  if (rest === 0.5) return floor + (floor & 1);
  return Math.round(scaled);
}
