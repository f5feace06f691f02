// Float bilinear resizing as aten::upsample_bilinear2d does it with align_corners=false (no antialias), with a per-channel
// affine map fused in: interpolation and normalisation are both linear, so one pass over the pixels does both.
import type { RgbImage } from './image.js';
import { type PixelWindow, wholeWindow } from './pixel-window.js';

/** Where rows of floats go: row y starts at `offset + y * rowStride`. */
export interface FloatDestination {
  readonly data: Float32Array;
  readonly offset: number;
  /** Floats from one row to the next. */
  readonly rowStride: number;
}

export interface TorchResizeOptions {
  /**
   * Source pixels an output pixel, in aten `1 / scales_w`. Default: width / output width, which is what aten takes when
   * it is given a size. Detectron resizes by a factor and steps by its inverse.
   */
  readonly stepX?: number;
  readonly stepY?: number;
  /** Output channel c is `gain[c] * value[source[c]] + bias[c]`. Defaults: 1, 0, and [0, 1, 2]. */
  readonly gain?: readonly [number, number, number];
  readonly bias?: readonly [number, number, number];
  readonly source?: readonly [number, number, number];
  /** Default: a new array, rows without gaps. */
  readonly into?: FloatDestination;
  /** Only this part of the output is computed. Default: all of it. */
  readonly window?: PixelWindow;
}

/** `image` at `width` x `height`, or a window of that, in float32, HWC; 0..255 unless `gain` and `bias` say otherwise. */
export function resizeTorch(
  image: RgbImage,
  width: number,
  height: number,
  options: TorchResizeOptions = {},
): Float32Array {
  const { stepX = image.width / width, stepY = image.height / height } = options;
  const { gain = [1, 1, 1], bias = [0, 0, 0], source = [0, 1, 2] } = options;
  const { window = wholeWindow(width, height) } = options;
  const stride = window.width * 3;
  const into = options.into ?? { data: new Float32Array(window.height * stride), offset: 0, rowStride: stride };
  const columns = axisTable(image.width, window.x, window.width, stepX);
  const rows = axisTable(image.height, window.y, window.height, stepY);
  const map: ChannelMap = { gain, bias, source };
  const above = { y: -1, values: new Float32Array(stride) };
  const below = { y: -1, values: new Float32Array(stride) };
  for (let y = 0; y < window.height; y++) {
    const y0 = rows.first[y]!;
    const y1 = rows.second[y]!;
    if (above.y !== y0) {
      if (below.y === y0) swap(above, below);
      else filterRow(image, y0, columns, map, above);
    }
    if (below.y !== y1) filterRow(image, y1, columns, map, below);
    blendRows(above.values, below.values, rows.fraction[y]!, into.data, into.offset + y * into.rowStride);
  }
  return into.data;
}

interface FilteredRow {
  y: number;
  values: Float32Array;
}

interface ChannelMap {
  readonly gain: readonly [number, number, number];
  readonly bias: readonly [number, number, number];
  readonly source: readonly [number, number, number];
}

interface AxisTable {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly fraction: Float32Array;
}

/**
 * Of `count` output positions from `start` on. aten's area_pixel_compute_source_index and guard_index_and_lambda. The product and the subtraction round to float32
 * once, together: that is what aten's builds with fused multiply-add give.
 */
function axisTable(from: number, start: number, count: number, step: number): AxisTable {
  const table = { first: new Int32Array(count), second: new Int32Array(count), fraction: new Float32Array(count) };
  const scale = Math.fround(step);
  for (let i = 0; i < count; i++) {
    const position = Math.max(0, Math.fround(scale * (start + i + 0.5) - 0.5));
    const first = Math.min(Math.trunc(position), from - 1);
    table.first[i] = first;
    table.second[i] = Math.min(first + 1, from - 1);
    table.fraction[i] = Math.min(1, position - first);
  }
  return table;
}

function filterRow(image: RgbImage, y: number, columns: AxisTable, map: ChannelMap, into: FilteredRow): void {
  const { first, second, fraction } = columns;
  const { data } = image;
  const { values } = into;
  const [gainA, gainB, gainC] = map.gain;
  const [biasA, biasB, biasC] = map.bias;
  const [a, b, c] = map.source;
  const base = y * image.width * 3;
  for (let x = 0, o = 0; x < first.length; x++, o += 3) {
    const l = base + first[x]! * 3;
    const r = base + second[x]! * 3;
    const f = fraction[x]!;
    const e = 1 - f;
    values[o] = (data[l + a]! * e + data[r + a]! * f) * gainA + biasA;
    values[o + 1] = (data[l + b]! * e + data[r + b]! * f) * gainB + biasB;
    values[o + 2] = (data[l + c]! * e + data[r + c]! * f) * gainC + biasC;
  }
  into.y = y;
}

function blendRows(above: Float32Array, below: Float32Array, f: number, out: Float32Array, offset: number): void {
  const e = 1 - f;
  for (let i = 0; i < above.length; i++) out[offset + i] = above[i]! * e + below[i]! * f;
}

function swap(a: FilteredRow, b: FilteredRow): void {
  const { y, values } = a;
  a.y = b.y;
  a.values = b.values;
  b.y = y;
  b.values = values;
}
