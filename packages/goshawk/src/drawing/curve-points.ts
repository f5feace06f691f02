// What a chart shows of curves of any length: means, ranges, and not more points than it has pixels.

/** `[x, y]` by rising x. Where y is not finite the curve has a gap. */
export type CurvePoints = readonly (readonly [x: number, y: number])[];

export interface AxisRange {
  readonly from: number;
  readonly to: number;
}

/** A mean over neighbours on both sides, which does not lag behind as a running mean does. @param smoothing 0 to below 1 */
export function gaussianMean(points: CurvePoints, smoothing: number): CurvePoints {
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

/** At most `most` points: the means of equally many neighbours. */
export function thinned(points: CurvePoints, most: number): CurvePoints {
  const group = Math.ceil(points.length / most);
  if (group <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / group) }, (_, i) => {
    const part = points.slice(i * group, (i + 1) * group);
    const finite = part.filter(([, y]) => Number.isFinite(y));
    const mean = (of: CurvePoints, axis: 0 | 1): number => of.reduce((sum, point) => sum + point[axis], 0) / of.length;
    return [mean(part, 0), mean(finite, 1)];
  });
}

export interface ShownCurve {
  /** As they are, and their mean, which is the same where there is no smoothing. */
  readonly raw: CurvePoints;
  readonly smooth: CurvePoints;
}

export interface RangeOptions {
  readonly logarithmic?: boolean;
  /** What the axes show at least. */
  readonly x?: AxisRange;
  readonly y?: AxisRange;
}

// Of the values before smoothing so many may lie outside: a first loss of 100 must not flatten what follows.
const SHARE_INSIDE = 0.98;

/** What the axes show. */
export function rangesOf(curves: readonly ShownCurve[], { x, y, logarithmic = false }: RangeOptions) {
  const ends = (range: AxisRange | undefined): number[] => (range ? [range.from, range.to] : []);
  const xs = rangeOf([...curves.flatMap(({ raw }) => raw.map(([px]) => px)), ...ends(x)]);
  const finite = (points: CurvePoints): number[] => points.map(([, py]) => py).filter(Number.isFinite);
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
