// Which proposals the second stage learns from, and what it should say about them.
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import { encodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { BACKGROUND, drawSample, matchBoxes, type PlaceDraws } from '../sampling.js';
import type { Scale, Targets } from '../structures.js';

/** What the second stage learns from in one image; positives come first. */
export interface RoiSample {
  /** [S, 4] xyxy in network pixels. */
  readonly rois: Tensor;
  /** [S, 4] the same in the pixels that the conventions measure the second stage in. */
  readonly boxes: Tensor;
  /** [S] int64 object of each; 0 where there is none. */
  readonly objects: Tensor;
  /** [S] int64, 0 for background. */
  readonly labels: Tensor;
  /** [S, 4] offsets to the objects. */
  readonly goals: Tensor;
  /** How many of the first are positive. */
  readonly positives: number;
}

/** Boxes [..., 4] of network pixels in image pixels. */
export function toImage(boxes: Tensor, scale: Scale): Tensor {
  return ops.div(boxes, scaleRow(boxes, scale));
}

/** Boxes [..., 4] of image pixels in network pixels. */
export function toNetwork(boxes: Tensor, scale: Scale): Tensor {
  return ops.mul(boxes, scaleRow(boxes, scale));
}

/** Boxes [N, 4] of network pixels in those that the conventions measure the second stage in. */
export function toSecondStage(boxes: Tensor, scale: Scale, conventions: Conventions): Tensor {
  return conventions.secondStage === 'network' ? boxes : toImage(boxes, scale);
}

/** Filled where the boxes lie: on a card a row of numbers from the host would wait. */
function scaleRow(boxes: Tensor, { x, y }: Scale): Tensor {
  return ops.cat([ops.new_full(boxes, [1], x), ops.new_full(boxes, [1], y)]).repeat([2]);
}

/** @param proposals [P, 4] xyxy in network pixels */
export function sampleProposals(
  proposals: Tensor,
  target: Targets,
  scale: Scale,
  config: Pick<
    BoxHeadConfig,
    'foregroundIou' | 'backgroundIou' | 'batchSizePerImage' | 'positiveFraction' | 'regressionWeights'
  >,
  conventions: Conventions,
  draws: PlaceDraws,
): RoiSample {
  const { foregroundIou, backgroundIou, batchSizePerImage, positiveFraction, regressionWeights } = config;
  // The objects' own boxes take part: in the first steps no proposal reaches them.
  const candidates = ops.cat([proposals, target.boxes]);
  const measured = toSecondStage(candidates, scale, conventions);
  const objectBoxes = toSecondStage(target.boxes, scale, conventions);
  const matches = matchBoxes(objectBoxes, measured, {
    foregroundIou,
    backgroundIou,
    allowLowQuality: false,
    convention: conventions.boxes,
  });
  const drawn = drawSample(matches, { count: batchSizePerImage, positiveFraction }, draws);
  const chosen = ops.cat([drawn.positive, drawn.negative]);
  const rois = ops.index_select(candidates, 0, chosen);
  const boxes = ops.index_select(measured, 0, chosen);
  const match = ops.index_select(matches, 0, chosen);
  const objects = ops.clamp(match, { min: 0 });
  const positives = drawn.positive.size(0);
  if (target.boxes.size(0) === 0)
    return { rois, boxes, objects, labels: ops.zeros_like(match), goals: ops.zeros_like(boxes), positives };
  const labels = ops.mul(ops.index_select(target.labels, 0, objects), ops.gt(match, BACKGROUND).to('int64'));
  const goals = encodeBoxes(ops.index_select(objectBoxes, 0, objects), boxes, regressionWeights, conventions.boxes);
  return { rois, boxes, objects, labels, goals, positives };
}
