// A mask on a picture: its area tinted, its outline as a soft line.
import type { Segmentation } from '../formats/dataset.js';
import { contourSideMiddles, traceContours } from '../masks/mask-contours.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import type { MaskSize } from '../masks/rle.js';
import { decodeMaskWithin } from '../masks/rle-encode.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { RgbColor } from './palette.js';
import type { Surface } from './surface.js';

/** A mask cut out of its picture. */
export interface MaskPatch {
  /** Rows of `width` bytes, 0 or 1. */
  readonly mask: Uint8Array;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of a mask's picture that holds it, or undefined where it is empty. */
export function maskPatch(segmentation: Segmentation, size: MaskSize): MaskPatch | undefined {
  const rle = segmentation.kind === 'rle' ? segmentation.rle : polygonsToRle(segmentation.polygons, size);
  const [left, top, width, height] = rleToBbox(rle);
  if (width === 0 || height === 0) return undefined;
  return { mask: decodeMaskWithin(rle, [left, top, width, height]), left, top, width, height };
}

/** @param opacity of the tint, 0 to 1 @param outlinePx width of the outline, 0 for none */
export function drawMask(
  surface: Surface,
  patch: MaskPatch,
  color: RgbColor,
  opacity: number,
  outlinePx: number,
): void {
  const { mask, left, top, width, height } = patch;
  surface.tintMask(mask, width, left, top, color, opacity);
  if (outlinePx <= 0) return;
  for (const { points } of traceContours(mask, [height, width])) {
    const outline = smooth(smooth(contourSideMiddles(points)));
    surface.addPath(
      outline.map((value, i) => value + (i % 2 === 0 ? left : top)),
      outlinePx,
      true,
    );
  }
  surface.paint(color);
}

// Each point moves a half of the way to the middle of its neighbours.
function smooth(points: readonly number[]): number[] {
  const { length } = points;
  return points.map((value, i) => (points[(i + length - 2) % length]! + 2 * value + points[(i + 2) % length]!) / 4);
}
