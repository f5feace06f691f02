// The one in-memory form of a decoded picture.

/** A picture as decoded: RGB, uint8, `height * width * 3` values, rows first, channels last. */
export interface RgbImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}
