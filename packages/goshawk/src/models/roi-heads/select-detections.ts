// From the second stage's output to detections: every class of every proposal is a candidate; the good ones are thinned out.
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import { atLeast, clipBoxes, decodeBoxes } from '../box-coder.js';
import type { Conventions } from '../conventions.js';
import { keptCount } from '../detection-limit.js';
import { indicesWhere } from '../sampling.js';
import type { Detections, HeightWidth, Scale } from '../structures.js';
import type { BoxPrediction } from './box-head.js';
import { toImage } from './sample-proposals.js';
import { suppressDetections } from './suppress-detections.js';

/** Every class of every proposal of one image. */
export interface Candidates {
  /** What the boxes are measured in. */
  readonly pixels: 'network' | 'image';
  /** [P, C, 4] float32 xyxy, inside the image; [P, 1, 4] where all classes share a box. */
  readonly boxes: Tensor;
  /** [P, C] float32 probabilities, without the background. */
  readonly scores: Tensor;
}

/**
 * @param proposals [P, 4] xyxy in the pixels that the conventions measure the second stage in
 * @param size of the image in these pixels
 * @param scale network pixels an image pixel
 */
export function candidatesOf(
  { logits, offsets }: BoxPrediction,
  proposals: Tensor,
  size: HeightWidth,
  scale: Scale,
  config: Pick<BoxHeadConfig, 'regressionWeights'>,
  conventions: Conventions,
): Candidates {
  const convention = conventions.boxes;
  const decoded = decodeBoxes(offsets.to('float32'), proposals, config.regressionWeights, {
    convention,
    boundsShrinking: conventions.boundsShrinking,
  });
  const foreground = (values: Tensor): Tensor => ops.narrow(values, 1, 1, values.size(1) - 1);
  const clipped = foreground(clipBoxes(decoded, size, convention));
  const isUnscaled = conventions.secondStage === 'network' && conventions.suppression === 'image';
  return {
    pixels: conventions.suppression,
    boxes: isUnscaled ? toImage(clipped, scale) : clipped,
    scores: foreground(ops.softmax(logits.to('float32'), -1)),
  };
}

// Refined boxes thinner than this many pixels are dropped: torchvision's value.
export const MIN_BOX_SIZE = 1e-2;

export type SelectionOptions = Pick<
  BoxHeadConfig,
  'scoreThreshold' | 'nmsThreshold' | 'softNms' | 'boxVoting' | 'maxDetections'
>;

/** The detections among the candidates of one image, best first. */
export function selectDetections(
  candidates: Candidates,
  options: SelectionOptions,
  conventions: Conventions,
): Detections {
  const [count = 0, classes = 0] = candidates.scores.shape;
  const { device } = candidates.scores;
  const classIndices = ops.arange(1, classes + 1, { dtype: 'int64', device });
  const boxes = ops.reshape(ops.expand(candidates.boxes, [count, classes, 4]), [-1, 4]);
  const scores = ops.reshape(candidates.scores, [-1]);
  const labels = ops.reshape(ops.expand(classIndices, [count, classes]), [-1]);
  let valid = indicesWhere(ops.gt(scores, options.scoreThreshold));
  if (conventions.boxes === 'continuous')
    valid = ops.index_select(valid, 0, indicesWhere(atLeast(ops.index_select(boxes, 0, valid), MIN_BOX_SIZE)));
  const kept = suppressDetections(
    {
      boxes: ops.index_select(boxes, 0, valid),
      scores: ops.index_select(scores, 0, valid),
      labels: ops.index_select(labels, 0, valid),
    },
    { ...options, convention: conventions.boxes },
  );
  const best = keptCount(kept.scores, options.maxDetections, conventions.detectionLimit);
  return {
    pixels: candidates.pixels,
    boxes: ops.narrow(kept.boxes, 0, 0, best),
    scores: ops.narrow(kept.scores, 0, 0, best),
    labels: ops.narrow(kept.labels, 0, 0, best),
  };
}
