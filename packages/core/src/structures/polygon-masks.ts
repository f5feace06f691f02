// Masks of the objects of a picture as outlines (maskrcnn-benchmark's PolygonList, structures/segmentation_mask.py).
import type { BoxXyxy, ImageSize } from '../boxes/index.js';
import { decodeMask, type Polygon, polygonsToRle } from '../masks/index.js';
import { BitmapMasks } from './bitmap-masks.js';
import { type CropWindow, cropWindow } from './crop-window.js';
import type { FlipDirection, PlacedField } from './per-box-field.js';

/**
 * Coordinates are continuous: pixel (x, y) covers x..x+1, y..y+1. Outlines may leave the picture; what is beyond its borders is
 * no part of a mask. Never changes.
 */
export class PolygonMasks implements PlacedField {
  readonly kind = 'polygons';
  readonly size: ImageSize;
  /** x and y by turns, of all outlines one after another. */
  readonly #points: Float64Array;
  /** Where each outline ends in the points, and each object in the outlines. */
  readonly #outlineEnds: Uint32Array;
  readonly #objectEnds: Uint32Array;

  private constructor(size: ImageSize, points: Float64Array, outlineEnds: Uint32Array, objectEnds: Uint32Array) {
    this.size = size;
    this.#points = points;
    this.#outlineEnds = outlineEnds;
    this.#objectEnds = objectEnds;
  }

  /** @param objects the outlines of each */
  static of(objects: readonly (readonly Polygon[])[], size: ImageSize): PolygonMasks {
    const outlines = objects.flat();
    const points = Float64Array.from(outlines.flat());
    return new PolygonMasks(size, points, endsOf(outlines), endsOf(objects));
  }

  get length(): number {
    return this.#objectEnds.length;
  }

  /** The outlines of one object, copied. */
  polygons(index: number): number[][] {
    const outlines: number[][] = [];
    for (let i = startOf(this.#objectEnds, index); i < this.#objectEnds[index]!; i++)
      outlines.push(Array.from(this.#points.subarray(startOf(this.#outlineEnds, i), this.#outlineEnds[i])));
    return outlines;
  }

  select(indices: ArrayLike<number>): PolygonMasks {
    return PolygonMasks.of(
      Array.from(indices, (index) => this.polygons(index)),
      this.size,
    );
  }

  /** In a part of the picture, rounded to whole pixels and at least one wide and high. */
  crop(part: BoxXyxy): PolygonMasks {
    return this.cropTo(cropWindow(part, this.size));
  }

  cropTo({ left, top, width, height }: CropWindow): PolygonMasks {
    return this.#moved({ width, height }, (value, isX) => value - (isX ? left : top));
  }

  resize(size: ImageSize): PolygonMasks {
    const [x, y] = [size.width / this.size.width, size.height / this.size.height];
    return this.#moved(size, (value, isX) => value * (isX ? x : y));
  }

  /** In the picture mirrored left to right (horizontal) or upside down (vertical). */
  flip(direction: FlipDirection): PolygonMasks {
    const { width, height } = this.size;
    const isHorizontal = direction === 'horizontal';
    const length = isHorizontal ? width : height;
    return this.#moved(this.size, (value, isX) => (isX === isHorizontal ? length - value : value));
  }

  /** In the picture whose rows are the columns of this one. */
  transpose(): PolygonMasks {
    const points = this.#points.map((_, i) => this.#points[i ^ 1]!);
    const size = { width: this.size.height, height: this.size.width };
    return new PolygonMasks(size, points, this.#outlineEnds, this.#objectEnds);
  }

  /** The pixels of each object, by the rule of the COCO API. */
  toBitmaps(): BitmapMasks {
    const { width, height } = this.size;
    const pixels = new Uint8Array(this.length * width * height);
    for (let i = 0; i < this.length; i++) {
      const polygons = this.polygons(i);
      if (polygons.length > 0) pixels.set(decodeMask(polygonsToRle(polygons, [height, width])), i * width * height);
    }
    return BitmapMasks.of(pixels, this.size);
  }

  #moved(size: ImageSize, move: (value: number, isX: boolean) => number): PolygonMasks {
    const points = this.#points.map((value, i) => move(value, i % 2 === 0));
    return new PolygonMasks(size, points, this.#outlineEnds, this.#objectEnds);
  }
}

function endsOf(lists: readonly ArrayLike<unknown>[]): Uint32Array {
  let end = 0;
  return Uint32Array.from(lists, ({ length }) => (end += length));
}

function startOf(ends: Uint32Array, index: number): number {
  return index === 0 ? 0 : ends[index - 1]!;
}

/** The masks of the objects of a picture, in either form (maskrcnn-benchmark's SegmentationMask). */
export type SegmentationMasks = PolygonMasks | BitmapMasks;

/** The same masks in the wanted form. Outlines made of pixels have no holes. */
export function masksAs<Kind extends SegmentationMasks['kind']>(
  masks: SegmentationMasks,
  kind: Kind,
): Extract<SegmentationMasks, { readonly kind: Kind }> {
  const converted =
    masks.kind === kind
      ? masks
      : masks.kind === 'polygons'
        ? masks.toBitmaps()
        : PolygonMasks.of(masks.toPolygons(), masks.size);
  return converted as Extract<SegmentationMasks, { readonly kind: Kind }>;
}
