// Curves over an axis, such as losses over iterations: the values as they are, faint, and smoothed, on a grid with a legend.
import type { RgbImage } from '../geometry/image.js';
import { linearTicks, logarithmicTicks, type Tick } from './axis-ticks.js';
import type { RgbColor } from './palette.js';
import { Surface } from './surface.js';
import { fitText, lineHeight, type TextRenderer } from './text-renderer.js';

export interface Curve {
  readonly label: string;
  /** `[x, y]` by rising x. Where y is not finite the curve has a gap. */
  readonly points: readonly (readonly [number, number])[];
}

export interface CurvesOptions {
  readonly text: TextRenderer;
  /** Pixels. Default 960 x 480. */
  readonly width?: number;
  readonly height?: number;
  /** What stands above. Default nothing. */
  readonly title?: string;
  /** What stands below the x axis. Default nothing. */
  readonly xLabel?: string;
  /**
   * 0 to below 1: over the values their mean is drawn, weighted by a Gaussian that covers some 1 / (1 - smoothing)
   * neighbours. 0, the default, draws the values alone.
   */
  readonly smoothing?: number;
  /** Whether y is logarithmic; values of 0 and below are left out. Default false. */
  readonly logarithmic?: boolean;
  /** What the axes show at least. Default what the curves need. */
  readonly x?: AxisRange;
  readonly y?: AxisRange;
}

export interface AxisRange {
  readonly from: number;
  readonly to: number;
}

/** Of the font, pixels. */
const SIZE = 14;
const MARGIN = { left: 74, right: 20, top: 34, bottom: 44 } as const;
const INK: RgbColor = [40, 40, 40];
const GRID: RgbColor = [228, 228, 228];
const LEAST_SIDE = 160;

// Dark enough for thin lines on white, neighbours far apart in hue, told apart with any of the common colour blindnesses
// (the first seven are Okabe and Ito's, 2008, the yellow darkened).
const LINES: readonly RgbColor[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [86, 180, 233],
  [190, 150, 0],
  [230, 159, 0],
  [90, 90, 90],
  [117, 67, 180],
  [150, 20, 40],
];

/** A chart on white. @throws RangeError where it is too small to hold anything, or smoothing is out of range */
export function drawCurves(curves: readonly Curve[], options: CurvesOptions): RgbImage {
  const { text, width = 960, height = 480, title = '', xLabel = '', smoothing = 0, logarithmic = false } = options;
  if (width < LEAST_SIDE || height < LEAST_SIDE)
    throw new RangeError(`drawCurves: ${width} x ${height} is too small: take at least ${LEAST_SIDE} x ${LEAST_SIDE}`);
  if (!(smoothing >= 0 && smoothing < 1))
    throw new RangeError(`drawCurves: smoothing ${smoothing} is not within 0 and 1`);
  const surface = new Surface({ width, height, data: new Uint8Array(width * height * 3).fill(255) });
  const drawn = curves.map(({ label, points }) => {
    const raw = points.map(([x, y]) => [x, logarithmic && y <= 0 ? Number.NaN : y] as const);
    return { label, raw, smooth: smoothing > 0 ? gaussianMean(raw, smoothing) : raw };
  });
  const area = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: title === '' ? 14 : MARGIN.top,
    bottom: height - (xLabel === '' ? 28 : MARGIN.bottom),
  };
  const scale = chooseScale(drawn, options);
  const place = placer(scale, area, logarithmic);
  drawGrid(surface, { text, scale, area, place, logarithmic });
  drawn.forEach(({ raw, smooth }, index) => {
    const color = LINES[index % LINES.length]!;
    if (smoothing > 0)
      drawLine(surface, thinned(raw, area), { place, area, widthPx: 1, color, opacity: 0.3, hasDots: false });
    drawLine(surface, thinned(smooth, area), { place, area, widthPx: 2, color, opacity: 1, hasDots: smoothing === 0 });
  });
  drawLegend(
    surface,
    text,
    drawn.map(({ label }) => label),
    area,
  );
  const middle = (area.left + area.right) / 2;
  centred(surface, text, { shown: title, x: middle, y: 6, most: area.right - area.left });
  centred(surface, text, { shown: xLabel, x: middle, y: height - 22, most: area.right - area.left });
  surface.paint(INK);
  return { data: surface.data, width, height };
}

