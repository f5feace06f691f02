// Curves over an axis, such as losses over iterations: the values as they are, faint, and smoothed, on a grid with a legend. Drawn by
// chart.js, which draws those of the report too, on this package's canvas.
import type { RgbImage } from '@goshawk/core';
import type { Chart, ChartConfiguration, ChartDataset } from 'chart.js';
import { type AxisRange, type CurvePoints, gaussianMean, rangesOf, thinned } from './curve-points.js';
import { newCanvas, nodeCanvas } from './node-canvas.js';

export type { AxisRange } from './curve-points.js';

export interface Curve {
  readonly label: string;
  /** `[x, y]` by rising x. Where y is not finite the curve has a gap. */
  readonly points: CurvePoints;
}

export interface CurvesOptions {
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

const LEAST_SIDE = 160;
const FONT_PX = 14;
const INK = '#282828';
const GRID = '#e4e4e4';
// Curves of so few points show them.
const MOST_DOTS = 30;
const MOST_NAMED = 24;
const MOST_LETTERS = 60;

// Dark enough for thin lines on white, neighbours far apart in hue, told apart with any of the common colour blindnesses
// (the first seven are Okabe and Ito's, 2008, the yellow darkened).
const LINES: readonly (readonly [number, number, number])[] = [
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
export async function drawCurves(curves: readonly Curve[], options: CurvesOptions = {}): Promise<RgbImage> {
  const { width = 960, height = 480 } = options;
  if (width < LEAST_SIDE || height < LEAST_SIDE)
    throw new RangeError(`drawCurves: ${width} x ${height} is too small: take at least ${LEAST_SIDE} x ${LEAST_SIDE}`);
  const { smoothing = 0 } = options;
  if (!(smoothing >= 0 && smoothing < 1))
    throw new RangeError(`drawCurves: smoothing ${smoothing} is not within 0 and 1`);
  const library = await import('chart.js');
  const {
    Chart: NewChart,
    LineController,
    LineElement,
    PointElement,
    LinearScale,
    LogarithmicScale,
    Legend,
    Title,
  } = library;
  NewChart.register(LineController, LineElement, PointElement, LinearScale, LogarithmicScale, Legend, Title);
  const canvas = newCanvas(width, height);
  const chart = new NewChart(canvas as never, { ...configOf(curves, options), platform: library.BasicPlatform });
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  chart.destroy();
  return {
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) => data[i + Math.floor(i / 3)]!),
    width,
    height,
  };
}

function configOf(curves: readonly Curve[], options: CurvesOptions): ChartConfiguration<'line', Place[]> {
  const { width = 960, title = '', xLabel = '', smoothing = 0, logarithmic = false } = options;
  const shown = curves.map(({ points }) => {
    const raw = points.map(([x, y]) => [x, isShown(y, logarithmic) ? y : Number.NaN] as const);
    return { raw, smooth: smoothing > 0 ? gaussianMean(raw, smoothing) : raw };
  });
  const { x, y } = rangesOf(shown, options);
  const named = curves.map(({ label }, i) => lineOf(cut(label), shown[i]!.smooth, { width, index: i, smoothing }));
  const faint = smoothing > 0 ? shown.map(({ raw }, i) => faintLineOf(raw, { width, index: i })) : [];
  const text = { font: { family: nodeCanvas.font.family, size: FONT_PX, weight: nodeCanvas.font.weight }, color: INK };
  const scale = { ticks: { ...text, maxRotation: 0 }, grid: { color: GRID }, border: { color: INK } };
  return {
    type: 'line',
    data: { datasets: [...named, ...faint] },
    plugins: [{ id: 'ground', beforeDraw: paintGround }],
    options: {
      animation: false,
      responsive: false,
      devicePixelRatio: 1,
      parsing: false,
      normalized: true,
      layout: { padding: { left: 8, right: 20, top: title === '' ? 14 : 4, bottom: 4 } },
      scales: {
        x: {
          type: 'linear',
          min: x.from,
          max: x.to,
          title: { ...text, display: xLabel !== '', text: xLabel },
          ...scale,
        },
        y: { type: logarithmic ? 'logarithmic' : 'linear', min: y.from, max: y.to, ...scale },
      },
      plugins: {
        title: { ...text, display: title !== '', text: title },
        legend: {
          display: curves.some(({ label }) => label !== ''),
          labels: {
            ...text,
            boxWidth: 22,
            boxHeight: 2,
            filter: ({ datasetIndex = 0 }) => datasetIndex < Math.min(named.length, MOST_NAMED),
          },
        },
      },
    },
  };
}

interface Place {
  readonly x: number;
  readonly y: number;
}

type Line = ChartDataset<'line', Place[]>;

function lineOf(
  label: string,
  points: CurvePoints,
  { width, index, smoothing }: { readonly width: number; readonly index: number; readonly smoothing: number },
): Line {
  const color = `rgb(${LINES[index % LINES.length]!.join(', ')})`;
  const hasDots = smoothing === 0 && points.length <= MOST_DOTS;
  const places = placesOf(points, width);
  // Lower is nearer.
  const order = 0;
  return {
    label,
    data: places,
    order,
    borderColor: color,
    backgroundColor: color,
    borderWidth: 2,
    pointRadius: hasDots ? 3 : 0,
  };
}

function faintLineOf(points: CurvePoints, { width, index }: { readonly width: number; readonly index: number }): Line {
  const borderColor = `rgba(${LINES[index % LINES.length]!.join(', ')}, 0.3)`;
  return { label: '', data: placesOf(points, width), order: 1, borderColor, borderWidth: 1, pointRadius: 0 };
}

/** Two a column of pixels at most. */
function placesOf(points: CurvePoints, width: number): Place[] {
  return thinned(points, 2 * width).map(([x, y]) => ({ x, y }));
}

function isShown(y: number, logarithmic: boolean): boolean {
  return Number.isFinite(y) && !(logarithmic && y <= 0);
}

function cut(label: string): string {
  const letters = [...label];
  return letters.length <= MOST_LETTERS ? label : `${letters.slice(0, MOST_LETTERS - 1).join('')}…`;
}

function paintGround({ ctx, width, height }: Chart): void {
  ctx.save();
  ctx.fillStyle = '#fff';
  ctx.fillRect(0, 0, width, height);
  ctx.restore();
}
