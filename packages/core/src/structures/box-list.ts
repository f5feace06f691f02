// The boxes of one picture with what is known of each (maskrcnn-benchmark's BoxList, structures/bounding_box.py): fields that lie in
// the picture are cropped, resized and mirrored with it.
import { type BoxConvention, type BoxXyxy, boxXyxy, clipBox, type ImageSize } from '../boxes/index.js';
import { type CropWindow, cropWindow } from './crop-window.js';
import { type BoxField, type FlipDirection, isPlaced, selectField } from './per-box-field.js';

/** How the numbers of a box are meant; `BoxConvention.legacyPlusOne` counts the last pixel in (width = x2 - x1 + 1). */
export type BoxMode = 'xyxy' | 'xywh';

export interface BoxListOptions extends BoxConvention {
  /** Of the numbers that are given. Default xyxy. */
  readonly mode?: BoxMode;
}

export type BoxFields = Readonly<Record<string, BoxField>>;

/** Never changes: every method gives a new list. */
export class BoxList<Fields extends BoxFields = Record<never, never>> {
  /** `[n * 4]`, x1, y1, x2, y2 of each box, pixels. */
  readonly xyxy: Float64Array;
  /** Of the picture, pixels. */
  readonly size: ImageSize;
  readonly fields: Fields;
  readonly #convention: BoxConvention;

  private constructor(xyxy: Float64Array, size: ImageSize, fields: Fields, convention: BoxConvention) {
    this.xyxy = xyxy;
    this.size = size;
    this.fields = fields;
    this.#convention = convention;
  }

  /**
   * @param boxes four numbers each, one after another or in rows
   * @throws RangeError where the numbers are no multiple of four
   */
  static of(
    boxes: ArrayLike<number> | readonly (readonly [number, number, number, number])[],
    size: ImageSize,
    { mode = 'xyxy', legacyPlusOne = false }: BoxListOptions = {},
  ): BoxList {
    const isFlat = boxes.length === 0 || typeof boxes[0] === 'number';
    const numbers = Float64Array.from(
      isFlat ? (boxes as ArrayLike<number>) : (boxes as readonly (readonly number[])[]).flat(),
    );
    if (numbers.length % 4 !== 0)
      throw new RangeError(`BoxList: ${numbers.length} numbers are no boxes: give four of each`);
    const extra = legacyPlusOne ? 1 : 0;
    if (mode === 'xywh')
      for (let i = 0; i < numbers.length; i += 4) {
        numbers[i + 2] = numbers[i]! + Math.max(numbers[i + 2]! - extra, 0);
        numbers[i + 3] = numbers[i + 1]! + Math.max(numbers[i + 3]! - extra, 0);
      }
    return new BoxList(numbers, size, {}, { legacyPlusOne });
  }

  get length(): number {
    return this.xyxy.length / 4;
  }

  box(index: number): BoxXyxy {
    const [x1, y1, x2, y2] = this.xyxy.subarray(4 * index, 4 * index + 4) as unknown as BoxXyxy;
    return boxXyxy(x1, y1, x2, y2);
  }

  /** `[n * 4]` numbers of that mode, new ones. */
  numbers(mode: BoxMode): Float64Array {
    const numbers = this.xyxy.slice();
    const extra = this.#convention.legacyPlusOne ? 1 : 0;
    if (mode === 'xywh')
      for (let i = 0; i < numbers.length; i += 4) {
        numbers[i + 2] = numbers[i + 2]! - numbers[i]! + extra;
        numbers[i + 3] = numbers[i + 3]! - numbers[i + 1]! + extra;
      }
    return numbers;
  }

  /** Square pixels of each; 0 where the corners are in the wrong order. */
  areas(): Float64Array {
    const numbers = this.numbers('xywh');
    return Float64Array.from(
      { length: this.length },
      (_, i) => Math.max(numbers[4 * i + 2]!, 0) * Math.max(numbers[4 * i + 3]!, 0),
    );
  }

