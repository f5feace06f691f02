// Colours and patterns of synthetic objects: two colours mixed by a pattern over the object's own coordinates.
import type { Random } from '../random/index.js';

/** Red, green, blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

/** How much of the second colour is at a place, 0 to 1; coordinates in pixels from the object's centre. */
export type Pattern = (x: number, y: number) => number;

export interface Texture {
  readonly pattern: Pattern;
  readonly first: Rgb;
  readonly second: Rgb;
}

const patternNames = ['flat', 'stripes', 'checker', 'noise', 'gradient', 'dots'] as const;

/**
 * A random texture whose first colour differs from `background`; the second is a lighter or darker first.
 * @param size of the object in pixels; patterns scale with it.
 * @param contrast the least distance in RGB of the first colour from the background, 0 to about 150.
 */
export function makeTexture(size: number, background: Rgb, contrast: number, random: Random): Texture {
  const first = contrastingColor(background, contrast, random);
  const isBright = first[0] + first[1] + first[2] > 360;
  const lift = (isBright ? -1 : 1) * (45 + 40 * random.uniform());
  const second: Rgb = [clampByte(first[0] + lift), clampByte(first[1] + lift), clampByte(first[2] + lift)];
  return { pattern: makePattern(size, random), first, second };
}

function makePattern(size: number, random: Random): Pattern {
  const period = Math.max(size * (0.14 + 0.14 * random.uniform()), 4);
  const angle = random.uniform() * Math.PI;
  const cos = Math.cos(angle) / period;
  const sin = Math.sin(angle) / period;
  // Edges of a pattern blend over about a pixel.
  const sharpness = period / 2;
  switch (patternNames[random.integer(patternNames.length)]!) {
    case 'flat':
      return () => 0;
    case 'stripes':
      return (x, y) => edge(triangleWave(x * cos + y * sin), sharpness);
    case 'checker':
      return (x, y) => {
        const a = edge(triangleWave(x * cos + y * sin), sharpness);
        const b = edge(triangleWave(y * cos - x * sin), sharpness);
        return a + b - 2 * a * b;
      };
    case 'dots':
      return (x, y) => {
        const u = 1 - triangleWave(x * cos + y * sin);
        const v = 1 - triangleWave(y * cos - x * sin);
        return edge(0.35 - Math.sqrt(u * u + v * v) / 2, sharpness);
      };
    case 'noise': {
      const key = random.uint32();
      return (x, y) => valueNoise((x * 2) / period, (y * 2) / period, key);
    }
    case 'gradient':
      return (x, y) => Math.min(Math.max(0.5 + ((x * cos + y * sin) * period) / size, 0), 1);
  }
}

/** A saturated colour at least `contrast` (distance in RGB) from `other`, as far as a few tries find one. */
export function contrastingColor(other: Rgb, contrast: number, random: Random): Rgb {
  let best: Rgb = [255, 255, 255];
  let bestDistance = -1;
  for (let i = 0; i < 12 && bestDistance < contrast; i++) {
    const color = hsvToRgb(random.uniform(), 0.45 + 0.5 * random.uniform(), 0.35 + 0.6 * random.uniform());
    const distance = Math.hypot(color[0] - other[0], color[1] - other[1], color[2] - other[2]);
    if (distance > bestDistance) {
      bestDistance = distance;
      best = color;
    }
  }
  return best;
}

/** Hue, saturation and value from 0 to 1, as in A. R. Smith, "Color gamut transform pairs", 1978. */
export function hsvToRgb(hue: number, saturation: number, value: number): Rgb {
  const channel = (n: number) => {
    const k = (n + hue * 6) % 6;
    return 255 * (value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Smooth noise, 0 to 1: random values at whole coordinates, blended between them. */
export function valueNoise(x: number, y: number, key: number): number {
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const tx = smooth(x - x0);
  const ty = smooth(y - y0);
  const top = latticeValue(x0, y0, key) * (1 - tx) + latticeValue(x0 + 1, y0, key) * tx;
  const bottom = latticeValue(x0, y0 + 1, key) * (1 - tx) + latticeValue(x0 + 1, y0 + 1, key) * tx;
  return top * (1 - ty) + bottom * ty;
}

// A fixed random number, 0 to 1, for each whole coordinate and key.
function latticeValue(x: number, y: number, key: number): number {
  let h = (Math.imul(x, 0x27d4eb2d) ^ Math.imul(y, 0x165667b1) ^ key) | 0;
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 0x100000000;
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}

// -1 to 1 and back over a length of 2.
function triangleWave(t: number): number {
  const phase = t / 2 - Math.floor(t / 2);
  return phase < 0.5 ? 4 * phase - 1 : 3 - 4 * phase;
}

function edge(value: number, sharpness: number): number {
  return Math.min(Math.max(0.5 + value * sharpness, 0), 1);
}

function clampByte(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}
