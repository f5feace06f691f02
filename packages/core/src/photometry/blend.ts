// Two pictures in one.
import type { RgbImage } from '../geometry/image.js';

/** `share` (0..1) of the first picture and the rest of the second, of the same size; rounded. */
export function blendImages(first: RgbImage, second: RgbImage, share: number): RgbImage {
  const { width, height } = first;
  if (second.width !== width || second.height !== height)
    throw new RangeError(`blendImages: sizes differ: ${width} x ${height} and ${second.width} x ${second.height}`);
  const into = new Uint8Array(first.data.length);
  const [a, b] = [first.data, second.data];
  const weight = Math.round(share * 65536);
  const rest = 65536 - weight;
  for (let i = 0; i < into.length; i++) into[i] = (a[i]! * weight + b[i]! * rest + 32768) >> 16;
  return { data: into, width, height };
}
