// Pictures as a browser's canvas gives them.
import { InputError, type RgbImage } from '@goshawk/core';

/** What `getImageData` of a canvas gives fits: four values a pixel. */
export interface RgbaImage {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/** Without its alpha channel, as decoding a file here drops it. @throws InputError where there are not four values a pixel */
export function rgbOfRgba({ data, width, height }: RgbaImage): RgbImage {
  if (data.length !== width * height * 4)
    throw new InputError(
      'image-invalid',
      `the picture: has ${data.length} values (expected ${width} x ${height} pixels of red, green, blue and alpha, ${width * height * 4}): give what getImageData gives`,
    );
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return { data: rgb, width, height };
}
