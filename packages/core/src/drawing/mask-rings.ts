// A mask as lines around it.
import type { Segmentation } from '../formats/dataset.js';
import { contourSideMiddles, simplifyPolygon, traceContours } from '../masks/mask-contours.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import type { MaskSize } from '../masks/rle.js';
import { decodeMaskWithin } from '../masks/rle-encode.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { MaskInstruction, Rectangle } from './instructions.js';

/** A part of a picture in which a mask lies, and the lines around it. */
export interface MaskRings extends Pick<MaskInstruction, 'rings' | 'outlines'> {
  readonly extent: Rectangle;
}

// Points nearer than this to the line without them cannot be seen.
const TOLERANCE_PX = 0.2;

/** Undefined where the mask is empty. */
export function maskRings(segmentation: Segmentation, size: MaskSize): MaskRings | undefined {
  const rle = segmentation.kind === 'rle' ? segmentation.rle : polygonsToRle(segmentation.polygons, size);
  const [x, y, width, height] = rleToBbox(rle);
  if (width === 0 || height === 0) return undefined;
  const contours = traceContours(decodeMaskWithin(rle, [x, y, width, height]), [height, width]);
  const moved = (points: readonly number[]): number[] => points.map((value, i) => value + (i % 2 === 0 ? x : y));
  return {
    extent: { x, y, width, height },
    rings: contours.map(({ points }) => moved(points)),
    outlines: contours.map(({ points }) =>
      moved(simplifyPolygon(smooth(smooth(contourSideMiddles(points))), TOLERANCE_PX)),
    ),
  };
}

// Each point moves a half of the way to the middle of its neighbours.
function smooth(points: readonly number[]): number[] {
  const { length } = points;
  return points.map((value, i) => (points[(i + length - 2) % length]! + 2 * value + points[(i + 2) % length]!) / 4);
}
