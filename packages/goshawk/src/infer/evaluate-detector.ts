// A detector's figures on a data set: its detections in every picture, compared as COCO does, or the recall of its proposals.
import {
  type CocoEvaluation,
  type Detection,
  evaluateCoco,
  formatCocoTable,
  formatProposalTable,
  type InputError,
  type IouType,
  proposalRecallStats,
} from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import type { ModelConfig, PreprocessConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import { detectorKind } from '../models/index.js';
import { detectAmongRanks } from './detect-among-ranks.js';
import { detectEach } from './detect-each.js';
import { measureProposals, proposalsOf } from './measure-proposals.js';
import type { Predictor } from './predictor.js';

/** What a detector is measured by, on one data set. */
export interface DetectorMeasures {
  /** By group (bbox, segm, keypoints; proposals) and name, as metrics.json has them. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The figures for a person to read. */
  readonly table: string;
  /** COCO's evaluations with their curves; none of proposals, which are measured by their recall alone. */
  readonly evaluations: ReadonlyMap<IouType, CocoEvaluation>;
  /** The figure that chooses the best weights: AP of the first group, or AR@1000 of proposals. -1 where there is nothing to find. */
  readonly choosing: number;
}

export interface EvaluateOptions {
  readonly dataset: DetectionDataset;
  /** What kind of detector it is decides what is measured. */
  readonly model: ModelConfig;
  readonly preprocess: PreprocessConfig;
  readonly batchSize: number;
  readonly workers: number;
  /** Called after every picture. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the evaluation after a picture, by the signal's reason. */
  readonly signal?: AbortSignal;
  /** Is told of a picture that cannot be used: its objects count as not found. Without it such a picture ends the evaluation. */
  readonly onUnusable?: (place: number, error: InputError) => void;
}

export interface DetectorEvaluation extends DetectorMeasures {
  readonly detections: readonly Detection[];
  readonly seconds: number;
}

export async function evaluateDetector(predictor: Predictor, options: EvaluateOptions): Promise<DetectorEvaluation> {
  const started = performance.now();
  const found: (readonly Detection[])[] = [];
  for await (const own of detectEach(predictor, options)) {
    options.signal?.throwIfAborted();
    found.push(own);
    options.onProgress?.(found.length, options.dataset.samples.length);
  }
  const measures = measureDetector(options.model, options.dataset, found);
  return { ...measures, detections: found.flat(), seconds: (performance.now() - started) / 1000 };
}

export interface SharedEvaluateOptions extends Omit<EvaluateOptions, 'signal'> {
  readonly group: ProcessGroup;
  /** Whether this process was told to end: all of them do then. */
  readonly isStopped?: () => boolean;
}

/**
 * As {@link evaluateDetector}, by all processes of a group together, with the same result.
 * @returns in rank 0; undefined in the others, and where one of them was stopped
 */
export async function evaluateAmongRanks(
  predictor: Predictor,
  options: SharedEvaluateOptions,
): Promise<DetectorEvaluation | undefined> {
  const { dataset, model, group, isStopped, onProgress, onUnusable } = options;
  const started = performance.now();
  const found: (readonly Detection[])[] = [];
  let own = 0;
  const isDone = await detectAmongRanks(predictor, {
    ...options,
    isStopped,
    onOwn: () => onProgress?.(Math.min(++own * group.size, dataset.samples.length), dataset.samples.length),
    onFound: (place, detections) => {
      found[place] = detections;
    },
    ...(onUnusable && {
      onUnusable: (place: number, error: InputError) => {
        found[place] = [];
        onUnusable(place, error);
      },
    }),
  });
  if (!isDone || group.rank > 0) return undefined;
  const measures = measureDetector(model, dataset, found);
  return { ...measures, detections: found.flat(), seconds: (performance.now() - started) / 1000 };
}

/**
 * Compares what a detector found with the annotations of the data set.
 * @param found of each of the data set's samples
 */
export function measureDetector(
  model: ModelConfig,
  dataset: Pick<DetectionDataset, 'annotations' | 'samples'>,
  found: readonly (readonly Detection[])[],
): DetectorMeasures {
  const kind = detectorKind(model);
  if (kind.gives === 'proposals') {
    const recall = measureProposals(dataset, proposalsOf(dataset.samples, found));
    const stats = proposalRecallStats(recall);
    const table = formatProposalTable(recall);
    return { figures: { proposals: stats }, table, evaluations: new Map(), choosing: stats['AR@1000'] ?? -1 };
  }
  const { annotations: groundTruth } = dataset;
  const detections = found.flat();
  const evaluations = new Map(
    kind.measuredBy.map((iouType) => [iouType, evaluateCoco({ groundTruth, detections, iouType })] as const),
  );
  return {
    figures: Object.fromEntries([...evaluations].map(([type, { stats }]) => [type, { ...stats }])),
    table: [...evaluations.values()].map(formatCocoTable).join('\n'),
    evaluations,
    choosing: evaluations.get(kind.measuredBy[0]!)?.stats.AP ?? -1,
  };
}
