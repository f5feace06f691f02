// Precision, recall and F1 as functions of the score from which detections are kept, from COCO's own matching.
import { type IouType, resolveCocoParams } from '../evaluation/coco-params.js';
import type { Detections } from '../evaluation/detection-columns.js';
import { buildEvaluationTable } from '../evaluation/evaluation-table.js';
import { matchDetections } from '../evaluation/match-detections.js';
import { orderDescending } from '../evaluation/stable-order.js';
import type { Category, Dataset } from '../formats/dataset.js';

export interface ScoreCurvesInput {
  readonly groundTruth: Dataset;
  readonly detections: Detections;
  readonly iouType: IouType;
  /** IoU, or keypoint similarity, from which a detection is right. */
  readonly iouThreshold?: number;
}

/** Entry i speaks of all detections with at least `score[i]`; scores fall, each stands once. */
export interface ScoreCurve {
  readonly score: Float64Array;
  readonly precision: Float64Array;
  /** 0 where there is nothing to find. */
  readonly recall: Float64Array;
  readonly f1: Float64Array;
  readonly objects: number;
  /** The entry with the highest F1, the highest score of equal ones; undefined where none is above 0. */
  readonly best: BestThreshold | undefined;
}

export interface BestThreshold {
  readonly score: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export interface ScoreCurves {
  readonly iouThreshold: number;
  /** Of the detections and objects of all categories together. */
  readonly overall: ScoreCurve;
  /** By ascending id. */
  readonly perCategory: readonly { readonly category: Category; readonly curve: ScoreCurve }[];
}

/**
 * Matched as evaluateCoco does: 100 detections a category and picture (20 with keypoints); those in crowds count for nothing.
 * @throws InputError as evaluateCoco does
 */
export function scoreCurves(input: ScoreCurvesInput): ScoreCurves {
  const { groundTruth, detections, iouType, iouThreshold = 0.5 } = input;
  const given = { iouThresholds: [iouThreshold], areaRanges: [{ name: 'all', min: 0, max: 1e5 ** 2 }] };
  const params = resolveCocoParams(given, iouType, groundTruth);
  const table = buildEvaluationTable(groundTruth, detections, params, iouType);
  const { matched, ignored, rank, objects } = matchDetections(table, params, iouType);
  const limit = params.maxDetections[params.maxDetections.length - 1]!;
  const counts = (row: number) => rank[row]! < limit && ignored[row] === 0;
  const curveOf = (rows: Uint32Array, toFind: number): ScoreCurve =>
    scoreCurve(
      Array.from(rows.filter(counts), (row) => ({ score: table.score[row]!, isRight: matched[row] !== 0 })),
      toFind,
    );
  const names = new Map(groundTruth.categories.map((category) => [category.id, category]));
  return {
    iouThreshold,
    overall: curveOf(
      orderDescending(table.byScore, table.score),
      objects.reduce((sum, count) => sum + count, 0),
    ),
    perCategory: params.categoryIds.map((id, k) => ({
      category: names.get(id)!,
      curve: curveOf(table.byScore.subarray(table.categoryStart[k]!, table.categoryStart[k + 1]!), objects[k]!),
    })),
  };
}

function scoreCurve(
  points: readonly { readonly score: number; readonly isRight: boolean }[],
  objects: number,
): ScoreCurve {
  const score: number[] = [];
  const precision: number[] = [];
  const recall: number[] = [];
  const f1: number[] = [];
  let right = 0;
  let best: BestThreshold | undefined;
  points.forEach((point, index) => {
    if (point.isRight) right++;
    // A threshold keeps all detections of its score or none.
    if (points[index + 1]?.score === point.score) return;
    const entry = {
      score: point.score,
      precision: right / (index + 1),
      recall: objects === 0 ? 0 : right / objects,
      f1: (2 * right) / (index + 1 + objects),
    };
    score.push(entry.score);
    precision.push(entry.precision);
    recall.push(entry.recall);
    f1.push(entry.f1);
    if (entry.f1 > (best?.f1 ?? 0)) best = entry;
  });
  return {
    score: Float64Array.from(score),
    precision: Float64Array.from(precision),
    recall: Float64Array.from(recall),
    f1: Float64Array.from(f1),
    objects,
    best,
  };
}
