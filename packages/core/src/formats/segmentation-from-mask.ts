// The form in which a mask is best written to an annotation file.
import { contourSideMiddles, type MaskContour, simplifyPolygon, traceContours } from '../masks/mask-contours.js';
import type { MaskSize, Polygon } from '../masks/rle.js';
import { encodeMask } from '../masks/rle-encode.js';
import type { Segmentation } from './dataset.js';

const tolerancePx = 0.45;
// Square pixels per pixel of outline: smoothing a smaller or thinner part would change a good share of its pixels.
const leastThickness = 2.2;

/**
 * Polygons, one a part, within a pixel of the mask's border; run lengths, which are exact, where the mask has holes,
 * since polygons cannot say so.
 * @param mask height * width bytes in row-major order; every value but 0 is mask.
 */
export function segmentationFromMask(mask: Uint8Array, size: MaskSize): Segmentation {
  const contours = traceContours(mask, size);
  if (contours.some(({ isHole }) => isHole)) return { kind: 'rle', rle: encodeMask(mask, size) };
  return { kind: 'polygons', polygons: contours.map(smoothOutline) };
}

function smoothOutline({ points, area }: MaskContour): Polygon {
  const middles = contourSideMiddles(points);
  return area < (leastThickness * middles.length) / 2 ? points : simplifyPolygon(middles, tolerancePx);
}
