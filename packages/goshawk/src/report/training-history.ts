// The curves of a training from the lines of its metrics.jsonl.
import type { Point, Series, TrainingHistory } from './page/report-data.js';

/** A line of metrics.jsonl. */
export type HistoryRecord = Readonly<Record<string, unknown>> & { readonly iteration: number };

// Finer than the pixels of a chart.
const MOST_POINTS = 800;

/** undefined where nothing was trained yet. */
export function trainingHistory(records: readonly HistoryRecord[]): TrainingHistory | undefined {
  const names = [...new Set(records.flatMap(Object.keys))];
  const series = (isAsked: (name: string) => boolean): Series[] =>
    names.filter(isAsked).map((name) => ({ name, points: thinned(pointsOf(records, name)) }));
  const losses = series((name) => name === 'loss' || name.startsWith('loss_'));
  const measures = series((name) => /\/(AP|AP50|AR@1000)$/.test(name)).map(({ name, points }) => ({
    name,
    // -1 stands for nothing to find.
    points: points.filter(([, value]) => value >= 0),
  }));
  const learningRate = series((name) => name === 'lr');
  if (losses.length + measures.length + learningRate.length === 0) return undefined;
  return { losses, measures: measures.filter(({ points }) => points.length > 0), learningRate };
}

function pointsOf(records: readonly HistoryRecord[], name: string): Point[] {
  return records.flatMap((record) => {
    const value = Number(record[name]);
    return name in record && Number.isFinite(value) ? [[record.iteration, value] as const] : [];
  });
}

/** Means of equally many neighbours where there are more points than can be told apart. */
function thinned(points: readonly Point[]): readonly Point[] {
  const group = Math.ceil(points.length / MOST_POINTS);
  if (group <= 1) return points;
  return Array.from({ length: Math.ceil(points.length / group) }, (_, i) => {
    const part = points.slice(i * group, (i + 1) * group);
    const mean = (axis: 0 | 1): number => part.reduce((sum, point) => sum + point[axis], 0) / part.length;
    return [part.at(-1)![0], mean(1)] as const;
  });
}
