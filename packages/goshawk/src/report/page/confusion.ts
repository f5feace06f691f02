// The confusion matrix at any thresholds, and what it counts, by core's own rule.
import { type PairThresholds, pairPicture } from '@goshawk/core';
import type { Pair, ReportData } from './report-data.js';
import { isSame } from './thresholds.js';

/** What it is, what it was found as, how often; the background's place is the number of categories. Only what there is. */
export type Cell = readonly [truth: number, found: number, count: number];

/** What was asked for last: several parts of the page ask for the same. */
const latest = new WeakMap<ReportData, { readonly thresholds: PairThresholds; readonly cells: readonly Cell[] }>();

export function confusionCells(report: ReportData, thresholds: PairThresholds): readonly Cell[] {
  const known = latest.get(report);
  if (known !== undefined && isSame(known.thresholds, thresholds)) return known.cells;
  const cells = countCells(report, thresholds);
  latest.set(report, { thresholds, cells });
  return cells;
}

function countCells(report: ReportData, thresholds: PairThresholds): Cell[] {
  const side = report.categories.length + 1;
  const counts = new Map<number, number>();
  eachPair(report, thresholds, (truth, found) => {
    const cell = truth * side + found;
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  });
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([cell, count]) => [Math.floor(cell / side), cell % side, count] as const);
}

/** The pairs of some cells. */
export function confusedPairs(
  report: ReportData,
  thresholds: PairThresholds,
  isAsked: (truth: number, found: number) => boolean,
): Pair[] {
  const pairs: Pair[] = [];
  eachPair(report, thresholds, (truth, found, ...pair) => {
    if (isAsked(truth, found)) pairs.push(pair);
  });
  return pairs;
}

function eachPair(
  { pictures, categories }: ReportData,
  thresholds: PairThresholds,
  add: (truth: number, found: number, ...pair: Pair) => void,
): void {
  const background = categories.length;
  pictures.forEach(({ objects, places, detectionCategories, overlaps }, picture) => {
    pairPicture(overlaps, thresholds, (o, d) => {
      const object = o < 0 ? -1 : places[o]!;
      const truth = o < 0 ? background : objects[object]![0];
      const found = d < 0 ? background : detectionCategories[d]!;
      add(truth, found, picture, object, d);
    });
  });
}
