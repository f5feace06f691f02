// The standard COCO numbers from the curves, as pycocotools' summarize picks and averages them.
import type { Category } from '../formats/dataset.js';
import type { Curves } from './accumulate.js';
import type { CocoParams, IouType } from './coco-params.js';

/** The standard numbers, 0 to 1; -1 where there is nothing to find. Which ones there are depends on what is compared. */
export interface CocoStats {
  /** Mean over IoU 0.5 to 0.95. */
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  /** Small, medium and large objects; keypoints have no small ones. */
  readonly APs?: number;
  readonly APm: number;
  readonly APl: number;
  /** Boxes and masks: recall with the first, second and third of `maxDetections`. */
  readonly AR1?: number;
  readonly AR10?: number;
  readonly AR100?: number;
  readonly ARs?: number;
  readonly ARm: number;
  readonly ARl: number;
  /** Keypoints only. */
  readonly AR?: number;
  readonly AR50?: number;
  readonly AR75?: number;
}

export type CocoStatName = keyof CocoStats;

/** How one of the numbers is read off the curves. */
export interface CocoStatRule {
  readonly name: CocoStatName;
  readonly of: 'precision' | 'recall';
  /** One threshold; all where absent. */
  readonly iouThreshold?: number;
  readonly area: string;
  readonly maxDetections: number;
}

/** The numbers of an evaluation in their usual order. */
export function cocoStatRules(iouType: IouType, params: CocoParams): CocoStatRule[] {
  const { maxDetections, statsMaxDetections } = params;
  const rule = (name: CocoStatName, area: string, limit: number | undefined, iouThreshold?: number): CocoStatRule => ({
    name,
    of: name.startsWith('AP') ? 'precision' : 'recall',
    area,
    maxDetections: limit ?? -1,
    ...(iouThreshold === undefined ? {} : { iouThreshold }),
  });
  if (iouType === 'keypoints') {
    const names = [
      ['AP', 'all'],
      ['AP50', 'all', 0.5],
      ['AP75', 'all', 0.75],
      ['APm', 'medium'],
      ['APl', 'large'],
      ['AR', 'all'],
      ['AR50', 'all', 0.5],
      ['AR75', 'all', 0.75],
      ['ARm', 'medium'],
      ['ARl', 'large'],
    ] as const;
    return names.map(([name, area, iouThreshold]) => rule(name, area, statsMaxDetections, iouThreshold));
  }
  const third = maxDetections[Math.min(2, maxDetections.length - 1)];
  return [
    rule('AP', 'all', statsMaxDetections),
    rule('AP50', 'all', third, 0.5),
    rule('AP75', 'all', third, 0.75),
    rule('APs', 'small', third),
    rule('APm', 'medium', third),
    rule('APl', 'large', third),
    rule('AR1', 'all', maxDetections[0]),
    rule('AR10', 'all', maxDetections[1]),
    rule('AR100', 'all', maxDetections[2]),
    rule('ARs', 'small', third),
    rule('ARm', 'medium', third),
    rule('ARl', 'large', third),
  ];
}

/** AP and AR of the area ranges that the usual numbers leave out: those of other names than all, small, medium and large. */
export function otherAreaRules({ areaRanges, maxDetections }: CocoParams): CocoStatRule[] {
  const limit = maxDetections[maxDetections.length - 1]!;
  return areaRanges
    .filter(({ name }) => !usualAreas.has(name))
    .flatMap(({ name }) => [
      { name: 'AP', of: 'precision', area: name, maxDetections: limit },
      { name: 'AR', of: 'recall', area: name, maxDetections: limit },
    ]);
}

const usualAreas: ReadonlySet<string> = new Set(['all', 'small', 'medium', 'large']);

/** Whether the parameters have what a rule asks for: its number of detections, area and threshold. */
export function hasRule({ areaRanges, maxDetections, iouThresholds }: CocoParams, rule: CocoStatRule): boolean {
  return (
    maxDetections.includes(rule.maxDetections) &&
    areaRanges.some(({ name }) => name === rule.area) &&
    (rule.iouThreshold === undefined || iouThresholds.includes(rule.iouThreshold))
  );
}

/** The value of one rule, over all categories or over the one at `categoryIndex`; -1 where there is nothing to average. */
export function cocoStat(curves: Curves, params: CocoParams, rule: CocoStatRule, categoryIndex?: number): number {
  const grid = rule.of === 'precision' ? curves.precision : curves.recall;
  const area = params.areaRanges.findIndex((range) => range.name === rule.area);
  const limit = params.maxDetections.indexOf(rule.maxDetections);
  if (area < 0 || limit < 0) return -1;
  const [limitCount, areaCount, categoryCount] = [...grid.shape].reverse() as [number, number, number];
  // Recall has one row per IoU threshold, precision one per IoU and recall threshold.
  const rowsPerThreshold = rule.of === 'precision' ? params.recallThresholds.length : 1;
  let sum = 0;
  let valid = 0;
  params.iouThresholds.forEach((threshold, t) => {
    if (rule.iouThreshold !== undefined && threshold !== rule.iouThreshold) return;
    for (let row = t * rowsPerThreshold; row < (t + 1) * rowsPerThreshold; row++) {
      for (let k = categoryIndex ?? 0; k < (categoryIndex === undefined ? categoryCount : categoryIndex + 1); k++) {
        const value = grid.data[((row * categoryCount + k) * areaCount + area) * limitCount + limit]!;
        if (value <= -1) continue;
        sum += value;
        valid++;
      }
    }
  });
  return valid === 0 ? -1 : sum / valid;
}

/** The numbers of one category: over the first area range and the largest of `maxDetections`; -1 where it has no object. */
export interface CategoryStats {
  readonly categoryId: number;
  readonly name: string;
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly AR: number;
  /** Objects to be found. */
  readonly groundTruths: number;
}

export function categoryStats(
  curves: Curves,
  params: CocoParams,
  categories: readonly Category[],
  objects: Int32Array,
): CategoryStats[] {
  if (!params.useCategories) return [];
  const area = params.areaRanges[0]!.name;
  const maxDetections = params.maxDetections[params.maxDetections.length - 1]!;
  const nameOf = new Map(categories.map((category) => [category.id, category.name]));
  return params.categoryIds.map((categoryId, k) => {
    const ap = (iouThreshold?: number) =>
      cocoStat(curves, params, { name: 'AP', of: 'precision', area, maxDetections, iouThreshold }, k);
    return {
      categoryId,
      name: nameOf.get(categoryId) ?? String(categoryId),
      AP: ap(),
      AP50: ap(0.5),
      AP75: ap(0.75),
      AR: cocoStat(curves, params, { name: 'AR', of: 'recall', area, maxDetections }, k),
      groundTruths: objects[k * params.areaRanges.length]!,
    };
  });
}
