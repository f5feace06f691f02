// Masks as the lines that a page draws, short enough for thousands of them.
import { decodeMask, type Segmentation, simplifyPolygon, traceContours } from '@goshawk/core';

/** Of the longer side of a picture: what a line may miss. Pictures are seen at some 500 pixels. */
const TOLERANCE = 1 / 400;
/** Shorter pictures are shown enlarged, and have tenths of pixels. */
const WHOLE_PIXELS_FROM = 400;

/**
 * The `d` of an SVG path around a mask, in picture pixels, to be filled by the rule "evenodd". Empty where the mask is.
 * @param longer side of the picture
 */
export function maskPath(segmentation: Segmentation, longer: number): string {
  const rings =
    segmentation.kind === 'polygons'
      ? segmentation.polygons
      : traceContours(decodeMask(segmentation.rle), segmentation.rle.size).map(({ points }) => points);
  const unit = longer < WHOLE_PIXELS_FROM ? 10 : 1;
  return rings.map((ring) => ringPath(simplifyPolygon(ring, Math.max(0.5, longer * TOLERANCE)), unit)).join('');
}

function ringPath(points: readonly number[], unit: number): string {
  const whole = points.map((value) => Math.round(value * unit));
  const steps: string[] = [];
  for (let i = 2; i < whole.length; i += 2) {
    const [dx, dy] = [whole[i]! - whole[i - 2]!, whole[i + 1]! - whole[i - 1]!];
    if (dx !== 0 || dy !== 0) steps.push(`${dx / unit} ${dy / unit}`);
  }
  return steps.length < 2 ? '' : `M${whole[0]! / unit} ${whole[1]! / unit}l${steps.join(' ')}z`;
}
