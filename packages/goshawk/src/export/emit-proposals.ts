// A region proposal network as a graph: proposals/region-proposal-network.ts in nodes.
import type { RpnConfig } from '../config/index.js';
import type { Conventions } from '../models/conventions.js';
import { ANCHOR_WEIGHTS } from '../models/proposals/anchor-loss.js';
import type { RegionProposalNetwork } from '../models/proposals/region-proposal-network.js';
import { emitAnchors, emitAnchorsLast, emitAtLeast, emitClipping, emitDecoding, emitRowsAt } from './emit-boxes.js';
import { emitGroupSuppression, NO_CANDIDATE, overlapThreshold } from './emit-suppression.js';
import type { Scene } from './export-scene.js';
import type { Graph, Value } from './onnx/graph.js';

/** Of all images, best first. */
export interface ProposalValues {
  /** [N, P, 4] xyxy, network pixels. */
  readonly boxes: Value;
  /** [N, P] objectness; NO_CANDIDATE where there is none. */
  readonly scores: Value;
}

/** @param maps logits of the levels, then offsets */
export function emitProposals(
  { graph, pixels, frames }: Scene,
  rpn: RegionProposalNetwork,
  maps: readonly Value[],
  config: RpnConfig,
  conventions: Conventions,
): ProposalValues {
  const { boxes: convention, boundsShrinking, proposalBorder } = conventions;
  const levels = maps.length / 2;
  const padded = graph.cast(graph.gather(graph.shape(pixels), graph.integers([3, 2, 3, 2])), 'float32');
  const border = proposalBorder === 'image' ? frames.sizes : padded;
  const ofLevels = Array.from({ length: levels }, (_, level) => {
    const logits = graph.reshape(graph.transpose(objectness(graph, maps[level]!, config), [0, 2, 3, 1]), [0, -1]);
    const { values, places } = graph.largest(logits, config.preNmsTopN.test, 1);
    const offsets = emitRowsAt(graph, emitAnchorsLast(graph, maps[levels + level]!, 4), places);
    const anchors = emitAnchors(graph, rpn.anchors.options, level, maps[level]!, pixels);
    const coding = { convention, boundsShrinking };
    const decoded = emitDecoding(graph, offsets, graph.gather(anchors, places), ANCHOR_WEIGHTS, coding);
    const boxes = emitClipping(graph, decoded, border, convention);
    const scores = graph.probability(values);
    const isValid = graph.and(
      emitLargeEnough(graph, boxes, border, { frames, config, conventions }),
      graph.atLeast(scores, config.scoreThreshold),
    );
    const threshold = graph.floats(
      Float32Array.of(overlapThreshold(config.nmsThreshold, convention, 'rpn.nmsThreshold')),
      [1],
    );
    const candidates = graph.where(isValid, scores, NO_CANDIDATE);
    const kept = emitGroupSuppression(graph, boxes, candidates, { threshold, convention });
    const count = config.levelPostNmsTopN?.test;
    if (count === undefined) return { boxes, scores: kept };
    const isSorted =
      conventions.levelProposals === 'best'
        ? undefined
        : graph.greater(graph.length(logits, 1), graph.integers([config.preNmsTopN.test]));
    return firstOfLevel(graph, { boxes, scores: kept }, { count, isSorted, anchors: places });
  });
  const boxes = graph.concat(
    ofLevels.map((level) => level.boxes),
    1,
  );
  const scores = graph.concat(
    ofLevels.map((level) => level.scores),
    1,
  );
  const best = graph.largest(scores, config.postNmsTopN.test, 1);
  return { boxes: emitRowsAt(graph, boxes, best.places), scores: best.values };
}

/** [N, A, H, W] logits; a softmax's two of each anchor, background first, as the difference that stands for both. */
function objectness(graph: Graph, map: Value, { activation }: RpnConfig): Value {
  if (activation !== 'softmax') return map;
  const [background, object] = graph.nodes('Split', [map], ['float32', 'float32'], { axis: { int: 1 } });
  return graph.sub(object!, background!);
}

function emitLargeEnough(
  graph: Graph,
  boxes: Value,
  border: Value,
  {
    frames,
    config,
    conventions,
  }: { readonly frames: Scene['frames']; readonly config: RpnConfig; readonly conventions: Conventions },
): Value {
  if (conventions.proposalSize === 'network') return emitAtLeast(graph, boxes, config.minSize, conventions.boxes);
  // Detectron's filter: the size is meant in image pixels, and the centre lies inside.
  const start = graph.slice(boxes, -1, 0, 2);
  const sides = graph.add(graph.sub(graph.slice(boxes, -1, 2, 4), start), 1);
  const inside = graph.less(graph.add(start, graph.div(sides, 2)), graph.slice(border, -1, 0, 2));
  const isInside = graph.and(graph.cast(graph.select(inside, 2, 0), 'bool'), graph.select(inside, 2, 1));
  const smallest = graph.squeeze(graph.mul(graph.slice(frames.scales, -1, 0, 1), config.minSize), 2);
  return graph.and(emitAtLeast(graph, boxes, smallest, 'inclusive'), isInside);
}

/**
 * At most `count` of a level's proposals: the best, or where `isSorted` says no, the first in the order of their anchors.
 * @param order.anchors [N, K] number of each one's anchor
 */
function firstOfLevel(
  graph: Graph,
  { boxes, scores }: ProposalValues,
  order: { readonly count: number; readonly isSorted: Value | undefined; readonly anchors: Value },
): ProposalValues {
  const isThere = graph.greater(scores, NO_CANDIDATE);
  const inOrder = graph.where(isThere, graph.mul(graph.cast(order.anchors, 'float32'), -1), -Infinity);
  const ranks = order.isSorted ? graph.where(order.isSorted, scores, inOrder) : scores;
  const first = graph.largest(ranks, order.count, 1).places;
  // Back in their order: of equal scores the first is better.
  const places = graph.node('Neg', [graph.largest(graph.node('Neg', [first]), order.count, 1).values]);
  return { boxes: emitRowsAt(graph, boxes, places), scores: graph.gatherElements(scores, places, 1) };
}