type Points = readonly (readonly [number, number])[];

interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Scale {
  readonly x: AxisRange;
  readonly y: AxisRange;
}

/** A mean over neighbours on both sides, which does not lag behind as a running mean does. */
function gaussianMean(points: Points, smoothing: number): Points {
  const sigma = Math.min(0.5 / (1 - smoothing), points.length / 16);
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: reach + 1 }, (_, distance) =>
    Math.exp(-0.5 * (distance / Math.max(sigma, 0.1)) ** 2),
  );
  return points.map(([x, y], center) => {
    if (!Number.isFinite(y)) return [x, Number.NaN];
    let sum = 0;
    let weight = 0;
    for (let i = Math.max(0, center - reach); i <= Math.min(points.length - 1, center + reach); i++) {
      const value = points[i]![1];
      if (!Number.isFinite(value)) continue;
      const share = kernel[Math.abs(i - center)]!;
      sum += share * value;
      weight += share;
    }
    return [x, sum / weight];
  });
}

// Of the values before smoothing so many may lie outside: a first loss of 100 must not flatten what follows.
const SHARE_INSIDE = 0.98;

function chooseScale(
  curves: readonly { readonly raw: Points; readonly smooth: Points }[],
  { x, y, logarithmic }: CurvesOptions,
): Scale {
  const ends = (range: AxisRange | undefined): number[] => (range ? [range.from, range.to] : []);
  const xs = rangeOf([...curves.flatMap(({ raw }) => raw.map(([px]) => px)), ...ends(x)]);
  const finite = (points: Points): number[] => points.map(([, y]) => y).filter(Number.isFinite);
  const inner = curves.flatMap(({ raw }) => {
    const sorted = Float64Array.from(finite(raw)).sort();
    const outside = Math.floor(((1 - SHARE_INSIDE) / 2) * sorted.length);
    return [...sorted.subarray(outside, sorted.length - outside)];
  });
  const settled = curves.flatMap(({ smooth }) => finite(smooth).slice(Math.floor(smooth.length * (1 - SHARE_INSIDE))));
  const ys = rangeOf([...inner, ...settled, ...ends(y)]);
  if (logarithmic) {
    const from = ys.from > 0 ? ys.from : 1e-3;
    return { x: widened(xs), y: { from: from / 1.1, to: Math.max(ys.to, from) * 1.1 } };
  }
  const { from, to } = widened(ys);
  // Losses start at 0: where that costs little room it is shown.
  const start = from > 0 && from < 0.5 * to ? 0 : from;
  return { x: widened(xs), y: { from: start, to: y?.to === to ? to : to + 0.05 * (to - start) } };
}

function rangeOf(values: readonly number[]): AxisRange {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < from) from = value;
    if (value > to) to = value;
  }
  return from <= to ? { from, to } : { from: 0, to: 1 };
}

function widened({ from, to }: AxisRange): AxisRange {
  if (to > from) return { from, to };
  const half = Math.abs(from) > 0 ? Math.abs(from) / 2 : 0.5;
  return { from: from - half, to: to + half };
}

type Place = (x: number, y: number) => readonly [number, number];

function placer({ x, y }: Scale, area: Area, logarithmic: boolean): Place {
  const of = logarithmic ? Math.log : (value: number): number => value;
  const [low, high] = [of(y.from), of(y.to)];
  return (px, py) => [
    area.left + ((px - x.from) / (x.to - x.from)) * (area.right - area.left),
    area.bottom - ((of(py) - low) / (high - low)) * (area.bottom - area.top),
  ];
}

interface Grid {
  readonly text: TextRenderer;
  readonly scale: Scale;
  readonly area: Area;
  readonly place: Place;
  readonly logarithmic: boolean;
}

