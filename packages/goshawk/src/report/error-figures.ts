// Where a detector errs, in numbers: TIDE, the confusion matrix, the best thresholds.
import {
  analyseErrors,
  type ConfusionMatrix,
  confusionOf,
  type Dataset,
  type Detection,
  type Detections,
  type OverlappingPicture,
  overlappingPictures,
  type ScoreCurves,
  scoreCurves,
  type TideAnalysis,
} from '@goshawk/core';
import type { ModelConfig } from '../config/index.js';
import type { BestThresholds } from '../infer/best-thresholds.js';
import { detectorKind } from '../models/kinds.js';
import { IOU } from './page/thresholds.js';

export interface ErrorFigures {
  readonly iouType: 'bbox' | 'segm';
  readonly tide: TideAnalysis;
  readonly confusion: ConfusionMatrix;
  /** What the matrix is counted from, for others at any score and from the smallest IoU that the report's page has. */
  readonly overlapping: readonly OverlappingPicture[];
  readonly curves: ScoreCurves;
}

export function measureErrors(
  groundTruth: Dataset,
  detections: Detections,
  iouType: ErrorFigures['iouType'],
): ErrorFigures {
  const input = { groundTruth, detections, iouType };
  const overlapping = [...overlappingPictures(input, IOU.min)];
  return {
    iouType,
    tide: analyseErrors(input),
    confusion: confusionOf(groundTruth.categories, overlapping),
    overlapping,
    curves: scoreCurves(input),
  };
}

/** Of what a detector found: of its boxes, poses' too, or of its masks where it is chosen by them. None of proposals. */
export function detectorErrors(
  model: ModelConfig,
  groundTruth: Dataset,
  detections: readonly Detection[],
): ErrorFigures | undefined {
  const { gives, measuredBy } = detectorKind(model);
  if (gives === 'proposals') return undefined;
  return measureErrors(groundTruth, detections, measuredBy[0] === 'segm' ? 'segm' : 'bbox');
}

/** As plain values: pictures and objects by their ids. */
export function errorsAsJson({ tide, confusion, curves }: Pick<ErrorFigures, 'tide' | 'confusion' | 'curves'>): {
  readonly tide: object;
  readonly confusion: object;
  readonly thresholds: BestThresholds;
} {
  const { examples: _, perCategory, ...totals } = tide;
  return {
    tide: {
      ...totals,
      perCategory: perCategory.map(({ category, ap, counts }) => ({ name: category.name, ap: ap ?? null, counts })),
    },
    confusion: {
      scoreThreshold: confusion.scoreThreshold,
      iouThreshold: confusion.iouThreshold,
      categories: confusion.categories.map(({ name }) => name),
      counts: confusion.counts,
    },
    thresholds: bestThresholds(curves),
  };
}

export function bestThresholds(curves: ScoreCurves): BestThresholds {
  return {
    iouThreshold: curves.iouThreshold,
    overall: curves.overall.best ?? null,
    perCategory: curves.perCategory.map(({ category, curve }) => ({ name: category.name, ...(curve.best ?? {}) })),
  };
}
