// Blurs with small kernels, as OpenCV's blur and GaussianBlur of byte pictures. (The median is in median.ts.)
import type { RgbImage } from '../geometry/image.js';

export type BlurKernel = 3 | 5;

/** One row of a kernel; the sum of its products, times `factor` and shifted down, is rounded to the nearest mean. */
interface Kernel {
  readonly weights: readonly number[];
  readonly factor: number;
  readonly shift: number;
}

/** A Gaussian's weights are OpenCV's own for these sides where no sigma is given. Factors give every quotient exactly. */
const kernels: Readonly<Record<'gaussian' | 'box', Readonly<Record<BlurKernel, Kernel>>>> = {
  gaussian: {
    3: { weights: [1, 2, 1], factor: 1, shift: 4 },
    5: { weights: [1, 4, 6, 4, 1], factor: 1, shift: 8 },
  },
  box: {
    3: { weights: [1, 1, 1], factor: 7282, shift: 16 },
    5: { weights: [1, 1, 1, 1, 1], factor: 5243, shift: 17 },
  },
};

/** Rows, then columns, rounded once at the end; beyond the border the picture is reflected without its outermost pixel. */
export function blurImage(image: RgbImage, filter: 'gaussian' | 'box', side: BlurKernel): RgbImage {
  const { data, width, height } = image;
  const kernel = kernels[filter][side];
  const reach = (side - 1) / 2;
  const stride = width * 3;
  const into = new Uint8Array(data.length);
  // Rows after the pass along them, kept while the pass across needs them.
  const filtered = Array.from({ length: side }, () => new Uint16Array(stride));
  const keptRows = new Int32Array(side).fill(-1);
  const rowOf = (y: number): Uint16Array => {
    const place = y % side;
    const row = filtered[place]!;
    if (keptRows[place] !== y) filterRow(data.subarray(y * stride, (y + 1) * stride), kernel.weights, row);
    keptRows[place] = y;
    return row;
  };
  for (let y = 0; y < height; y++) {
    const rows = kernel.weights.map((_, k) => rowOf(reflected(y + k - reach, height)));
    const target = into.subarray(y * stride, (y + 1) * stride);
    if (side === 3) combine3(rows, kernel, target);
    else combine5(rows, kernel, target);
  }
  return { data: into, width, height };
}

function combine3([r0, r1, r2]: readonly Uint16Array[], { weights, factor, shift }: Kernel, into: Uint8Array): void {
  const [w0, w1, w2] = weights as [number, number, number];
  const half = 1 << (shift - 1);
  for (let i = 0; i < into.length; i++)
    into[i] = ((r0![i]! * w0 + r1![i]! * w1 + r2![i]! * w2) * factor + half) >> shift;
}

function combine5(rows: readonly Uint16Array[], { weights, factor, shift }: Kernel, into: Uint8Array): void {
  const [r0, r1, r2, r3, r4] = rows;
  const [w0, w1, w2, w3, w4] = weights as [number, number, number, number, number];
  const half = 1 << (shift - 1);
  for (let i = 0; i < into.length; i++) {
    const sum = r0![i]! * w0 + r1![i]! * w1 + r2![i]! * w2 + r3![i]! * w3 + r4![i]! * w4;
    into[i] = (sum * factor + half) >> shift;
  }
}

function filterRow(source: Uint8Array, weights: readonly number[], row: Uint16Array): void {
  const width = source.length / 3;
  const reach = (weights.length - 1) / 2;
  const sumAt = (x: number, channel: number): number =>
    weights.reduce((sum, weight, k) => sum + weight * source[reflected(x + k - reach, width) * 3 + channel]!, 0);
  for (let x = 0; x < width; x = x + 1 === reach ? Math.max(reach, width - reach) : x + 1)
    for (let channel = 0; channel < 3; channel++) row[x * 3 + channel] = sumAt(x, channel);
  const end = source.length - reach * 3;
  if (reach === 1) {
    const [w0, w1, w2] = weights as [number, number, number];
    for (let i = 3; i < end; i++) row[i] = source[i - 3]! * w0 + source[i]! * w1 + source[i + 3]! * w2;
    return;
  }
  const [w0, w1, w2, w3, w4] = weights as [number, number, number, number, number];
  for (let i = 6; i < end; i++)
    row[i] = source[i - 6]! * w0 + source[i - 3]! * w1 + source[i]! * w2 + source[i + 3]! * w3 + source[i + 6]! * w4;
}

/** The place that stands for one up to a few beyond the border: 2 1 | 0 1 2 ... */
function reflected(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}
