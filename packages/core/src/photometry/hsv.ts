// Hue, saturation and value of 8-bit pictures, in OpenCV's units: hue in 2 degrees (0..179), the others 0..255.
import type { RgbImage } from '../geometry/image.js';

/** Factors; 1 changes nothing. */
export interface HsvGains {
  readonly hue: number;
  readonly saturation: number;
  readonly value: number;
}

/**
 * Multiplies hue (which goes round), saturation and value (which end at 255), through tables of bytes as Sparse R-CNN's
 * PyTorch port does with OpenCV: values are rounded to OpenCV's 8-bit HSV on the way. Gains of 1 leave the picture as it is.
 */
export function scaleHsv({ data, width, height }: RgbImage, gains: HsvGains): RgbImage {
  const into = new Uint8Array(data.length);
  if (gains.hue === 1 && gains.saturation === 1 && gains.value === 1) {
    into.set(data);
    return { data: into, width, height };
  }
  const hues = Uint8Array.from({ length: 256 }, (_, level) => Math.floor(level * gains.hue) % HUES);
  const saturations = Uint8Array.from({ length: 256 }, (_, level) =>
    Math.min(255, Math.floor(level * gains.saturation)),
  );
  const values = Uint8Array.from({ length: 256 }, (_, level) => Math.min(255, Math.floor(level * gains.value)));
  for (let o = 0; o < data.length; o += 3) {
    const r = data[o]!;
    const g = data[o + 1]!;
    const b = data[o + 2]!;
    const most = Math.max(r, g, b);
    const least = Math.min(r, g, b);
    const spread = most - least;
    const sixths = most === r ? g - b : most === g ? b - r + 2 * spread : r - g + 4 * spread;
    let hue = (sixths * perSpread[spread]! + HALF) >> SHIFT;
    if (hue < 0) hue += HUES;
    const saturation = saturations[(spread * perValue[most]! + HALF) >> SHIFT]!;
    const value = values[most]!;
    // Back: of the three channels one is the value, one the least, one in between, by the sector of the hue.
    const turned = hues[hue]!;
    const sector = sectors[turned]!;
    const part = parts[turned]!;
    const full = value * 255;
    const low = (value * (255 - saturation) * PER_255 + 0.5) | 0;
    const falling = ((full - value * saturation * part) * PER_255 + 0.5) | 0;
    const rising = ((full - value * saturation * (1 - part)) * PER_255 + 0.5) | 0;
    switch (sector) {
      case 0:
        into[o] = value;
        into[o + 1] = rising;
        into[o + 2] = low;
        break;
      case 1:
        into[o] = falling;
        into[o + 1] = value;
        into[o + 2] = low;
        break;
      case 2:
        into[o] = low;
        into[o + 1] = value;
        into[o + 2] = rising;
        break;
      case 3:
        into[o] = low;
        into[o + 1] = falling;
        into[o + 2] = value;
        break;
      case 4:
        into[o] = rising;
        into[o + 1] = low;
        into[o + 2] = value;
        break;
      default:
        into[o] = value;
        into[o + 1] = low;
        into[o + 2] = falling;
    }
  }
  return { data: into, width, height };
}

const HUES = 180;
const PER_255 = 1 / 255;
// Divisions as products in 1/4096, rounded, as in OpenCV's color_hsv.
const SHIFT = 12;
const HALF = 1 << (SHIFT - 1);
const perValue = Int32Array.from({ length: 256 }, (_, value) => (value === 0 ? 0 : Math.round((255 << SHIFT) / value)));
const perSpread = Int32Array.from({ length: 256 }, (_, spread) =>
  spread === 0 ? 0 : Math.round((HUES << SHIFT) / (6 * spread)),
);
const sectors = Uint8Array.from({ length: 256 }, (_, hue) => Math.floor(hue / 30) % 6);
const parts = Float64Array.from({ length: 256 }, (_, hue) => (hue % 30) / 30);
