// Average precision of instance masks as Cityscapes defines it (Cordts et al., CVPR 2016; cityscapesScripts,
// evalInstanceLevelSemanticLabeling.py): AP over the overlaps 0.5, 0.55, ..., 0.95, and AP50%.
import type { Dataset, Detection } from '../formats/dataset.js';
import { type CityscapesPairs, cityscapesPairs } from './cityscapes-pairs.js';

export interface CityscapesEvaluationInput {
  /** Masks; crowds are groups, and `ignoredRegions` the void pixels. */
  readonly groundTruth: Dataset;
  /** Masks, in any order; those of categories that the ground truth lacks do not count. */
  readonly detections: readonly Detection[];
  /** Objects of fewer pixels are neither to be found nor wrong when found. Default 100. */
  readonly minRegionPixels?: number;
}

export interface CityscapesClassResult {
  readonly id: number;
  readonly name: string;
  /** Mean over the ten overlaps, 0 to 1; -1 for a class without objects to find. */
  readonly ap: number;
  readonly ap50: number;
  /** Objects to find: no groups, large enough. */
  readonly objects: number;
}

export interface CityscapesEvaluation {
  /** Means over the classes with objects to find; -1 where there is none. */
  readonly ap: number;
  readonly ap50: number;
  /** In order of the ground truth's categories. */
  readonly perClass: readonly CityscapesClassResult[];
}

// As quotients of whole numbers. A detection must overlap by more than these.
const overlaps = Array.from({ length: 10 }, (_, i) => (10 + i) / 20);

/**
 * Cityscapes AP of each class and the means. An unmatched detection is wrong unless the share of its pixels on void, on
 * groups and on too small objects of its class is above the overlap in question. Where nothing is left to rank the
 * original stops with an error; here AP is 0.
 * @throws InputError for annotations or detections without a mask, and a detection of an image that is not in the ground
 * truth or with a score that is not a number.
 */
export function evaluateCityscapes(input: CityscapesEvaluationInput): CityscapesEvaluation {
  const { groundTruth, detections, minRegionPixels = 100 } = input;
  const pairs = cityscapesPairs(groundTruth, detections);
  const perClass = groundTruth.categories.map(({ id, name }): CityscapesClassResult => {
    const own = pairs.get(id) ?? [];
    const objects = own.reduce(
      (sum, { truths }) => sum + truths.filter((truth) => !truth.isGroup && truth.pixels >= minRegionPixels).length,
      0,
    );
    if (objects === 0) return { id, name, ap: -1, ap50: -1, objects };
    const values = overlaps.map((overlap) => averagePrecision(own, overlap, minRegionPixels));
    return { id, name, ap: mean(values), ap50: values[0]!, objects };
  });
  const counted = perClass.filter(({ objects }) => objects > 0);
  if (counted.length === 0) return { ap: -1, ap50: -1, perClass };
  return { ap: mean(counted.map(({ ap }) => ap)), ap50: mean(counted.map(({ ap50 }) => ap50)), perClass };
}

interface Ranked {
  readonly score: number;
  readonly isRight: boolean;
}

function averagePrecision(pictures: readonly CityscapesPairs[], overlap: number, minRegionPixels: number): number {
  const ranked: Ranked[] = [];
  let missed = 0;
  for (const { truths, predictions } of pictures) {
    const iou = (t: number, p: number): number => {
      const shared = predictions[p]!.shared[t]!;
      return shared / (truths[t]!.pixels + predictions[p]!.pixels - shared);
    };
    for (const [t, truth] of truths.entries()) {
      if (truth.isGroup || truth.pixels < minRegionPixels) continue;
      const scores = predictions.filter((_, p) => iou(t, p) > overlap).map(({ score }) => score);
      if (scores.length === 0) {
        missed++;
        continue;
      }
      // The best of several is right, the others are wrong.
      const best = scores.reduce((most, score) => Math.max(most, score));
      const place = scores.indexOf(best);
      for (const [i, score] of scores.entries()) ranked.push({ score, isRight: i === place });
    }
    for (const [p, prediction] of predictions.entries()) {
      if (truths.some((_, t) => iou(t, p) > overlap)) continue;
      let ignored = prediction.voidPixels;
      for (const [t, truth] of truths.entries()) {
        // Twice for a group that is small too: so the original.
        if (truth.isGroup) ignored += prediction.shared[t]!;
        if (truth.pixels < minRegionPixels) ignored += prediction.shared[t]!;
      }
      if (ignored / prediction.pixels <= overlap) ranked.push({ score: prediction.score, isRight: false });
    }
  }
  return areaUnderCurve(ranked, missed);
}

/** Trapezoids between the points at each distinct score, and an artificial one of recall 0 and precision 1. */
function areaUnderCurve(ranked: Ranked[], missed: number): number {
  if (ranked.length === 0) return 0;
  ranked.sort((a, b) => b.score - a.score);
  const found = ranked.reduce((sum, { isRight }) => sum + (isRight ? 1 : 0), 0);
  const objects = found + missed;
  const precision = [1];
  const recall = [0];
  let right = 0;
  for (const [i, { score, isRight }] of ranked.entries()) {
    if (isRight) right++;
    if (ranked[i + 1]?.score === score) continue;
    precision.push(right / (i + 1));
    recall.push(objects === 0 ? 0 : right / objects);
  }
  const last = recall.length - 1;
  // Each point's precision holds half way to both of its neighbours.
  return precision.reduce((sum, value, i) => {
    const step = (recall[Math.min(i + 1, last)]! - recall[Math.max(i - 1, 0)]!) / 2;
    return sum + value * step;
  }, 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** One line a class with its objects and both figures, then the means; no line end after the last. */
export function formatCityscapesTable({ ap, ap50, perClass }: CityscapesEvaluation): string {
  const total = perClass.reduce((sum, { objects }) => sum + objects, 0);
  const figure = (value: number): string => (value < 0 ? '-' : value.toFixed(4)).padStart(8);
  const line = (name: string, objects: number | string, one: string, two: string): string =>
    `${name.padEnd(12)} ${String(objects).padStart(8)} ${one} ${two}`;
  return [
    line('Cityscapes', 'objects', 'AP'.padStart(8), 'AP50%'.padStart(8)),
    ...perClass.map((one) => line(one.name, one.objects, figure(one.ap), figure(one.ap50))),
    line('mean', total, figure(ap), figure(ap50)),
  ].join('\n');
}
