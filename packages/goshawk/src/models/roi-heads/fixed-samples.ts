// Which proposals the second stage learns from, for all images of a batch at once and in as many rows as it learns from at
// most: sample-proposals.ts and sample-keypoints.ts without reading how many match.
import { matchBatch, ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import { encodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { countOf, drawFixed, drawFixedSample, positivesFirst } from '../fixed-sampling.js';
import { type Frames, type PaddedBoxes, type PaddedObjects, rowsAt, zeroUnless } from '../padded.js';
import type { PriorityDraws } from '../sampling.js';
import { hasKeypointInside } from './keypoint-loss.js';
import { keypointRoiLimit } from './sample-keypoints.js';

/** S rows an image, of which the first L can be positive. */
export interface FixedRoiSample {
  /** [N, S, 4] xyxy in network pixels; zeros where nothing was drawn. */
  readonly rois: Tensor;
  /** [N, S] bool: what was drawn. */
  readonly valid: Tensor;
  /** [N, S] int64, 0 for background and for what was not drawn. */
  readonly labels: Tensor;
  readonly positives: FixedPositives;
}

/** The first L rows of a sample. */
export interface FixedPositives {
  /** [N, L] bool. */
  readonly valid: Tensor;
  /** [N, L, 4] xyxy in network pixels; zeros where there is none. */
  readonly rois: Tensor;
  /** [N, L, 4] in the pixels that the conventions measure the second stage in. */
  readonly boxes: Tensor;
  /** [N, L] int64 object of each; 0 where there is none. */
  readonly objects: Tensor;
  /** [N, L] int64; 0 where there is none. */
  readonly labels: Tensor;
  /** [N, L, 4] offsets to the objects; 0 where there is none. */
  readonly goals: Tensor;
}

/** What a draw is made from. */
export interface MatchedProposals {
  /** [N, A, 4] xyxy in network pixels: proposals, and behind them the objects' own boxes. */
  readonly candidates: Tensor;
  /** The same in the pixels that the conventions measure the second stage in. */
  readonly measured: Tensor;
  /** [N, G, 4] */
  readonly objectBoxes: Tensor;
  /** [N, A] int64 */
  readonly matches: Tensor;
}

type MatchConfig = Pick<BoxHeadConfig, 'foregroundIou' | 'backgroundIou'>;

/** Matches proposals with objects; what both head's draws start from. */
export function matchProposals(
  proposals: PaddedBoxes,
  objects: PaddedObjects,
  frames: Frames,
  { foregroundIou, backgroundIou }: MatchConfig,
  conventions: Conventions,
): MatchedProposals {
  const inSecondStage = (boxes: Tensor): Tensor =>
    conventions.secondStage === 'network' ? boxes : ops.div(boxes, frames.scales);
  // The objects' own boxes take part: in the first steps no proposal reaches them.
  const candidates = ops.cat([proposals.boxes, objects.boxes], { dim: 1 });
  const takingPart = ops.cat([proposals.valid, objects.present], { dim: 1 });
  const measured = inSecondStage(candidates);
  const objectBoxes = inSecondStage(objects.boxes);
  const matches = matchBatch(objectBoxes, objects.present, measured, takingPart, {
    low: backgroundIou,
    high: foregroundIou,
    plusOne: conventions.boxes === 'inclusive',
  });
  return { candidates, measured, objectBoxes, matches };
}

export function sampleFixedProposals(
  { candidates, measured, objectBoxes, matches }: MatchedProposals,
  objects: PaddedObjects,
  config: Pick<BoxHeadConfig, 'batchSizePerImage' | 'positiveFraction' | 'regressionWeights'>,
  conventions: Conventions,
  draws: PriorityDraws,
): FixedRoiSample {
  const { batchSizePerImage: count, positiveFraction, regressionWeights } = config;
  const { places, valid, isPositive } = positivesFirst(drawFixedSample(matches, { count, positiveFraction }, draws));
  const first = (values: Tensor): Tensor => ops.narrow(values, 1, 0, isPositive.size(1));
  const rois = zeroUnless(valid, rowsAt(candidates, places));
  const own = zeroUnless(isPositive, rowsAt(matches, first(places)));
  const boxes = conventions.secondStage === 'network' ? first(rois) : rowsAt(measured, first(places));
  const labels = zeroUnless(isPositive, rowsAt(objects.labels, own));
  const goals = encodeBoxes(rowsAt(objectBoxes, own), boxes, regressionWeights, conventions.boxes);
  return {
    rois,
    valid,
    labels: ops.constant_pad_nd(labels, [0, places.size(1) - isPositive.size(1)]),
    positives: {
      valid: isPositive,
      rois: first(rois),
      boxes: zeroUnless(isPositive, boxes),
      objects: own,
      labels,
      goals: zeroUnless(isPositive, goals),
    },
  };
}

/** What the keypoint head learns from; R rows an image. */
export interface FixedKeypointSample {
  /** [N, R] bool. */
  readonly valid: Tensor;
  /** [N, R, 4] xyxy in network pixels; zeros where there is none. */
  readonly rois: Tensor;
  /** [N, R, 4] in the pixels that the conventions measure the second stage in. */
  readonly boxes: Tensor;
  /** [N, R, K, 3] x, y in these pixels and the visibility of each one's object; zeros where there is none. */
  readonly keypoints: Tensor;
}

/** As keypointsOfPositives. @param keypoints [N, G, K, 3] in the second stage's pixels */
export function fixedKeypointsOfPositives(positives: FixedPositives, keypoints: Tensor): FixedKeypointSample {
  const { valid, rois, boxes, objects } = positives;
  return { valid, rois, boxes, keypoints: zeroUnless(valid, rowsAt(keypoints, objects)) };
}

/** As sampleKeypoints. @param keypoints [N, G, K, 3] in the second stage's pixels */
export function sampleFixedKeypoints(
  { candidates, measured, objectBoxes, matches }: MatchedProposals,
  keypoints: Tensor,
  box: Pick<BoxHeadConfig, 'batchSizePerImage' | 'positiveFraction'>,
  { keypointRois }: Conventions,
  draws: PriorityDraws,
): FixedKeypointSample {
  const [images = 0, count = 0] = matches.shape;
  const objects = ops.clamp(matches, { min: 0 });
  const perRow = (values: Tensor): Tensor => ops.reshape(values, [images * count, ...values.shape.slice(2)]);
  const holders = keypointRois === 'own_draw_by_object' ? rowsAt(objectBoxes, objects) : measured;
  const seen = hasKeypointInside(perRow(rowsAt(keypoints, objects)), perRow(holders));
  const candidatesSeen = ops.logical_and(ops.ge(matches, 0), ops.view(seen, [images, count]));
  const most = Math.min(keypointRoiLimit(box), count);
  const wanted = (): Tensor => ops.clamp(countOf(candidatesSeen), { max: most });
  const { places, isDrawn } = drawFixed(candidatesSeen, most, wanted, draws);
  return {
    valid: isDrawn,
    rois: zeroUnless(isDrawn, rowsAt(candidates, places)),
    boxes: zeroUnless(isDrawn, rowsAt(measured, places)),
    keypoints: zeroUnless(isDrawn, rowsAt(keypoints, rowsAt(objects, places))),
  };
}

/** [N, G, K, 3] keypoints of network pixels in those that the conventions measure the second stage in. */
export function fixedKeypointsInSecondStage(keypoints: Tensor, frames: Frames, conventions: Conventions): Tensor {
  if (conventions.secondStage === 'network') return keypoints;
  const factors = ops.constant_pad_nd(ops.narrow(frames.scales, 2, 0, 2), [0, 1], { value: 1 });
  return ops.div(keypoints, ops.unsqueeze(factors, 1));
}

/** [N, G, K, 3] keypoints of the objects; where the batch has none, of `count` points that nobody sees. */
export function paddedKeypoints({ keypoints, present }: PaddedObjects, count: number): Tensor {
  if (keypoints === undefined) throw new Error('internal: an image of the batch came without keypoints');
  if (keypoints.size(2) > 0) return keypoints;
  return ops.new_zeros(keypoints, [...present.shape, count, 3]);
}
