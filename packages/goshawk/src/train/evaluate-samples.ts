// A detector's figures on a data set of a program.
import { openSampleDataset, requireEvaluable, type SampleDataset } from '../data/index.js';
import { type DetectorEvaluation, evaluateDetector } from '../infer/evaluate-detector.js';
import type { OpenDetector } from '../infer/open-detector.js';
import { splitOptions } from '../infer/split-options.js';
import { detectorKind } from '../models/index.js';
import { inCategoriesOf } from './training-data.js';

export interface EvaluateSamplesOptions {
  /** Called after every picture. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the evaluation after a picture, by the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Measures a detector as trainings do. Categories are matched by name.
 * @throws InputError where the categories are not the detector's, a sample is not as described, or lacks what is measured
 */
export async function evaluateSamples(
  { predictor, config, categories }: OpenDetector,
  samples: SampleDataset,
  { onProgress, signal }: EvaluateSamplesOptions = {},
): Promise<DetectorEvaluation> {
  const opened = await openSampleDataset(samples, 'the samples', splitOptions(config, 'val', 'evaluation'));
  const classOf = new Map(categories.map(({ id }, index) => [id, index + 1]));
  const dataset = inCategoriesOf({ fileName: 'the detector', categories, classOf }, opened);
  const kind = detectorKind(config.model);
  const keypoints = categories.find((category) => category.keypoints?.length)?.keypoints?.length;
  await requireEvaluable(dataset, { measuredBy: kind.measuredBy, ...(keypoints && { keypoints }) });
  return evaluateDetector(predictor, {
    ...{ dataset, model: config.model, preprocess: config.preprocess },
    ...{ batchSize: config.inference.batchSize, workers: config.data.workers },
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  });
}
