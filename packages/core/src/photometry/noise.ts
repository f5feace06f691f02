// Gaussian noise.
import type { RgbImage } from '../geometry/image.js';

const BITS = 16;
let quantiles: Float32Array | undefined;

/**
 * Adds to every channel of every pixel a number of its own, normally distributed about 0 with deviation `sigma` grey
 * levels, rounded and cut to 0..255. Numbers have 2^16 values (up to 4.3 deviations) and come from xorshift32 started with `seed`.
 */
export function addNoise({ data, width, height }: RgbImage, sigma: number, seed: number): RgbImage {
  const table = Int16Array.from(noiseQuantiles(), (value) => Math.round(value * sigma));
  const into = new Uint8ClampedArray(data.length);
  // A xorshift generator never leaves 0.
  let state = seed | 0 || 1;
  const pairs = data.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    into[i] = data[i]! + table[state >>> BITS]!;
    into[i + 1] = data[i + 1]! + table[state & 0xffff]!;
  }
  if (pairs < data.length) into[pairs] = data[pairs]! + table[(state * 31) >>> BITS]!;
  return { data: new Uint8Array(into.buffer), width, height };
}

/** The 2^16 numbers that noise is drawn from at a deviation of 1, in order. */
export function noiseQuantiles(): Float32Array {
  quantiles ??= normalQuantiles(1 << BITS);
  return quantiles;
}

/** The middles of `count` equally likely stretches of the normal distribution, in order. */
function normalQuantiles(count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count / 2; i++) {
    const value = upperQuantile((i + 0.5) / count);
    values[i] = -value;
    values[count - 1 - i] = value;
  }
  return values;
}

/** The z that a normal number exceeds with probability p <= 1/2: Abramowitz and Stegun 26.2.23, within 4.5e-4. */
function upperQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(p));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}
