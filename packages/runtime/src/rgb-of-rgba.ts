// Pictures as a browser's canvas gives them.
import type { RgbImage } from '@goshawk/core';

/** What `getImageData` of a canvas gives fits: four values a pixel. */
export interface RgbaImage {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/** Without its alpha channel, as decoding a file here drops it. */
export function rgbOfRgba({ data, width, height }: RgbaImage): RgbImage {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return { data: rgb, width, height };
}
