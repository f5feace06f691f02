// From which score and IoU the page pairs detections and objects: two sliders, and addresses of lists that remember them.
import type { PairThresholds } from '@goshawk/core';
import type { ConfusionData } from './report-data.js';

export const STEP = 0.01;
export const HIGHEST_SCORE = 0.99;
/** IoU in steps of its own; smaller ones are not kept. */
export const IOU = { min: 0.1, max: 0.95, step: 0.05 } as const;

/** What the page pairs by now, and who wants to know when it changes. */
export interface ChosenThresholds {
  readonly first: PairThresholds;
  now(): PairThresholds;
  choose(thresholds: PairThresholds): void;
  onChange(listener: () => void): void;
}

export function chosenThresholds(confusion: ConfusionData): ChosenThresholds {
  const listeners: (() => void)[] = [];
  const first = firstThresholds(confusion);
  let chosen = first;
  return {
    first,
    now: () => chosen,
    choose(thresholds) {
      if (isSame(thresholds, chosen)) return;
      chosen = thresholds;
      for (const listener of listeners) listener();
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

export function firstThresholds({ scoreThreshold, iouThreshold }: ConfusionData): PairThresholds {
  return { scoreThreshold, iouThreshold };
}

export function isSame(a: PairThresholds, b: PairThresholds): boolean {
  return a.scoreThreshold === b.scoreThreshold && a.iouThreshold === b.iouThreshold;
}

/** A list's key with the thresholds it is of; those that the report begins with go without saying. */
export function keyAt(list: string, thresholds: PairThresholds, first: PairThresholds): string {
  if (isSame(thresholds, first)) return list;
  return `${list}@${thresholds.scoreThreshold},${thresholds.iouThreshold}`;
}

/** The parts of such a key. @returns undefined where its thresholds are none that a slider has */
export function parseKey(
  key: string,
  confusion: ConfusionData | undefined,
): { readonly list: string; readonly thresholds: PairThresholds | undefined } | undefined {
  const [list = '', words] = key.split('@');
  const first = confusion && firstThresholds(confusion);
  if (words === undefined) return { list, thresholds: first };
  const [scoreThreshold = Number.NaN, iouThreshold = Number.NaN] = words.split(',').map((word) => onStep(Number(word)));
  const isScore = confusion !== undefined && scoreThreshold >= confusion.lowestScore && scoreThreshold <= HIGHEST_SCORE;
  const isIou = iouThreshold >= IOU.min && iouThreshold <= IOU.max;
  return isScore && isIou ? { list, thresholds: { scoreThreshold, iouThreshold } } : undefined;
}

/** The hundredth nearest to it, as a literal would be read. */
export function onStep(value: number): number {
  return Math.round(value * 100) / 100;
}

export function inWords({ scoreThreshold, iouThreshold }: PairThresholds): string {
  return `from score ${scoreThreshold.toFixed(2)} and IoU ${iouThreshold.toFixed(2)}`;
}