function drawGrid(surface: Surface, { text, scale, area, place, logarithmic }: Grid): void {
  const { x, y } = scale;
  const across: readonly Tick[] = linearTicks(x.from, x.to, Math.max(2, Math.floor((area.right - area.left) / 100)));
  const up: readonly Tick[] = logarithmic
    ? logarithmicTicks(y.from, y.to)
    : linearTicks(y.from, y.to, Math.max(2, Math.floor((area.bottom - area.top) / 50)));
  const columns = across.map(({ value, label }) => ({ label, at: crisp(place(value, y.from)[0]) }));
  const rows = up.map(({ value, label }) => ({ label, at: crisp(place(x.from, value)[1]) }));
  for (const { at } of columns) surface.addLine(at, area.top, at, area.bottom, 1);
  for (const { at } of rows) surface.addLine(area.left, at, area.right, at, 1);
  surface.paint(GRID);
  surface.addPath([area.left, area.top, area.left, area.bottom, area.right, area.bottom].map(crisp), 1, false);
  for (const { at, label } of columns) centred(surface, text, { shown: label, x: at, y: area.bottom + 3, most: 100 });
  for (const { at, label } of rows) {
    const line = text.line(label, SIZE);
    surface.addCoverage(line, Math.round(area.left - 8 - line.width), Math.round(at - line.height / 2));
  }
  surface.paint(INK);
}

/** The middle of a pixel: a line of one pixel there is one pixel wide. */
function crisp(value: number): number {
  return Math.floor(value) + 0.5;
}

/** At most two points a pixel column: the means of equally many neighbours. */
function thinned(points: Points, area: Area): Points {
  const group = Math.ceil(points.length / (2 * (area.right - area.left)));
  if (group <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / group) }, (_, i) => {
    const part = points.slice(i * group, (i + 1) * group);
    const finite = part.filter(([, y]) => Number.isFinite(y));
    const mean = (of: Points, axis: 0 | 1): number => of.reduce((sum, point) => sum + point[axis], 0) / of.length;
    return [mean(part, 0), mean(finite, 1)];
  });
}

// Curves of so few points show them.
const MOST_DOTS = 30;

interface LineStyle {
  readonly place: Place;
  readonly area: Area;
  readonly widthPx: number;
  readonly color: RgbColor;
  readonly opacity: number;
  /** Whether few points are shown each. */
  readonly hasDots: boolean;
}

function drawLine(
  surface: Surface,
  points: Points,
  { place, area, widthPx, color, opacity, hasDots }: LineStyle,
): void {
  let run: number[] = [];
  const end = (): void => {
    if (run.length > 0) surface.addPath(run, widthPx, false);
    run = [];
  };
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) {
      end();
      continue;
    }
    const [px, py] = place(x, y);
    // What lies outside goes along the border.
    run.push(px, Math.min(Math.max(py, area.top), area.bottom));
  }
  end();
  if (hasDots && points.length <= MOST_DOTS) {
    for (const [x, y] of points) {
      if (!Number.isFinite(y)) continue;
      const [px, py] = place(x, y);
      if (py >= area.top && py <= area.bottom) surface.addLine(px, py, px, py, widthPx + 4);
    }
  }
  surface.paint(color, opacity);
}

function drawLegend(surface: Surface, text: TextRenderer, labels: readonly string[], area: Area): void {
  if (labels.length === 0) return;
  const rowPx = lineHeight(SIZE);
  const shown = labels.slice(0, Math.max(1, Math.floor((area.bottom - area.top - 16) / rowPx)));
  const most = (area.right - area.left) / 2;
  const isCut = shown.length < labels.length;
  const lines = shown.map((label, i) => {
    const isLast = isCut && i === shown.length - 1;
    return text.line(fitText(text, isLast ? `and ${labels.length - i} more` : label, SIZE, most), SIZE);
  });
  const wide = Math.max(...lines.map(({ width }) => width));
  const left = Math.round(area.right - wide - 44);
  const top = area.top + 6;
  surface.addRectangle(left - 8, top - 4, area.right - 4, top + lines.length * rowPx + 2, 4);
  surface.paint([255, 255, 255], 0.85);
  lines.forEach((line, i) => {
    const y = top + i * rowPx;
    if (!(isCut && i === lines.length - 1)) {
      surface.addLine(left, y + rowPx / 2, left + 22, y + rowPx / 2, 3);
      surface.paint(LINES[i % LINES.length]!);
    }
    surface.addCoverage(line, left + 30, y);
    surface.paint(INK);
  });
}

interface CentredText {
  readonly shown: string;
  readonly x: number;
  readonly y: number;
  readonly most: number;
}

function centred(surface: Surface, text: TextRenderer, { shown, x, y, most }: CentredText): void {
  const line = text.line(fitText(text, shown, SIZE, most), SIZE);
  surface.addCoverage(line, Math.round(x - line.width / 2), Math.round(y));
}
