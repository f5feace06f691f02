// COCO evaluation of boxes, masks and keypoints; the numbers are those of pycocotools 2.0.11.
import type { Dataset } from '../formats/dataset.js';
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
import type { Detections } from './detection-columns.js';
import { buildEvaluationTable, type EvaluationTable } from './evaluation-table.js';
import { matchDetections } from './match-detections.js';

export interface CocoEvaluation extends Curves {
  readonly iouType: IouType;
  /** The given parameters with the defaults filled in. */
  readonly params: CocoParams;
  readonly stats: CocoStats;
  /** The names of `stats` in their usual order. */
  readonly names: readonly CocoStatName[];
  /** What the largest of `params.maxDetections` left out. */
  readonly cut: DetectionCut;
  /** In order of `params.categoryIds`; empty where categories do not count. */
  readonly perCategory: readonly CategoryStats[];
}

/** Detections beyond the limit of a category in a picture. */
export interface DetectionCut {
  readonly detections: number;
  readonly pictures: number;
  /** Most detections of a category in one picture. */
  readonly most: number;
  /** Most objects of a category in one of the pictures that were cut. */
  readonly objects: number;
}

export interface CocoEvaluationInput {
  readonly groundTruth: Dataset;
  /** In any order; equal scores keep it. Detections of categories that the ground truth lacks do not count. */
  readonly detections: Detections;
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
    cut: countCut(table, params.maxDetections[params.maxDetections.length - 1]!),
    perCategory: categoryStats(curves, params, groundTruth.categories, matches.objects),
  };
}

function countCut({ detections, truths, categoryCount }: EvaluationTable, limit: number): DetectionCut {
  let [cut, pictures, most, objects, lastPicture, truthRow] = [0, 0, 0, 0, -1, 0];
  for (let row = 0; row < detections.count; ) {
    const group = detections.group[row]!;
    const first = row;
    while (detections.group[row] === group) row++;
    most = Math.max(most, row - first);
    if (row - first <= limit) continue;
    cut += row - first - limit;
    const picture = Math.floor(group / categoryCount);
    if (picture !== lastPicture) pictures++;
    lastPicture = picture;
    while (truths.group[truthRow]! < group) truthRow++;
    const firstTruth = truthRow;
    while (truths.group[truthRow] === group) truthRow++;
    objects = Math.max(objects, truthRow - firstTruth);
  }
  return { detections: cut, pictures, most, objects };
}
