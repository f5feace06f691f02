// What has been drawn for one picture, as plain data: a picture of the data set and the steps that it goes through, each
// with all of its numbers. Whoever has it makes the same picture from it, in any thread or process.
import type { Annotation, BlurKernel, ColorChange, Fill, HsvGains, ImageRecord, PlanarMap } from '@goshawk/core';

export interface PlannedPicture {
  /** As it lies on the disk. */
  readonly image: ImageRecord;
  readonly path: string;
  readonly annotations: readonly Annotation[];
  /** Classes of `annotations`, 1..C, one each. */
  readonly classes: readonly number[];
  /** In order. Absent: none. */
  readonly steps?: readonly PlannedStep[];
}

interface Size {
  /** Of the picture that results, pixels. */
  readonly width: number;
  readonly height: number;
}

/** Which objects stay in a picture that is cut; each compares strictly. */
export interface KeptObjects {
  readonly minSide: number;
  readonly minVisible: number;
  readonly maxAspect: number;
}

/** The picture moved by a map of the plane: crops, flips, affine moves and perspectives are all this. */
export interface PlannedMove extends Size {
  readonly kind: 'move';
  readonly map: PlanarMap;
  readonly fill: Fill;
  /** Absent: all of which something is left. */
  readonly kept?: KeptObjects;
}

/** The whole picture at another size, then put on a larger one. */
export interface PlannedResize extends Size {
  readonly kind: 'resize';
  /** The picture's own, without what is around it. */
  readonly inner: Size;
  readonly left: number;
  readonly top: number;
  readonly fill: Fill;
}

export interface PlannedMosaic extends Size {
  readonly kind: 'mosaic';
  /** Upper right, lower left and lower right; the picture itself is upper left. */
  readonly others: readonly PlannedPicture[];
  /** Where the four meet, whole pixels. */
  readonly centreX: number;
  readonly centreY: number;
  readonly fill: Fill;
  readonly kept: KeptObjects;
}

export interface PlannedMixup extends Size {
  readonly kind: 'mixup';
  readonly other: PlannedPicture;
  /** Of the picture itself, 0..1. */
  readonly share: number;
  readonly fill: Fill;
}

/** Changes of colours alone. */
export type PlannedColors =
  | { readonly kind: 'hsv'; readonly gains: HsvGains }
  | { readonly kind: 'color'; readonly changes: readonly { readonly change: ColorChange; readonly factor: number }[] }
  | { readonly kind: 'blur'; readonly filter: 'gaussian' | 'median' | 'box'; readonly side: BlurKernel }
  | { readonly kind: 'noise'; readonly sigma: number; readonly seed: number };

export type PlannedStep = PlannedColors | PlannedMove | PlannedResize | PlannedMosaic | PlannedMixup;

/** Where the upper left corner of one of a mosaic's pictures lies in it, pixels. @param place 0 to 3: upper left, upper right, ... */
export function cornerOf({ centreX, centreY }: PlannedMosaic, place: number, size: Size): { x: number; y: number } {
  return { x: place % 2 === 0 ? centreX - size.width : centreX, y: place < 2 ? centreY - size.height : centreY };
}
