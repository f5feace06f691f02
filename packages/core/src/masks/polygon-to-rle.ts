// Polygons to run lengths by the rule of the COCO API (cocodataset/cocoapi, common/maskApi.c, rleFrPoly): corners are
// rounded on a grid five times as fine, edges are drawn there, and each image column switches between outside and
// inside where an edge passes between fine columns 5k + 2 and 5k + 3. Only those places are computed here, so time
// and memory grow with the crossings and not with the length of the outline.
import type { BoxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import { type MaskSize, maskPixels, type Polygon, type Rle } from './rle.js';
import { mergeRles } from './rle-merge.js';

const FINENESS = 5;
// An outline drawn by hand has thousands; a file that asks for more would only fill the memory.
const MOST_SWITCHES = 2 ** 22;

/**
 * The union of an object's polygons, bit for bit as pycocotools' `frPyObjects` and `merge` make it.
 * @throws InputError where there is no polygon, or one has fewer than 6 numbers, an odd number of them, one that is not
 * finite, or an outline that passes over the columns more than four million times.
 */
export function polygonsToRle(polygons: readonly Polygon[], size: MaskSize): Rle {
  if (polygons.length === 0) {
    throw new InputError('annotation-invalid', 'mask: needs at least one polygon, got none: draw one or drop the mask');
  }
  return mergeRles(
    polygons.map((polygon) => polygonToRle(polygon, size)),
    'union',
  );
}

/** One polygon, corners `[x0, y0, x1, y1, ...]` in pixels, closed by itself; throws as {@link polygonsToRle} does. */
export function polygonToRle(polygon: Polygon, size: MaskSize): Rle {
  maskPixels(size);
  if (polygon.length < 6 || polygon.length % 2 !== 0) {
    throw new InputError(
      'annotation-invalid',
      `mask: a polygon needs an even number of values, at least 6, got ${polygon.length}: write [x0, y0, x1, y1, x2, y2, ...]`,
    );
  }
  const [height, width] = size;
  const corners = polygon.length / 2;
  const columns: number[] = [];
  const rows: number[] = [];
  let x1 = fine(polygon, polygon.length - 2);
  let y1 = fine(polygon, polygon.length - 1);
  for (let corner = 0; corner < corners; corner++) {
    const x0 = x1;
    const y0 = y1;
    x1 = fine(polygon, 2 * corner);
    y1 = fine(polygon, 2 * corner + 1);
    if (x0 !== x1) addCrossings(x0, y0, x1, y1, size, columns, rows);
  }
  return { size: [height, width], counts: switchesToCounts(columns, rows, size) };
}

/** The mask that pycocotools makes of a box, as of its four corners: its `frPyObjects` for a box. */
export function boxToRle(box: BoxXywh, size: MaskSize): Rle {
  const [x, y, width, height] = box;
  return polygonToRle([x, y, x, y + height, x + width, y + height, x + width, y], size);
}

function fine(polygon: Polygon, at: number): number {
  const value = polygon[at]!;
  if (!Number.isFinite(value)) {
    throw new InputError(
      'annotation-invalid',
      `mask: value ${at} of a polygon must be a finite number, got ${String(value).slice(0, 40)}: correct the corner`,
    );
  }
  return Math.trunc(FINENESS * value + 0.5);
}

// Appends the column and the row of each switch on the edge; row `height` is the start of the next column.
function addCrossings(
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  [height, width]: MaskSize,
  columns: number[],
  rows: number[],
): void {
  const dx = Math.abs(x1 - x0);
  const dy = Math.abs(y1 - y0);
  const isFlat = dx >= dy;
  // The drawing runs from left to right, or from top to bottom where the edge is steep; the rounding depends on it.
  const isReversed = isFlat ? x0 > x1 : y0 > y1;
  const startX = isReversed ? x1 : x0;
  const startY = isReversed ? y1 : y0;
  const endX = isReversed ? x0 : x1;
  const endY = isReversed ? y0 : y1;
  const firstColumn = Math.max(0, Math.ceil((Math.min(x0, x1) - 2) / FINENESS));
  const lastColumn = Math.min(width - 1, Math.floor((Math.max(x0, x1) - 3) / FINENESS));
  if (columns.length + lastColumn - firstColumn >= MOST_SWITCHES) {
    throw new InputError(
      'annotation-invalid',
      `mask: a polygon must pass the image's columns at most ${MOST_SWITCHES} times, got more in ${height} x ${width}: simplify it, or correct the image size`,
    );
  }
  const slope = isFlat ? (endY - startY) / dx : (endX - startX) / dy;
  for (let column = firstColumn; column <= lastColumn; column++) {
    const before = FINENESS * column + 2;
    let fineY: number;
    if (isFlat) {
      const step = before - startX;
      const here = Math.trunc(startY + slope * step + 0.5);
      const next = Math.trunc(startY + slope * (step + 1) + 0.5);
      fineY = Math.min(here, next);
    } else {
      fineY = startY + stepBeforeCrossing(startX, slope, before, dy);
    }
    columns.push(column);
    rows.push(Math.ceil(Math.min(Math.max((fineY + 0.5) / FINENESS - 0.5, 0), height)));
  }
}

// On a steep edge: the last step whose column is still on the starting side of the place between `before` and
// `before + 1`. The quotient can be one step off by rounding, so the columns themselves decide.
function stepBeforeCrossing(startX: number, slope: number, before: number, steps: number): number {
  const isRising = slope > 0;
  let step = Math.min(Math.max(Math.floor((before + 0.5 - startX) / slope), 0), steps - 1);
  while (step > 0 && columnAt(startX, slope, step) > before === isRising) step--;
  while (step < steps - 1 && columnAt(startX, slope, step + 1) > before !== isRising) step++;
  return step;
}

function columnAt(startX: number, slope: number, step: number): number {
  return Math.trunc(startX + slope * step + 0.5);
}

// Run lengths between the switches in order of their places; two switches at one place cancel.
function switchesToCounts(columns: readonly number[], rows: readonly number[], size: MaskSize): Uint32Array {
  const [height, width] = size;
  const pixels = height * width;
  const sorted = sortSwitches(columns, rows, height);
  let kept = 0;
  for (let i = 0; i < sorted.length; i++) {
    const place = sorted[i]!;
    if (kept > 0 && sorted[kept - 1] === place) kept--;
    else sorted[kept++] = place;
  }
  if (kept > 0 && sorted[kept - 1] === pixels) kept--;
  const counts = new Uint32Array(kept + 1);
  let last = 0;
  for (let i = 0; i < kept; i++) {
    counts[i] = sorted[i]! - last;
    last = sorted[i]!;
  }
  counts[kept] = pixels - last;
  return counts;
}

// The places row + column * height in ascending order. A column holds few switches, so: counted into columns, then each
// column by insertion. A closed outline switches in every column between its ends, which bounds `starts`.
function sortSwitches(columns: readonly number[], rows: readonly number[], height: number): Uint32Array {
  const places = new Uint32Array(columns.length);
  let first = Number.POSITIVE_INFINITY;
  let last = -1;
  for (let i = 0; i < columns.length; i++) {
    if (columns[i]! < first) first = columns[i]!;
    if (columns[i]! > last) last = columns[i]!;
  }
  if (last < 0) return places;
  const starts = new Uint32Array(last - first + 2);
  for (let i = 0; i < columns.length; i++) starts[columns[i]! - first + 1]!++;
  for (let c = 1; c < starts.length; c++) starts[c]! += starts[c - 1]!;
  const filled = starts.slice();
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i]! - first;
    const place = columns[i]! * height + rows[i]!;
    const start = starts[column]!;
    let at = filled[column]!++;
    for (; at > start && places[at - 1]! > place; at--) places[at] = places[at - 1]!;
    places[at] = place;
  }
  return places;
}
