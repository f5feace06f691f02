// Brightness, contrast and saturation as torchvision's functional transforms of byte pictures define them.
import type { RgbImage } from '../geometry/image.js';

export type ColorChange = 'brightness' | 'contrast' | 'saturation';

/**
 * The picture mixed with another by `factor`: with black (brightness), with its mean grey (contrast), with each pixel's own
 * grey (saturation); 1 changes nothing, 0 leaves the other one, more than 1 goes away from it. Grey is 0.2989 R + 0.587 G +
 * 0.114 B, results are cut to 0..255 and truncated.
 */
export function changeColor(image: RgbImage, change: ColorChange, factor: number): RgbImage {
  const { data, width, height } = image;
  const into = new Uint8Array(data.length);
  if (factor === 1) {
    into.set(data);
    return { data: into, width, height };
  }
  if (change === 'saturation') saturate(data, factor, into);
  else {
    const other = change === 'contrast' ? meanGrey(data) * (1 - factor) : 0;
    const table = Uint8Array.from({ length: 256 }, (_, level) => bounded(level * factor + other));
    for (let i = 0; i < data.length; i++) into[i] = table[data[i]!]!;
  }
  return { data: into, width, height };
}

function saturate(data: Uint8Array, factor: number, into: Uint8Array): void {
  for (let o = 0; o < data.length; o += 3) {
    const other = greyAt(data, o) * (1 - factor);
    into[o] = bounded(data[o]! * factor + other);
    into[o + 1] = bounded(data[o + 1]! * factor + other);
    into[o + 2] = bounded(data[o + 2]! * factor + other);
  }
}

function meanGrey(data: Uint8Array): number {
  let sum = 0;
  for (let o = 0; o < data.length; o += 3) sum += greyAt(data, o);
  return data.length === 0 ? 0 : sum / (data.length / 3);
}

/** Truncated to a byte, as torchvision's. */
function greyAt(data: Uint8Array, o: number): number {
  return (0.2989 * data[o]! + 0.587 * data[o + 1]! + 0.114 * data[o + 2]!) | 0;
}

function bounded(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : value | 0;
}
