// Non-maximum suppression in a graph, of all images of a batch and all their classes at once, and the best of what it leaves.
import { InputError } from '@goshawk/core';
import type { BoxConvention, Conventions } from '../models/conventions.js';
import type { Graph, Operand, Value } from './onnx/graph.js';

/** The score of what is no candidate: below all others, and below {@link LEAST_SCORE}. */
export const NO_CANDIDATE = -1;
/** Softmax and sigmoid give at least 0. */
const LEAST_SCORE = -0.5;

export interface SuppressionRule {
  /** IoU above which the worse of two goes; [1]. */
  readonly threshold: Value;
  /** Inclusive boxes also go at exactly the threshold. */
  readonly convention: BoxConvention;
}

/**
 * A model's threshold as the float32 that a graph compares an overlap with. Inclusive boxes go by the nearest one, as their originals do;
 * for continuous ones the engine compares in double, so that an overlap of a float32 just above the threshold goes: the largest one that
 * is not above it says the same.
 * @param key of the config, for the error
 * @throws InputError where inclusive boxes are to go at any overlap, also none: ONNX has no number for that
 */
export function overlapThreshold(threshold: number, convention: BoxConvention, key: string): number {
  if (convention === 'inclusive' && threshold === 0)
    throw new InputError(
      'config-invalid',
      `model.${key}: 0 leaves one box by these conventions, and cannot be exported: give a threshold above 0`,
    );
  const value = Float32Array.of(threshold);
  // Positive numbers are in the order of their bits.
  if (convention === 'continuous' && value[0]! > threshold) new Int32Array(value.buffer)[0]!--;
  return value[0]!;
}

/**
 * [K, 3] int64: of each box that stays its row of `boxes`, class and column.
 * @param boxes [B, K, 4]
 * @param scores [B, C, K]; what is not above LEAST_SCORE takes no part
 */
function emitNms(graph: Graph, boxes: Value, scores: Value, { threshold, convention }: SuppressionRule): Value {
  const isInclusive = convention === 'inclusive';
  const ends = graph.floats(Float32Array.of(0, 0, 1, 1), [4]);
  return graph.node(
    'NonMaxSuppression',
    [
      isInclusive ? graph.add(boxes, ends) : boxes,
      scores,
      // Without a number of its own it would keep none.
      graph.length(scores, 2),
      isInclusive ? justBelow(graph, threshold) : threshold,
      graph.floats(Float32Array.of(LEAST_SCORE), [1]),
    ],
    {},
    'int64',
  );
}

/** The largest float32 below a positive one: what is above it is at least that one. */
function justBelow(graph: Graph, value: Value): Value {
  // value * (1 - 2^-24) lies between the two neighbours' middle and the lower one, so it rounds to that.
  return graph.mul(value, Math.fround(1 - 2 ** -24));
}

/** [N, K] scores of boxes of one group an image, NO_CANDIDATE where a better one covers a box. */
export function emitGroupSuppression(graph: Graph, boxes: Value, scores: Value, rule: SuppressionRule): Value {
  const kept = emitNms(graph, boxes, graph.unsqueeze(scores, 1), rule);
  const places = graph.concat([graph.slice(kept, 1, 0, 1), graph.slice(kept, 1, 2, 3)], 1);
  const none = graph.full(graph.shape(scores), NO_CANDIDATE);
  return graph.scatterAt(none, places, graph.gatherAt(scores, places));
}

/** Detections' places among the candidates, those of the first image first, best first, of equal scores the first candidate. */
export interface Kept {
  /** Each [D] int64: image, candidate, class from 0. */
  readonly images: Value;
  readonly candidates: Value;
  readonly classes: Value;
  /** [D] float32. */
  readonly scores: Value;
}

/**
 * @param boxes [N, K, 4], shared by the classes, or [N, K, C, 4], one for each
 * @param scores [N, K, C]; NO_CANDIDATE where there is none
 */
export function emitClassSuppression(
  graph: Graph,
  { boxes, scores, ownBoxes }: { readonly boxes: Value; readonly scores: Value; readonly ownBoxes: boolean },
  rule: SuppressionRule,
  { maxDetections, limit }: { readonly maxDetections: Value; readonly limit: Conventions['detectionLimit'] },
): Kept {
  const byClass = graph.transpose(scores, [0, 2, 1]);
  const places = ownBoxes ? placesOfOwn(graph, boxes, byClass, rule) : placesOfShared(graph, boxes, byClass, rule);
  const none = graph.full(graph.shape(scores), NO_CANDIDATE);
  const left = graph.reshape(graph.scatterAt(none, places, graph.gatherAt(scores, places)), [0, -1]);
  const best = graph.largest(left, limit === 'count' ? maxDetections : graph.length(left, 1), 1);
  const isKept = graph.greater(best.values, LEAST_SCORE);
  const isWithin =
    limit === 'count'
      ? isKept
      : graph.and(isKept, graph.atLeast(best.values, scoreOfLast(graph, best.values, maxDetections)));
  const found = graph.places(isWithin);
  const flat = graph.gatherAt(best.places, found);
  const classes = graph.squeeze(graph.length(scores, 2), 0);
  return {
    images: graph.select(found, 1, 0),
    candidates: graph.div(flat, classes),
    classes: graph.node('Mod', [flat, classes]),
    scores: graph.gatherAt(best.values, found),
  };
}

/** [N, 1]: the score that a detection must reach where as many as reach the last one's are kept. */
function scoreOfLast(graph: Graph, sorted: Value, maxDetections: Value): Value {
  const first = graph.slice(sorted, 1, 0, maxDetections);
  return graph.node('ReduceMin', [first], { axes: { ints: [1] }, keepdims: { int: 1 } });
}

/** [K, 3] places in [N, K, C]. */
function placesOfShared(graph: Graph, boxes: Value, byClass: Value, rule: SuppressionRule): Value {
  return graph.gather(emitNms(graph, boxes, byClass, rule), graph.integers([0, 2, 1]), 1);
}

/** Every class of every image as an image of its own. */
function placesOfOwn(graph: Graph, boxes: Value, byClass: Value, rule: SuppressionRule): Value {
  const classes = graph.squeeze(graph.length(byClass, 1), 0);
  const [height, all] = [graph.length(byClass, 2), graph.integers([-1])];
  const ofClasses = graph.transpose(boxes, [0, 2, 1, 3]);
  const rows = graph.reshape(ofClasses, graph.concat([all, height, graph.integers([4])], 0));
  const scores = graph.reshape(byClass, graph.concat([all, graph.integers([1]), height], 0));
  const kept = emitNms(graph, rows, scores, rule);
  const row = graph.slice(kept, 1, 0, 1);
  return graph.concat([graph.div(row, classes), graph.slice(kept, 1, 2, 3), graph.node('Mod', [row, classes])], 1);
}

/** `value` where it is above the threshold, else NO_CANDIDATE. */
export function emitAbove(graph: Graph, scores: Value, threshold: Operand): Value {
  return graph.where(graph.greater(scores, threshold), scores, NO_CANDIDATE);
}
