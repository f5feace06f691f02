// The second stage of Faster R-CNN: two fully connected layers, then a class and a refined box for each proposal.
import { batchedNms, Linear, Module, ops, type Tensor } from '@goshawk/torch';
import { atLeast, type BoxWeights, clipBoxes, decodeBoxes } from '../box-coder.js';
import { crossEntropyMean, smoothL1Sum } from '../losses.js';
import { indicesWhere } from '../sampling.js';
import type { Detections, HeightWidth, Losses } from '../structures.js';

/** [K, C, S, S] pooled features -> [K, hidden]. */
export class TwoLayerBoxHead extends Module {
  readonly fc6: Linear;
  readonly fc7: Linear;

  constructor(inFeatures: number, hiddenSize: number) {
    super();
    this.fc6 = new Linear(inFeatures, hiddenSize);
    this.fc7 = new Linear(hiddenSize, hiddenSize);
  }

  forward(pooled: Tensor): Tensor {
    const hidden = ops.relu_(this.fc6.forward(ops.flatten(pooled, { start_dim: 1 })));
    return ops.relu_(this.fc7.forward(hidden));
  }
}

export interface BoxPrediction {
  /** [K, classes] logits, background first. */
  readonly logits: Tensor;
  /** [K, classes * 4] offsets from the proposals. */
  readonly offsets: Tensor;
}

export class BoxPredictor extends Module {
  readonly clsScore: Linear;
  readonly bboxPred: Linear;

  constructor(hiddenSize: number, classes: number) {
    super();
    this.clsScore = new Linear(hiddenSize, classes);
    this.bboxPred = new Linear(hiddenSize, classes * 4);
  }

  forward(hidden: Tensor): BoxPrediction {
    return { logits: this.clsScore.forward(hidden), offsets: this.bboxPred.forward(hidden) };
  }
}

// Where the box regression loss turns linear in torchvision's Fast R-CNN loss.
const SMOOTH_L1_BETA = 1 / 9;

/**
 * @param labels [K] int64, 0 for background
 * @param goals [K, 4] offsets that lead from the proposals to their objects; read for labels above 0 alone
 */
export function boxLosses({ logits, offsets }: BoxPrediction, labels: Tensor, goals: Tensor): Losses {
  const positive = indicesWhere(ops.gt(labels, 0));
  const count = labels.size(0);
  const perClass = ops.view(offsets.to('float32'), [count, logits.size(1), 4]);
  const chosen = ops.index(perClass, [positive, ops.index_select(labels, 0, positive)]);
  const regression = smoothL1Sum(chosen, ops.index_select(goals, 0, positive), SMOOTH_L1_BETA);
  return {
    loss_classifier: crossEntropyMean(logits.to('float32'), labels),
    loss_box_reg: ops.div(regression, Math.max(1, count)),
  };
}

export interface DetectionOptions {
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  readonly maxDetections: number;
  readonly regressionWeights: BoxWeights;
}

// Refined boxes thinner than this many pixels are dropped: torchvision's value.
const MIN_BOX_SIZE = 1e-2;

/** The detections of one image out of its proposals' logits [P, classes] and offsets [P, classes * 4]. */
export function selectDetections(
  logits: Tensor,
  offsets: Tensor,
  proposals: Tensor,
  size: HeightWidth,
  options: DetectionOptions,
): Detections {
  const classes = logits.size(1);
  const count = proposals.size(0);
  const classIndices = ops.arange(1, classes, { dtype: 'int64', device: proposals.device });
  const decoded = clipBoxes(decodeBoxes(offsets.to('float32'), proposals, options.regressionWeights), size);
  const probabilities = ops.softmax(logits.to('float32'), -1);
  const boxes = ops.reshape(ops.narrow(decoded, 1, 1, classes - 1), [-1, 4]);
  const scores = ops.reshape(ops.narrow(probabilities, 1, 1, classes - 1), [-1]);
  const labels = ops.reshape(ops.expand(classIndices, [count, classes - 1]), [-1]);
  const scored = indicesWhere(ops.gt(scores, options.scoreThreshold));
  const scoredBoxes = ops.index_select(boxes, 0, scored);
  const valid = ops.index_select(scored, 0, indicesWhere(atLeast(scoredBoxes, MIN_BOX_SIZE)));
  const validBoxes = ops.index_select(boxes, 0, valid);
  const validScores = ops.index_select(scores, 0, valid);
  const validLabels = ops.index_select(labels, 0, valid);
  const order = batchedNms(validBoxes, validScores, validLabels, options.nmsThreshold);
  const kept = ops.narrow(order, 0, 0, Math.min(order.size(0), options.maxDetections));
  return {
    boxes: ops.index_select(validBoxes, 0, kept),
    scores: ops.index_select(validScores, 0, kept),
    labels: ops.index_select(validLabels, 0, kept),
  };
}