  /**
   * The list with one more field, or another one in its place.
   * @throws RangeError where it has not an entry for each box, or lies in a picture of another size
   */
  withField<Name extends string, F extends BoxField>(
    name: Name,
    field: F,
  ): BoxList<Omit<Fields, Name> & Readonly<Record<Name, F>>> {
    if (field.length !== this.length)
      throw new RangeError(`BoxList: ${name} has ${field.length} entries for ${this.length} boxes: give one for each`);
    if (isPlaced(field) && (field.size.width !== this.size.width || field.size.height !== this.size.height))
      throw new RangeError(
        `BoxList: ${name} is of a picture of ${field.size.width} x ${field.size.height} pixels, the boxes of ${this.size.width} x ${this.size.height}`,
      );
    const fields = { ...this.fields, [name]: field } as Omit<Fields, Name> & Readonly<Record<Name, F>>;
    return new BoxList(this.xyxy, this.size, fields, this.#convention);
  }

  /** Boxes at these places, in their order. */
  select(indices: ArrayLike<number>): BoxList<Fields> {
    const xyxy = new Float64Array(indices.length * 4);
    for (let i = 0; i < indices.length; i++) {
      const from = 4 * indices[i]!;
      xyxy.set(this.xyxy.subarray(from, from + 4), 4 * i);
    }
    return this.#with(xyxy, this.size, (field) => selectField(field, indices));
  }

  /** Boxes and all that lies in the picture, scaled to another size of it. */
  resize(size: ImageSize): BoxList<Fields> {
    const [x, y] = [size.width / this.size.width, size.height / this.size.height];
    const xyxy = this.xyxy.map((value, i) => value * (i % 2 === 0 ? x : y));
    return this.#with(xyxy, size, (field) => (isPlaced(field) ? field.resize(size) : field));
  }

  /** In the picture mirrored left to right (horizontal) or upside down (vertical). */
  flip(direction: FlipDirection): BoxList<Fields> {
    const at = direction === 'horizontal' ? 0 : 1;
    const length = direction === 'horizontal' ? this.size.width : this.size.height;
    const last = this.#convention.legacyPlusOne ? length - 1 : length;
    const xyxy = this.xyxy.slice();
    for (let i = at; i < xyxy.length; i += 4) {
      xyxy[i] = last - this.xyxy[i + 2]!;
      xyxy[i + 2] = last - this.xyxy[i]!;
    }
    return this.#with(xyxy, this.size, (field) => (isPlaced(field) ? field.flip(direction) : field));
  }

  /** In the picture whose rows are the columns of this one. */
  transpose(): BoxList<Fields> {
    const xyxy = this.xyxy.map((_, i) => this.xyxy[i ^ 1]!);
    const size = { width: this.size.height, height: this.size.width };
    return this.#with(xyxy, size, (field) => (isPlaced(field) ? field.transpose() : field));
  }

  /** In a part of the picture, whole pixels: what lies beyond its borders is clipped; boxes outside of it become empty. */
  crop(part: BoxXyxy): BoxList<Fields> {
    const window = cropWindow(part, this.size);
    const moved = this.xyxy.map((value, i) => value - (i % 2 === 0 ? window.left : window.top));
    return this.#clipped(moved, window, (field) => (isPlaced(field) ? field.cropTo(window) : field));
  }

  /**
   * Boxes cut at the borders of the picture; fields stay.
   * @param options.removeEmpty leaves out those without an area. Default false.
   */
  clip({ removeEmpty = false }: { readonly removeEmpty?: boolean } = {}): BoxList<Fields> {
    const clipped = this.#clipped(this.xyxy, this.size, (field) => field);
    if (!removeEmpty) return clipped;
    // As the original does, by the corners alone.
    const kept = Array.from({ length: this.length }, (_, i) => i).filter((i) => {
      const [x1, y1, x2, y2] = clipped.box(i);
      return x2 > x1 && y2 > y1;
    });
    return clipped.select(kept);
  }

  #clipped(
    xyxy: Float64Array,
    { width, height }: ImageSize | CropWindow,
    change: (field: BoxField) => BoxField,
  ): BoxList<Fields> {
    const clipped = xyxy.slice();
    for (let i = 0; i < xyxy.length; i += 4) {
      const [x1, y1, x2, y2] = xyxy.subarray(i, i + 4) as unknown as BoxXyxy;
      clipped.set(clipBox(boxXyxy(x1, y1, x2, y2), { width, height }, this.#convention), i);
    }
    return this.#with(clipped, { width, height }, change);
  }

  #with(xyxy: Float64Array, size: ImageSize, change: (field: BoxField) => BoxField): BoxList<Fields> {
    const fields = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, change(field)]));
    return new BoxList(xyxy, size, fields as Fields, this.#convention);
  }
}
