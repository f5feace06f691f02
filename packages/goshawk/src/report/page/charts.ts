// Charts of chart.js in the page's colours, drawn again when these change.
import type { ChartConfiguration, Chart as ChartOf } from 'chart.js';
import { element } from './dom.js';
import type { Point } from './report-data.js';

/** The library lies in the page before this script. */
declare const Chart: typeof ChartOf;

// Told apart with any of the common colour blindnesses (Okabe and Ito, 2008), darker on white ground and lighter on dark.
const ON_LIGHT = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#b4508c',
  '#3d9bd4',
  '#a88400',
  '#d48c00',
  '#6b6b6b',
  '#7543b4',
  '#b02a45',
];
const ON_DARK = [
  '#4fb3f0',
  '#ff8a3d',
  '#2fd0a0',
  '#e79bc4',
  '#9ad6f7',
  '#e8cf4a',
  '#ffc04d',
  '#bdbdbd',
  '#b692f0',
  '#ff7d94',
];

function lineColor(index: number): string {
  const lines = getComputedStyle(document.documentElement).colorScheme === 'dark' ? ON_DARK : ON_LIGHT;
  return lines[index % lines.length]!;
}

export interface ChartLine {
  readonly name: string;
  readonly points: readonly Point[];
  /** Thinner and paler, for many lines behind one. */
  readonly isFaint?: boolean;
}

export interface LineChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel?: string;
  readonly x?: { readonly min: number; readonly max?: number };
  readonly y?: { readonly min: number; readonly max: number };
  readonly isLogarithmic?: boolean;
  readonly hasDots?: boolean;
  /** Is told of the x of a point that was chosen. */
  readonly onPoint?: (x: number, line: number) => void;
}

type Draw = () => ChartConfiguration<'line' | 'bar', { x: number; y: number }[] | number[], string>;

interface Drawn {
  readonly canvas: HTMLCanvasElement;
  readonly draw: Draw;
  chart?: ChartOf;
}

/** All of the page, in their order. */
const drawn: Drawn[] = [];

export function lineChart(lines: readonly ChartLine[], options: LineChartOptions): Node {
  const { xLabel, yLabel, x, y, isLogarithmic, hasDots, onPoint } = options;
  return figureOf(options.title, () => ({
    type: 'line',
    data: {
      datasets: lines.map(({ name, points, isFaint }, index) => ({
        label: name,
        data: points.map(([px, py]) => ({ x: px, y: py })),
        borderColor: lineColor(index),
        backgroundColor: lineColor(index),
        borderWidth: isFaint ? 1 : 2,
        pointRadius: hasDots ? 3 : 0,
        pointHitRadius: 8,
        tension: 0,
      })),
    },
    options: {
      ...common(lines.length),
      parsing: false,
      interaction: { mode: 'nearest', axis: 'x', intersect: false },
      scales: {
        x: { type: 'linear', title: { display: true, text: xLabel, color: ink() }, ...x, ...scale() },
        y: {
          type: isLogarithmic ? 'logarithmic' : 'linear',
          title: { display: yLabel !== undefined, text: yLabel ?? '', color: ink() },
          ...y,
          ...scale(),
        },
      },
      onClick: (_event, items) => {
        const item = items[0];
        if (item) onPoint?.(lines[item.datasetIndex]!.points[item.index]![0], item.datasetIndex);
      },
    },
  }));
}

export interface BarChartOptions {
  readonly title: string;
  readonly labels: readonly string[];
  readonly xLabel?: string;
  readonly isSideways?: boolean;
  readonly onBar?: (index: number, group: number) => void;
}

export interface BarGroup {
  readonly name: string;
  readonly values: readonly number[];
}

export function barChart(groups: readonly BarGroup[], options: BarChartOptions): Node {
  const { labels, xLabel, isSideways, onBar } = options;
  const rows = isSideways ? labels.length * groups.length : 0;
  const draw: Draw = () => ({
    type: 'bar',
    data: {
      labels: [...labels],
      datasets: groups.map(({ name, values }, index) => ({
        label: name,
        data: [...values],
        backgroundColor: lineColor(index),
        maxBarThickness: 28,
      })),
    },
    options: {
      ...common(groups.length),
      indexAxis: isSideways ? 'y' : 'x',
      scales: {
        x: {
          title: { display: xLabel !== undefined, text: xLabel ?? '', color: ink() },
          ...scale(),
          ...(isSideways ? { beginAtZero: true } : { ticks: { color: ink(), maxRotation: 45, autoSkip: true } }),
        },
        y: {
          beginAtZero: true,
          ...scale(isSideways),
          ...(isSideways ? { ticks: { color: ink(), autoSkip: false } } : {}),
        },
      },
      onClick: (_event, items) => {
        const item = items[0];
        if (item) onBar?.(item.index, item.datasetIndex);
      },
    },
  });
  return figureOf(options.title, draw, Math.max(240, rows * 22 + 70));
}

/**
 * Draws the charts that are in sight, and the others one after another behind the first frame: together they take half of the time in
 * which the page opens.
 */
export function drawCharts(): void {
  const waiting: Drawn[] = [];
  for (const entry of drawn)
    if (entry.canvas.getBoundingClientRect().top < innerHeight) drawNow(entry);
    else waiting.push(entry);
  const next = (): void => {
    const entry = waiting.shift();
    if (entry === undefined) return;
    drawNow(entry);
    setTimeout(next);
  };
  requestAnimationFrame(() => setTimeout(next));
  addEventListener('beforeprint', () => {
    for (const entry of waiting.splice(0)) drawNow(entry);
  });
}

/** Called when the page's colours have changed. */
export function redrawCharts(): void {
  for (const entry of drawn) if (entry.chart !== undefined) drawNow(entry);
}

function drawNow(entry: Drawn): void {
  entry.chart?.destroy();
  entry.chart = new Chart(entry.canvas, entry.draw() as ChartConfiguration);
}

function figureOf(title: string, draw: Draw, height = 260): Node {
  const canvas = element('canvas', { role: 'img', 'aria-label': title });
  drawn.push({ canvas, draw });
  const frame = element('div', { class: 'chart', style: `height: ${height}px` }, canvas);
  return element('figure', {}, element('figcaption', {}, title), frame);
}

function common(lines: number) {
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: false as const,
    plugins: {
      legend: { display: lines > 1, position: 'bottom' as const, labels: { color: ink(), boxWidth: 14 } },
      decimation: { enabled: false },
    },
  };
}

function scale(isPlain = false) {
  const color = variable('--grid');
  return { ticks: { color: ink() }, grid: { color, display: !isPlain }, border: { color } };
}

function ink(): string {
  return variable('--soft');
}

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
