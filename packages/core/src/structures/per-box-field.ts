// What a list of boxes may carry along: something for each of its boxes.
import type { ImageSize } from '../boxes/index.js';
import type { CropWindow } from './crop-window.js';

export type FlipDirection = 'horizontal' | 'vertical';

/** Lies in the picture, as masks and keypoints do, and goes through what the picture goes through. */
export interface PlacedField {
  readonly length: number;
  /** Of the picture, pixels. */
  readonly size: ImageSize;
  select(indices: ArrayLike<number>): PlacedField;
  cropTo(window: CropWindow): PlacedField;
  resize(size: ImageSize): PlacedField;
  flip(direction: FlipDirection): PlacedField;
  transpose(): PlacedField;
}

type NumberArray = Uint8Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;

/** Labels, scores, anything else with an entry for each box; or what lies in the picture. */
export type BoxField = NumberArray | readonly unknown[] | PlacedField;

export function isPlaced(field: BoxField): field is PlacedField {
  return 'cropTo' in field;
}

/** The entries of a field at these places, in their order. */
export function selectField<F extends BoxField>(field: F, indices: ArrayLike<number>): F {
  if (isPlaced(field)) return field.select(indices) as F;
  if (Array.isArray(field)) return Array.from(indices, (index) => field[index]) as unknown as F;
  const entries = field as NumberArray;
  const Kind = entries.constructor as new (count: number) => NumberArray;
  const selected = new Kind(indices.length);
  for (let i = 0; i < indices.length; i++) selected[i] = entries[indices[i]!]!;
  return selected as F;
}
