// The confusion matrix at any thresholds, and what it counts, by core's own rule.
import { type PairThresholds, pairPicture } from '@goshawk/core';
import type { Pair, ReportData } from './report-data.js';

/** What it is, what it was found as, how often; the background's place is the number of categories. Only what there is. */
export type Cell = readonly [truth: number, found: number, count: number];

export function confusionCells(report: ReportData, thresholds: PairThresholds): Cell[] {
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
  eachPair(report, thresholds, (truth, found, pair) => {
    if (isAsked(truth, found)) pairs.push(pair());
  });
  return pairs;
}

function eachPair(
  { pictures, categories }: ReportData,
  thresholds: PairThresholds,
  add: (truth: number, found: number, pair: () => Pair) => void,
): void {
  const background = categories.length;
  pictures.forEach(({ objects, detections, overlaps }, picture) => {
    // Pairs name objects among those that are no crowds, the page among all.
    const places: number[] = [];
    objects.forEach((object, place) => {
      if (object[5] !== 1) places.push(place);
    });
    pairPicture(overlaps, thresholds, (o, d) => {
      const object = places[o] ?? -1;
      const [truth, found] = [objects[object]?.[0] ?? background, detections[d]?.[0] ?? background];
      add(truth, found, () => [picture, object, d]);
    });
  });
}
