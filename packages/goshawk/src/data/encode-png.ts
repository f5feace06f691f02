// Pixels as a picture file.
import type { RgbImage } from '@goshawk/core';
import sharp from 'sharp';

/** The bytes of a PNG file. */
export async function encodePng({ data, width, height }: RgbImage): Promise<Uint8Array> {
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
