// A detector's figures on a data set: its detections in every image, compared as COCO does.
import { type CocoEvaluation, type Detection, evaluateCoco, formatCocoTable, type IouType } from '@goshawk/core';
import type { PreprocessConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { detectEach } from './detect-each.js';
import type { Predictor } from './predictor.js';

export interface EvaluateOptions {
  readonly dataset: DetectionDataset;
  readonly preprocess: PreprocessConfig;
  readonly batchSize: number;
  readonly workers: number;
  readonly types: readonly IouType[];
  /** Every object and detection counts as of one category, as for proposals. Default false. */
  readonly classAgnostic?: boolean;
  /** Called after every picture. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface DetectorEvaluation {
  readonly detections: readonly Detection[];
  readonly evaluations: ReadonlyMap<IouType, CocoEvaluation>;
  readonly seconds: number;
}

export async function evaluateDetector(predictor: Predictor, options: EvaluateOptions): Promise<DetectorEvaluation> {
  const started = performance.now();
  const detections = await detectAll(predictor, options);
  const evaluations = measureDetections(options.dataset, detections, options);
  return { detections, evaluations, seconds: (performance.now() - started) / 1000 };
}

/** Compares detections with the annotations of their data set. */
export function measureDetections(
  { annotations: groundTruth }: Pick<DetectionDataset, 'annotations'>,
  detections: readonly Detection[],
  { types, classAgnostic = false }: Pick<EvaluateOptions, 'types' | 'classAgnostic'>,
): Map<IouType, CocoEvaluation> {
  const params = { useCategories: !classAgnostic };
  return new Map(types.map((iouType) => [iouType, evaluateCoco({ groundTruth, detections, iouType, params })]));
}

/** The standard tables, one under the other. */
export function formatEvaluations(evaluations: ReadonlyMap<IouType, CocoEvaluation>): string {
  return [...evaluations.values()].map(formatCocoTable).join('\n');
}

async function detectAll(predictor: Predictor, options: EvaluateOptions): Promise<Detection[]> {
  const detections: Detection[] = [];
  let done = 0;
  for await (const found of detectEach(predictor, options)) {
    for (const detection of found) detections.push(detection);
    done += 1;
    options.onProgress?.(done, options.dataset.samples.length);
  }
  return detections;
}
