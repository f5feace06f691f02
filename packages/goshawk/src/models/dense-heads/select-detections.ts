// From RetinaNet's maps to detections: the best anchors of every level, refined, and thinned out class by class.
import { batchedNms, ops, scope, type Tensor } from '@goshawk/torch';
import { bestOf } from '../best-of.js';
import { type BoxWeights, clipBoxes, decodeBoxes } from '../box-coder.js';
import { keptCount } from '../detection-limit.js';
import { indicesWhere } from '../sampling.js';
import type { Detections, HeightWidth, Scale } from '../structures.js';
import type { RetinaConventions } from './retina-conventions.js';
import type { RetinaPrediction } from './retina-head.js';

export interface SelectOptions {
  readonly conventions: RetinaConventions;
  readonly classes: number;
  /** Candidates of each level. */
  readonly preNmsTopN: number;
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  readonly maxDetections: number;
  /** Factors of the offsets. */
  readonly regressionWeights: BoxWeights;
}

/** Boxes with their classes: [K, 4], [K] float32, [K] int64 labels 1..C. */
interface Candidates {
  readonly boxes: Tensor;
  readonly scores: Tensor;
  readonly labels: Tensor;
}

/** Those of all levels of an image. */
export interface DenseCandidates extends Candidates {
  /** What the boxes are measured in. */
  readonly pixels: 'network' | 'image';
}

/** The best boxes of each level of image `image` of a batch, with scores above the threshold; they may cover one another. */
export function retinaCandidates(
  { logits, offsets }: RetinaPrediction,
  anchors: readonly Tensor[],
  image: { readonly index: number; readonly size: HeightWidth; readonly scale: Scale },
  options: Omit<SelectOptions, 'nmsThreshold' | 'maxDetections'>,
): DenseCandidates {
  const { conventions } = options;
  return scope(() => {
    const levels = anchors.map((own, level) =>
      scope(() => {
        const map = ops.select(ops.permute(logits[level]!, [0, 2, 3, 1]), 0, image.index);
        const deltas = ops.select(ops.permute(offsets[level]!, [0, 2, 3, 1]), 0, image.index);
        const select = conventions.candidates === 'pairs' ? bestPairs : bestAnchors;
        return select(map, ops.reshape(deltas, [-1, 4]), own, image.size, options);
      }),
    );
    let boxes = ops.cat(levels.map((level) => level.boxes));
    if (conventions.suppression === 'image') {
      const { x, y } = image.scale;
      boxes = ops.div(boxes, ops.cat([ops.new_full(boxes, [1], x), ops.new_full(boxes, [1], y)]).repeat([2]));
    }
    return {
      pixels: conventions.suppression,
      boxes,
      scores: ops.cat(levels.map((level) => level.scores)),
      labels: ops.cat(levels.map((level) => level.labels)),
    };
  });
}

/** The detections among the candidates of an image, best first. */
export function selectRetinaDetections(
  { pixels, boxes, scores, labels }: DenseCandidates,
  { conventions, nmsThreshold, maxDetections }: Pick<SelectOptions, 'conventions' | 'nmsThreshold' | 'maxDetections'>,
): Detections {
  return scope(() => {
    const inclusive = conventions.boxes === 'inclusive';
    const order = batchedNms(boxes, scores, labels, nmsThreshold, { plusOne: inclusive, suppressEqual: inclusive });
    const kept = ops.narrow(
      order,
      0,
      0,
      keptCount(ops.index_select(scores, 0, order), maxDetections, conventions.detectionLimit),
    );
    return {
      pixels,
      boxes: ops.index_select(boxes, 0, kept),
      scores: ops.index_select(scores, 0, kept),
      labels: ops.index_select(labels, 0, kept),
    };
  });
}

