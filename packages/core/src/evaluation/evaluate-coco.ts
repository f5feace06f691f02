// COCO evaluation of boxes, masks and keypoints; the numbers are those of pycocotools 2.0.11.
import type { Dataset, Detection } from '../formats/dataset.js';
import { accumulateCurves, type Curves } from './accumulate.js';
import { type CocoParams, type IouType, resolveCocoParams } from './coco-params.js';
import {
  type CategoryStats,
  type CocoStatName,
  type CocoStats,
  categoryStats,
  cocoStat,
  cocoStatRules,
} from './coco-stats.js';
import { buildEvaluationTable } from './evaluation-table.js';
import { matchDetections } from './match-detections.js';

export interface CocoEvaluation extends Curves {
  readonly iouType: IouType;
  /** The given parameters with the defaults filled in. */
  readonly params: CocoParams;
  readonly stats: CocoStats;
  /** The names of `stats` in their usual order. */
  readonly names: readonly CocoStatName[];
  /** In order of `params.categoryIds`; empty where categories do not count. */
  readonly perCategory: readonly CategoryStats[];
}

export interface CocoEvaluationInput {
  readonly groundTruth: Dataset;
  /** In any order; equal scores keep it. Detections of categories that the ground truth lacks do not count. */
  readonly detections: readonly Detection[];
  readonly iouType: IouType;
  readonly params?: Partial<CocoParams>;
}

/**
 * Average precision and recall of detections against a data set.
 *
 *     const { stats } = evaluateCoco({ groundTruth, detections, iouType: 'bbox' });
 *     stats.AP; // 0.404
 *
 * @throws InputError for parameters that make no sense, a detection of an image that is not in the ground truth, and
 * annotations or detections without what `iouType` compares.
 */
export function evaluateCoco(input: CocoEvaluationInput): CocoEvaluation {
  const { groundTruth, detections, iouType } = input;
  const params = resolveCocoParams(input.params ?? {}, iouType, groundTruth);
  const table = buildEvaluationTable(groundTruth, detections, params, iouType);
  const matches = matchDetections(table, params, iouType);
  const curves = accumulateCurves(table, matches, params);
  const values = cocoStatRules(iouType, params).map((rule) => [rule.name, cocoStat(curves, params, rule)] as const);
  return {
    ...curves,
    iouType,
    params,
    stats: Object.fromEntries(values) as { [Name in CocoStatName]: number },
    names: values.map(([name]) => name),
    perCategory: categoryStats(curves, params, groundTruth.categories, matches.objects),
  };
}
