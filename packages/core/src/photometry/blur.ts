// Blurs with small kernels, as OpenCV's blur and GaussianBlur of byte pictures. (The median is in median.ts.)
import type { RgbImage } from '../geometry/image.js';

export type BlurKernel = 3 | 5;

/** Weights of a row of the kernel and their sum. A Gaussian's are OpenCV's own for these sides where no sigma is given. */
const kernels: Readonly<Record<'gaussian' | 'box', Readonly<Record<BlurKernel, readonly number[]>>>> = {
  gaussian: { 3: [1, 2, 1], 5: [1, 4, 6, 4, 1] },
  box: { 3: [1, 1, 1], 5: [1, 1, 1, 1, 1] },
};

/** Rows, then columns, rounded once at the end; beyond the border the picture is reflected without its outermost pixel. */
export function blurImage(image: RgbImage, filter: 'gaussian' | 'box', side: BlurKernel): RgbImage {
  const { data, width, height } = image;
  const weights = kernels[filter][side];
  const reach = (side - 1) / 2;
  const stride = width * 3;
  const into = new Uint8Array(data.length);
  const total = weights.reduce((sum, weight) => sum + weight, 0) ** 2;
  // Rows after the pass along them, kept while the pass across needs them.
  const filtered = Array.from({ length: side }, () => new Int32Array(stride));
  const keptRows = new Int32Array(side).fill(-1);
  const rowOf = (y: number): Int32Array => {
    const place = y % side;
    const row = filtered[place]!;
    if (keptRows[place] !== y) filterRow(data, y * stride, width, weights, row);
    keptRows[place] = y;
    return row;
  };
  // Sums are below 256 * 256, so that the product is exact and the quotient right.
  const scale = 2 ** 24 / total;
  for (let y = 0; y < height; y++) {
    const rows = weights.map((_, k) => rowOf(reflected(y + k - reach, height)));
    const [w0, w1, w2, w3, w4] = weights as [number, number, number, number?, number?];
    const [r0, r1, r2, r3, r4] = rows as [Int32Array, Int32Array, Int32Array, Int32Array?, Int32Array?];
    const o = y * stride;
    if (r3 === undefined || r4 === undefined) {
      for (let i = 0; i < stride; i++) {
        into[o + i] = Math.floor(((r0[i]! * w0 + r1[i]! * w1 + r2[i]! * w2) * scale + 2 ** 23) / 2 ** 24);
      }
    } else {
      for (let i = 0; i < stride; i++) {
        const sum = r0[i]! * w0 + r1[i]! * w1 + r2[i]! * w2 + r3[i]! * w3! + r4[i]! * w4!;
        into[o + i] = Math.floor((sum * scale + 2 ** 23) / 2 ** 24);
      }
    }
  }
  return { data: into, width, height };
}

function filterRow(data: Uint8Array, offset: number, width: number, weights: readonly number[], row: Int32Array): void {
  const reach = (weights.length - 1) / 2;
  const sumAt = (x: number, channel: number): number => {
    let sum = 0;
    for (let k = 0; k < weights.length; k++)
      sum += weights[k]! * data[offset + reflected(x + k - reach, width) * 3 + channel]!;
    return sum;
  };
  const inner = Math.max(reach, width - reach);
  for (let channel = 0; channel < 3; channel++) {
    for (let x = 0; x < Math.min(reach, width); x++) row[x * 3 + channel] = sumAt(x, channel);
    for (let x = inner; x < width; x++) row[x * 3 + channel] = sumAt(x, channel);
  }
  const [w0, w1, w2, w3, w4] = weights as [number, number, number, number?, number?];
  const end = (width - reach) * 3;
  if (w3 === undefined || w4 === undefined) {
    for (let i = 3; i < end; i++) {
      const at = offset + i;
      row[i] = data[at - 3]! * w0 + data[at]! * w1 + data[at + 3]! * w2;
    }
    return;
  }
  for (let i = 6; i < end; i++) {
    const at = offset + i;
    row[i] = data[at - 6]! * w0 + data[at - 3]! * w1 + data[at]! * w2 + data[at + 3]! * w3 + data[at + 6]! * w4;
  }
}

/** The place that stands for one up to a few beyond the border: 2 1 | 0 1 2 ... */
function reflected(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}
