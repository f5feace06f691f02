// A mask as lines around it.
import type { Segmentation } from '../formats/dataset.js';
import { contourSideMiddles, simplifyPolygon, traceContours } from '../masks/mask-contours.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import type { MaskSize } from '../masks/rle.js';
import { decodeColumnsWithin } from '../masks/rle-encode.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { MaskInstruction, Rectangle } from './instructions.js';

/** A part of a picture in which a mask lies, and the lines around it. */
export interface MaskOutlines extends Pick<MaskInstruction, 'outlines'> {
  readonly extent: Rectangle;
}

/** Of a line's width; and pixels. Points nearer than this to the line without them cannot be seen. */
const TOLERANCE = 1 / 16;
const LEAST_TOLERANCE = 0.2;

/** Undefined where the mask is empty. @param linePx how wide the lines will be */
export function maskOutlines(segmentation: Segmentation, size: MaskSize, linePx: number): MaskOutlines | undefined {
  const rle = segmentation.kind === 'rle' ? segmentation.rle : polygonsToRle(segmentation.polygons, size);
  const [x, y, width, height] = rleToBbox(rle);
  if (width === 0 || height === 0) return undefined;
  const tolerance = Math.max(LEAST_TOLERANCE, linePx * TOLERANCE);
  // On its side, as run lengths are.
  const contours = traceContours(decodeColumnsWithin(rle, [x, y, width, height]), [width, height]);
  return {
    extent: { x, y, width, height },
    outlines: contours.map(({ points }) =>
      upright(simplifyPolygon(smooth(contourSideMiddles(points)), tolerance), x, y),
    ),
  };
}

/** A closed line whose points move, twice, a half of the way to the middle of their neighbours. */
function smooth(points: readonly number[]): Float64Array {
  const { length } = points;
  const smoothed = new Float64Array(length);
  const blend = (far: number, near: number, own: number, next: number, last: number): number =>
    (6 * own + 4 * (near + next) + far + last) / 16;
  for (let i = 4; i + 4 < length; i++)
    smoothed[i] = blend(points[i - 4]!, points[i - 2]!, points[i]!, points[i + 2]!, points[i + 4]!);
  // Around its end the line goes on at its begin.
  const around = (i: number): number => points[(i + 2 * length) % length]!;
  for (let k = -4; k < Math.min(4, length - 4); k++) {
    const i = (k + length) % length;
    smoothed[i] = blend(around(i - 4), around(i - 2), points[i]!, around(i + 2), around(i + 4));
  }
  return smoothed;
}

/** Of `[y0, x0, y1, x1, ...]`, moved. */
function upright(points: readonly number[], dx: number, dy: number): number[] {
  const turned = new Array<number>(points.length);
  for (let i = 0; i < points.length; i += 2) {
    turned[i] = points[i + 1]! + dx;
    turned[i + 1] = points[i]! + dy;
  }
  return turned;
}
