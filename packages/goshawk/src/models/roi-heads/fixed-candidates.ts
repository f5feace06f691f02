// From the second stage's output to detections for all images of a batch at once: select-detections.ts in fixed sizes.
import { arange, ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import { bestOf } from '../best-of.js';
import { atLeast, decodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { type FixedCandidates, type FixedDetections, suppressFixed } from '../fixed-detections.js';
import { type Frames, type PaddedBoxes, rowsAt } from '../padded.js';
import type { BoxPrediction } from './box-head.js';
import { MIN_BOX_SIZE, type SelectionOptions } from './select-detections.js';

/** As candidatesOf, with every class of every proposal in one row. @param prediction of [N * P] rows */
export function fixedCandidates(
  { logits, offsets }: BoxPrediction,
  proposals: PaddedBoxes,
  frames: Frames,
  config: Pick<BoxHeadConfig, 'regressionWeights' | 'scoreThreshold'>,
  conventions: Conventions,
): FixedCandidates {
  const [images = 0, count = 0] = proposals.valid.shape;
  const { secondStage, suppression, boxes: convention, boundsShrinking } = conventions;
  const isImage = secondStage === 'image';
  const measured = isImage ? ops.div(proposals.boxes, frames.scales) : proposals.boxes;
  const decoded = decodeBoxes(offsets.to('float32'), ops.view(measured, [-1, 4]), config.regressionWeights, {
    convention,
    boundsShrinking,
  });
  const foreground = (values: Tensor): Tensor => ops.narrow(values, 1, 1, values.size(1) - 1);
  const perImage = (values: Tensor): Tensor => ops.reshape(values, [images, -1, 4]);
  const size = isImage ? frames.originals : frames.sizes;
  const border = convention === 'inclusive' ? ops.sub(size, 1) : size;
  const clipped = ops.minimum(ops.clamp(perImage(foreground(decoded)), { min: 0 }), border);
  const boxes = !isImage && suppression === 'image' ? ops.div(clipped, frames.scales) : clipped;
  const scores = foreground(ops.softmax(logits.to('float32'), -1));
  const classes = scores.size(1);
  const isGood = ops.logical_and(
    ops.view(ops.gt(scores, config.scoreThreshold), [images, count, classes]),
    ops.unsqueeze(proposals.valid, 2),
  );
  const all = ops.view(boxes, [images, count, -1, 4]);
  return {
    pixels: suppression,
    boxes: ops.reshape(ops.expand(all, [images, count, classes, 4]), [images, -1, 4]),
    scores: ops.view(ops.where(isGood, ops.view(scores, isGood.shape), -Infinity), [images, -1]),
    labels: ops.reshape(ops.expand(arange(1, classes + 1, { dtype: 'int64', device: scores.device }), isGood.shape), [
      images,
      -1,
    ]),
  };
}

/** The detections among the candidates, best first. @param proposals how many an image the candidates come from */
export function selectFixedDetections(
  candidates: FixedCandidates,
  proposals: number,
  options: SelectionOptions,
  conventions: Conventions,
): FixedDetections {
  const good = bestCandidates(candidates, proposals, options.scoreThreshold);
  const sized =
    conventions.boxes === 'continuous'
      ? { ...good, scores: ops.where(atLeast(good.boxes, MIN_BOX_SIZE), good.scores, -Infinity) }
      : good;
  return suppressFixed(sized, options, conventions);
}

/** As many of the best candidates as can pass the threshold: the probabilities of a proposal add up to 1. */
function bestCandidates(candidates: FixedCandidates, proposals: number, threshold: number): FixedCandidates {
  const { boxes, scores, labels } = candidates;
  const most = threshold > 0 ? proposals * Math.floor(1 / threshold + 1e-3) : Number.POSITIVE_INFINITY;
  if (scores.size(1) <= most) return candidates;
  const [best, index] = bestOf(scores, most);
  return { ...candidates, boxes: rowsAt(boxes, index), scores: best, labels: rowsAt(labels, index) };
}
