// Masks of the objects of a picture as pixels (maskrcnn-benchmark's BinaryMaskList, structures/segmentation_mask.py).
import type { BoxXyxy, ImageSize } from '../boxes/index.js';
import { decodeMask, encodeMask, type Polygon, type Rle, traceContours } from '../masks/index.js';
import { type CropWindow, cropWindow } from './crop-window.js';
import type { FlipDirection, PlacedField } from './per-box-field.js';

/** Never changes. */
export class BitmapMasks implements PlacedField {
  readonly kind = 'bitmaps';
  readonly size: ImageSize;
  readonly length: number;
  /** 0 or 1, `[objects][rows][columns]`. */
  readonly #pixels: Uint8Array;

  private constructor(pixels: Uint8Array, size: ImageSize, length: number) {
    this.#pixels = pixels;
    this.size = size;
    this.length = length;
  }

  /**
   * @param pixels of all objects one after another, row by row: everything but 0 belongs to the object
   * @throws RangeError where they are no whole pictures
   */
  static of(pixels: ArrayLike<number>, size: ImageSize): BitmapMasks {
    const each = size.width * size.height;
    if (!(each > 0) || pixels.length % each !== 0)
      throw new RangeError(
        `BitmapMasks: ${pixels.length} pixels are no masks of ${size.width} x ${size.height}: give ${each} of each`,
      );
    const values = Uint8Array.from(pixels, (value) => (value === 0 ? 0 : 1));
    return new BitmapMasks(values, size, pixels.length / each);
  }

  /** @throws RangeError where one is of another size than the picture */
  static ofRles(rles: readonly Rle[], size: ImageSize): BitmapMasks {
    const each = size.width * size.height;
    const pixels = new Uint8Array(rles.length * each);
    for (const [i, rle] of rles.entries()) {
      if (rle.size[0] !== size.height || rle.size[1] !== size.width)
        throw new RangeError(
          `BitmapMasks: mask ${i} is ${rle.size[1]} x ${rle.size[0]} pixels, the picture ${size.width} x ${size.height}`,
        );
      pixels.set(decodeMask(rle), i * each);
    }
    return new BitmapMasks(pixels, size, rles.length);
  }

  /** `[rows][columns]` of one object, 0 or 1, copied. */
  bitmap(index: number): Uint8Array {
    const each = this.size.width * this.size.height;
    return this.#pixels.slice(index * each, (index + 1) * each);
  }

  rle(index: number): Rle {
    return encodeMask(this.bitmap(index), [this.size.height, this.size.width]);
  }

  /** Pixels of each object. */
  areas(): Uint32Array {
    const each = this.size.width * this.size.height;
    const areas = new Uint32Array(this.length);
    for (let i = 0; i < this.#pixels.length; i++) {
      const object = Math.floor(i / each);
      areas[object] = areas[object]! + this.#pixels[i]!;
    }
    return areas;
  }

  select(indices: ArrayLike<number>): BitmapMasks {
    const each = this.size.width * this.size.height;
    const pixels = new Uint8Array(indices.length * each);
    for (let i = 0; i < indices.length; i++)
      pixels.set(this.#pixels.subarray(indices[i]! * each, (indices[i]! + 1) * each), i * each);
    return new BitmapMasks(pixels, this.size, indices.length);
  }

  /** In a part of the picture, rounded to whole pixels and at least one wide and high. */
  crop(part: BoxXyxy): BitmapMasks {
    return this.cropTo(cropWindow(part, this.size));
  }

  cropTo({ left, top, width, height }: CropWindow): BitmapMasks {
    return this.#read({ width, height }, (x, y) => this.#place(x + left, y + top));
  }

  /** In the picture mirrored left to right (horizontal) or upside down (vertical). */
  flip(direction: FlipDirection): BitmapMasks {
    const { width, height } = this.size;
    return this.#read(this.size, (x, y) =>
      direction === 'horizontal' ? this.#place(width - 1 - x, y) : this.#place(x, height - 1 - y),
    );
  }

  /** In the picture whose rows are the columns of this one. */
  transpose(): BitmapMasks {
    return this.#read({ width: this.size.height, height: this.size.width }, (x, y) => this.#place(y, x));
  }

  /**
   * At another size of the picture: a pixel belongs to the object where the bilinear mean of the pixels around its middle is at
   * least a half. (The original rounds these means down, which loses a seam.)
   */
  resize(size: ImageSize): BitmapMasks {
    const columns = samplesOf(this.size.width, size.width);
    const rows = samplesOf(this.size.height, size.height);
    const each = this.size.width * this.size.height;
    const resized = new Uint8Array(this.length * size.width * size.height);
    let at = 0;
    for (let object = 0; object < this.length; object++) {
      const value = (x: number, y: number) => this.#pixels[object * each + this.#place(x, y)]!;
      for (const row of rows)
        for (const column of columns) {
          const [x, y] = [column.share, row.share];
          const above = value(column.low, row.low) * (1 - x) + value(column.high, row.low) * x;
          const below = value(column.low, row.high) * (1 - x) + value(column.high, row.high) * x;
          resized[at++] = above * (1 - y) + below * y >= 0.5 ? 1 : 0;
        }
    }
    return new BitmapMasks(resized, size, this.length);
  }

  /** Outlines along the borders of the pixels, of each part of each object; holes are filled, as outlines have none. */
  toPolygons(): readonly (readonly Polygon[])[] {
    const { width, height } = this.size;
    return Array.from({ length: this.length }, (_, i) =>
      traceContours(this.bitmap(i), [height, width])
        .filter(({ isHole }) => !isHole)
        .map(({ points }) => points),
    );
  }

  #place(x: number, y: number): number {
    return y * this.size.width + x;
  }

  /** @param from where in this picture a pixel of the other one comes from */
  #read(size: ImageSize, from: (x: number, y: number) => number): BitmapMasks {
    const each = this.size.width * this.size.height;
    const count = size.width * size.height;
    const read = new Uint8Array(this.length * count);
    for (let y = 0; y < size.height; y++)
      for (let x = 0; x < size.width; x++) {
        const source = from(x, y);
        const target = y * size.width + x;
        for (let object = 0; object < this.length; object++)
          read[object * count + target] = this.#pixels[object * each + source]!;
      }
    return new BitmapMasks(read, size, this.length);
  }
}

/** Which two pixels the middle of each new one lies between, and how near to the second; as torch's bilinear without corners. */
function samplesOf(from: number, to: number): { low: number; high: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.max(((i + 0.5) * from) / to - 0.5, 0);
    const low = Math.min(Math.floor(place), from - 1);
    return { low, high: Math.min(low + 1, from - 1), share: place - low };
  });
}
