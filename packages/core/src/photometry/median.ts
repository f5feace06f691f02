// The median filter, as OpenCV's medianBlur of byte pictures.
import type { RgbImage } from '../geometry/image.js';
import type { BlurKernel } from './blur.js';

/** Each channel's median over a square of pixels; beyond the border the outermost pixel goes on. */
export function medianImage(image: RgbImage, side: BlurKernel): RgbImage {
  const { width, height } = image;
  const into = new Uint8Array(image.data.length);
  const reach = (side - 1) / 2;
  const padded = withBorder(image, reach);
  const stride = (width + 2 * reach) * 3;
  for (let y = 0; y < height; y++) {
    if (side === 3) medianRow3(padded, y * stride, stride, into.subarray(y * width * 3, (y + 1) * width * 3));
    else medianRow5(padded, y * stride, stride, into.subarray(y * width * 3, (y + 1) * width * 3));
  }
  return { data: into, width, height };
}

function withBorder({ data, width, height }: RgbImage, reach: number): Uint8Array {
  const stride = (width + 2 * reach) * 3;
  const padded = new Uint8Array(stride * (height + 2 * reach));
  for (let y = 0; y < height + 2 * reach; y++) {
    const from = Math.min(Math.max(y - reach, 0), height - 1) * width * 3;
    const row = y * stride;
    padded.set(data.subarray(from, from + width * 3), row + reach * 3);
    for (let x = 0; x < reach; x++) {
      padded.set(data.subarray(from, from + 3), row + x * 3);
      padded.set(data.subarray(from + (width - 1) * 3, from + width * 3), row + (width + reach + x) * 3);
    }
  }
  return padded;
}

/** The median of nine is that of the largest low, the middle middle and the smallest high of three sorted columns. */
function medianRow3(padded: Uint8Array, first: number, stride: number, into: Uint8Array): void {
  const [lows, middles, highs] = [new Uint8Array(stride), new Uint8Array(stride), new Uint8Array(stride)];
  for (let i = 0; i < stride; i++) {
    const a = padded[first + i]!;
    const b = padded[first + stride + i]!;
    const c = padded[first + 2 * stride + i]!;
    const low = Math.min(a, b);
    const high = Math.max(a, b);
    lows[i] = Math.min(low, c);
    highs[i] = Math.max(high, c);
    middles[i] = Math.max(low, Math.min(high, c));
  }
  for (let i = 0; i < into.length; i++) {
    const low = Math.max(lows[i]!, lows[i + 3]!, lows[i + 6]!);
    const high = Math.min(highs[i]!, highs[i + 3]!, highs[i + 6]!);
    into[i] = median(low, median(middles[i]!, middles[i + 3]!, middles[i + 6]!), high);
  }
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

const MIDDLE_OF_25 = 13;

/** Counts of the square's grey levels move along with it, and with them the level at which 13 are reached (Huang, 1979). */
function medianRow5(padded: Uint8Array, first: number, stride: number, into: Uint8Array): void {
  const counts = new Uint8Array(256);
  for (let channel = 0; channel < 3; channel++) {
    counts.fill(0);
    for (let row = 0; row < 5; row++)
      for (let x = 0; x < 4; x++) counts[padded[first + row * stride + x * 3 + channel]!]!++;
    let level = 0;
    // How many are below `level`.
    let below = 0;
    for (let i = channel; i < into.length; i += 3) {
      for (let row = 0, at = first + i + 12; row < 5; row++, at += stride) {
        const come = padded[at]!;
        counts[come]!++;
        if (come < level) below++;
      }
      while (below >= MIDDLE_OF_25) below -= counts[--level]!;
      while (below + counts[level]! < MIDDLE_OF_25) below += counts[level++]!;
      into[i] = level;
      for (let row = 0, at = first + i; row < 5; row++, at += stride) {
        const gone = padded[at]!;
        counts[gone]!--;
        if (gone < level) below--;
      }
    }
  }
}
