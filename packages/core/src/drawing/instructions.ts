// What is drawn on a picture, without pixels: shapes, colours and texts with their places, all in the picture's pixels. Pixel (0, 0)
// covers 0..1 on both axes. A canvas paints them (paint-instructions.ts), in the order of their list.
import type { RgbColor } from './palette.js';

export type DrawInstruction = MaskInstruction | BoxInstruction | SkeletonInstruction | LabelInstruction;

/** An area that is tinted, with a line around it. */
export interface MaskInstruction {
  readonly kind: 'mask';
  readonly color: RgbColor;
  /** Of the tint, 0 to 1. */
  readonly opacity: number;
  /** Closed lines `[x0, y0, x1, y1, ...]`, without the steps of pixels; inside is what an odd number of them surrounds. */
  readonly outlines: readonly (readonly number[])[];
  readonly outlinePx: number;
}

/** The frame of a rectangle, within it; whole pixels. */
export interface BoxInstruction extends Rectangle {
  readonly kind: 'box';
  readonly color: RgbColor;
  readonly widthPx: number;
}

export interface SkeletonInstruction {
  readonly kind: 'skeleton';
  readonly limbs: readonly Limb[];
  readonly joints: readonly Joint[];
  /** Of the limbs; the discs of the joints are twice as wide. */
  readonly widthPx: number;
}

export interface Limb {
  readonly from: Point;
  readonly to: Point;
  readonly color: RgbColor;
}

export interface Joint {
  readonly at: Point;
  readonly color: RgbColor;
}

export type Point = readonly [x: number, y: number];

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A line of text on a plate. */
export interface LabelInstruction {
  readonly kind: 'label';
  readonly text: string;
  /** Of the font. */
  readonly sizePx: number;
  /** The plate; whole pixels. */
  readonly place: Rectangle;
  /** Of the plate's corners. */
  readonly radiusPx: number;
  /** Where the text starts, on its base line. */
  readonly start: Point;
  readonly color: RgbColor;
  readonly background: RgbColor;
  /** From the plate to its object, where another line would be taken for it. */
  readonly leader?: { readonly from: Point; readonly to: Point; readonly widthPx: number };
}