/** The best pairs of an anchor and a class above the threshold: torchvision's way. */
function bestPairs(
  map: Tensor,
  deltas: Tensor,
  anchors: Tensor,
  size: HeightWidth,
  options: Omit<SelectOptions, 'nmsThreshold' | 'maxDetections'>,
): Candidates {
  const { conventions, classes, scoreThreshold, preNmsTopN } = options;
  const columns = classes + (conventions.hasBackgroundLogit ? 1 : 0);
  const flat = ops.reshape(map, [-1]);
  // No pass over all of them for the sigmoid, which decides about those that are left.
  const passing = indicesWhere(ops.gt(flat, logitBelow(scoreThreshold)));
  // By the logits: sure ones have probabilities that are equal.
  const [best, at] = bestOf(ops.index_select(flat, 0, passing), Math.min(preNmsTopN, passing.size(0)));
  const probabilities = ops.sigmoid(best.to('float32'));
  const good = indicesWhere(ops.gt(probabilities, scoreThreshold));
  const top = ops.index_select(probabilities, 0, good);
  const pairs = ops.index_select(ops.index_select(passing, 0, at), 0, good);
  const chosen = ops.div(pairs, columns, { rounding_mode: 'floor' });
  const boxes = refine(deltas, anchors, chosen, size, options);
  const column = ops.remainder(pairs, columns);
  return ofClasses(boxes, top, column, conventions);
}

/** Below the logits of all probabilities above `threshold`, however coarse their numbers are: bfloat16 has eight bits. */
function logitBelow(threshold: number): number {
  const logit = Math.log(threshold / (1 - threshold));
  return logit - Math.max(1e-3, Math.abs(logit) / 64);
}

/** All classes above the threshold of the anchors whose best class is best: mmdetection's way. */
function bestAnchors(
  map: Tensor,
  deltas: Tensor,
  anchors: Tensor,
  size: HeightWidth,
  options: Omit<SelectOptions, 'nmsThreshold' | 'maxDetections'>,
): Candidates {
  const { conventions, classes, scoreThreshold, preNmsTopN } = options;
  const columns = classes + (conventions.hasBackgroundLogit ? 1 : 0);
  const all = ops.reshape(map, [-1, columns]);
  const [, best] = bestOf(ops.amax(all, { dim: 1 }), Math.min(preNmsTopN, all.size(0)));
  const scores = ops.sigmoid(ops.index_select(all, 0, best).to('float32'));
  const passing = ops.nonzero(ops.gt(scores, scoreThreshold));
  const [row, column] = ops.unbind(passing, { dim: 1 }) as [Tensor, Tensor];
  const boxes = ops.index_select(refine(deltas, anchors, best, size, options), 0, row);
  const own = ops.index(scores, [row, column]);
  return ofClasses(boxes, own, column, conventions);
}

/** Candidates from the columns of their logits. */
function ofClasses(
  boxes: Tensor,
  scores: Tensor,
  column: Tensor,
  { hasBackgroundLogit }: RetinaConventions,
): Candidates {
  if (!hasBackgroundLogit) return { boxes, scores, labels: ops.add(column, 1) };
  // The first logit stands for no class; training drives it down, an untrained model may still choose it.
  const real = indicesWhere(ops.gt(column, 0));
  return {
    boxes: ops.index_select(boxes, 0, real),
    scores: ops.index_select(scores, 0, real),
    labels: ops.index_select(column, 0, real),
  };
}

function refine(
  deltas: Tensor,
  anchors: Tensor,
  chosen: Tensor,
  size: HeightWidth,
  { conventions, regressionWeights }: Pick<SelectOptions, 'conventions' | 'regressionWeights'>,
): Tensor {
  const { boxes: convention, boundsShrinking } = conventions;
  const decoded = decodeBoxes(
    ops.index_select(deltas, 0, chosen).to('float32'),
    ops.index_select(anchors, 0, chosen),
    regressionWeights,
    { convention, boundsShrinking },
  );
  return clipBoxes(ops.select(decoded, 1, 0), size, convention);
}
