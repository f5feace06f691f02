// VOC AP as text.
import { InputError } from '../errors/input-error.js';
import type { VocEvaluation, VocMetric } from './voc-ap.js';

const titles: Readonly<Record<VocMetric, string>> = { '11-point': 'AP (11 points)', area: 'AP (area)' };

/**
 * One line a class with its objects and AP, then the mean; several evaluations of the same ground truth (the two
 * conventions) stand side by side. No line end after the last.
 */
export function formatVocTable(evaluations: readonly VocEvaluation[]): string {
  const [first] = evaluations;
  if (first === undefined) throw new InputError('usage', 'formatVocTable: needs an evaluation, got none: pass one');
  const rows = [
    [`IoU ${first.iouThreshold}`, 'objects', ...evaluations.map(({ metric }) => titles[metric])],
    ...first.perClass.map(({ name, objects }, k) => [
      name,
      String(objects),
      ...evaluations.map(({ perClass }) => figure(perClass[k]?.ap ?? -1)),
    ]),
    [
      'mean',
      String(first.perClass.reduce((sum, { objects }) => sum + objects, 0)),
      ...evaluations.map(({ map }) => figure(map)),
    ],
  ];
  const widths = rows[0]!.map((_, c) => rows.reduce((widest, row) => Math.max(widest, row[c]!.length), 0));
  return rows
    .map((row) => row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  '))
    .join('\n');
}

function figure(value: number): string {
  return value < 0 ? '-' : value.toFixed(4);
}
