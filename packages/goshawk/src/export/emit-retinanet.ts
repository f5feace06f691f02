// RetinaNet as a graph: detectors/retinanet.ts and dense-heads/select-detections.ts in nodes.
import type { RetinanetConfig } from '../config/index.js';
import { RETINA_CONVENTIONS } from '../models/dense-heads/retina-conventions.js';
import type { RetinaNet } from '../models/index.js';
import { emitAnchors, emitAnchorsLast, emitClipping, emitDecoding, emitRowsAt } from './emit-boxes.js';
import { emitAbove, emitClassSuppression, NO_CANDIDATE } from './emit-suppression.js';
import { emitLimits, type FlatDetections, type Limits, recordPictures, type Scene } from './export-scene.js';
import type { Graph, Value } from './onnx/graph.js';

export function emitRetinanet(
  scene: Scene,
  model: RetinaNet,
  config: RetinanetConfig,
  classes: number,
): FlatDetections {
  const { graph, pixels, frames } = scene;
  const conventions = RETINA_CONVENTIONS[config.conventions];
  const { boxes: convention, boundsShrinking, suppression, candidates } = conventions;
  const limits = emitLimits(graph, config.head, { convention, key: 'head' });
  const maps = recordPictures(
    scene,
    (input) => {
      const { logits, offsets } = model.head.forward(model.backbone.forward(input));
      return [...logits, ...offsets];
    },
    { order: 'channels last' },
  );
  const levels = maps.length / 2;
  const ofLevels = Array.from({ length: levels }, (_, level) => {
    const select = candidates === 'pairs' ? bestPairs : bestAnchors;
    const columns = classes + (conventions.hasBackgroundLogit ? 1 : 0);
    const { anchors, scores } = select(graph, maps[level]!, { columns, preNmsTopN: config.head.preNmsTopN, limits });
    const offsets = emitRowsAt(graph, emitAnchorsLast(graph, maps[levels + level]!, 4), anchors);
    const references = graph.gather(emitAnchors(graph, model.anchors.options, level, maps[level]!, pixels), anchors);
    const coding = { convention, boundsShrinking };
    const decoded = emitDecoding(graph, offsets, references, config.head.regressionWeights, coding);
    return { boxes: emitClipping(graph, decoded, frames.sizes, convention), scores };
  });
  const clipped = graph.concat(
    ofLevels.map((level) => level.boxes),
    1,
  );
  const boxes = suppression === 'image' ? graph.div(clipped, frames.scales) : clipped;
  const all = graph.concat(
    ofLevels.map((level) => level.scores),
    1,
  );
  const scores = conventions.hasBackgroundLogit ? graph.slice(all, 2, 1, classes + 1) : all;
  const kept = emitClassSuppression(
    graph,
    { boxes, scores, ownBoxes: false },
    { threshold: limits.nmsThreshold, convention },
    { maxDetections: limits.maxDetections, limit: conventions.detectionLimit },
  );
  const places = graph.concat([graph.unsqueeze(kept.images, 1), graph.unsqueeze(kept.candidates, 1)], 1);
  return {
    measuredIn: suppression,
    boxes: graph.gatherAt(boxes, places),
    scores: kept.scores,
    classes: graph.add(kept.classes, 1),
    images: kept.images,
  };
}

/** [N, K] anchors of a level, and [N, K, columns] scores; NO_CANDIDATE where a column is none. */
interface Chosen {
  readonly anchors: Value;
  readonly scores: Value;
}

interface ChoiceOptions {
  /** Logits of an anchor. */
  readonly columns: number;
  readonly preNmsTopN: number;
  readonly limits: Limits;
}

/** torchvision's way: the best pairs of an anchor and a class, each a row with one column that counts. */
function bestPairs(graph: Graph, map: Value, { columns, preNmsTopN, limits }: ChoiceOptions): Chosen {
  const flat = graph.reshape(graph.transpose(map, [0, 2, 3, 1]), [0, -1]);
  const { values, places } = graph.largest(flat, preNmsTopN, 1);
  const scores = emitAbove(graph, graph.probability(values), limits.scoreThreshold);
  const column = graph.node('Mod', [places, graph.integers([columns], [])]);
  const isOwn = graph.equal(
    graph.unsqueeze(column, 2),
    graph.integers(Array.from({ length: columns }, (_, number) => number)),
  );
  return {
    anchors: graph.div(places, columns),
    scores: graph.where(isOwn, graph.unsqueeze(scores, 2), NO_CANDIDATE),
  };
}

/** mmdetection's way: all classes of the anchors whose best class is best. */
function bestAnchors(graph: Graph, map: Value, { columns, preNmsTopN, limits }: ChoiceOptions): Chosen {
  const all = emitAnchorsLast(graph, map, columns);
  const best = graph.node('ReduceMax', [all], { axes: { ints: [2] }, keepdims: { int: 0 } });
  const { places } = graph.largest(best, preNmsTopN, 1);
  const scores = graph.probability(emitRowsAt(graph, all, places));
  return { anchors: places, scores: emitAbove(graph, scores, limits.scoreThreshold) };
}
