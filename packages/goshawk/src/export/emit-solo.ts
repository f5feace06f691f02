// SOLOv2 and decoupled SOLO as a graph: detectors/solo.ts and mask-heads/ in nodes, of all images of a batch at once.
import { ops } from '@goshawk/torch';
import type { DecoupledSoloConfig, SoloConfig, Solov2Config } from '../config/index.js';
import { axisNumbers } from '../models/detectors/solo.js';
import type { DecoupledSolo, Solov2 } from '../models/index.js';
import { gridStrides, resized } from '../models/mask-heads/grid-features.js';
import { LEAST_REMAINDER } from '../models/mask-heads/matrix-nms.js';
import { NO_CANDIDATE } from './emit-suppression.js';
import { type FlatDetections, recordPictures, type Scene } from './export-scene.js';
import type { Graph, Value } from './onnx/graph.js';

export function emitSolov2(scene: Scene, model: Solov2, config: Solov2Config, classes: number): FlatDetections {
  const { graph } = scene;
  const maps = recordPictures(
    scene,
    (input) => {
      const features = model.backbone.forward(input);
      const { logits, kernels } = model.head.forward(features);
      return [model.maskFeatures.forward(features), ...logits, ...kernels];
    },
    { order: 'channels first' },
  );
  const levels = config.head.grids.length;
  const [features] = maps;
  const kernels = joined(graph, maps.slice(1 + levels), (map) => map);
  const flat = flatCells(graph, features!);
  return emitSelection(scene, {
    head: config.head,
    strides: model.backbone.strides,
    classes,
    logits: maps.slice(1, 1 + levels),
    size: graph.slice(graph.shape(features!), 0, 2, 4),
    masksOf: (places) => kernelMasks(graph, flat, kernels, places),
  });
}

export function emitDecoupledSolo(
  scene: Scene,
  model: DecoupledSolo,
  config: DecoupledSoloConfig,
  classes: number,
): FlatDetections {
  const { graph } = scene;
  const { grids } = config.head;
  const maps = recordPictures(
    scene,
    (input) => {
      const { logits, columns, rows } = model.head.forward(model.backbone.forward(input));
      const finest = columns[0]!;
      const all = (levels: typeof columns) =>
        ops.cat(
          levels.map((map) => resized(ops.sigmoid(map), [finest.size(2), finest.size(3)])),
          { dim: 1 },
        );
      return [...logits, all(columns), all(rows)];
    },
    { order: 'channels first' },
  );
  const [columns, rows] = maps.slice(grids.length) as [Value, Value];
  const axes = axisNumbers(grids).map((numbers) => graph.integers(numbers));
  const along = (map: Value, numbers: Value, places: Value): Value => {
    const [image, cell] = [graph.slice(places, 1, 0, 1), graph.slice(places, 1, 1, 2)];
    return graph.gatherAt(flatCells(graph, map), graph.concat([image, graph.gather(numbers, cell)], 1));
  };
  return emitSelection(scene, {
    head: config.head,
    strides: model.backbone.strides,
    classes,
    logits: maps.slice(0, grids.length),
    size: graph.slice(graph.shape(columns), 0, 2, 4),
    masksOf: (places) => graph.mul(along(columns, axes[0]!, places), along(rows, axes[1]!, places)),
  });
}

interface SoloMaps {
  readonly head: SoloConfig['head'];
  /** Of the backbone. */
  readonly strides: readonly number[];
  readonly classes: number;
  /** [N, C, S, S] a level. */
  readonly logits: readonly Value[];
  /** [2] int64: height and width of a mask. */
  readonly size: Value;
  /** [R, P] probabilities of the masks of cells [R, 2] (image, cell of all levels). */
  readonly masksOf: (places: Value) => Value;
}

/** mask-heads/select-masks.ts. */
function emitSelection(
  { graph }: Scene,
  { head, strides: levelStrides, classes, logits, size, masksOf }: SoloMaps,
): FlatDetections {
  const scores = joined(graph, logits, (map) => cellScores(graph, map));
  const least = graph.setting('score_threshold', 'float32', head.scoreThreshold);
  const most = graph.setting('max_detections', 'int64', head.maxDetections);
  // Cells [R, 2] (image, cell) whose best class is good enough, and one more at the end, so that there always is one.
  const best = graph.node('ReduceMax', [scores], { axes: { ints: [2] }, keepdims: { int: 0 } });
  const hopeful = graph.concat([graph.places(graph.greater(best, least)), graph.integers([0, 0], [1, 2])], 0);
  const masks = masksOf(hopeful);
  const isInside = graph.cast(graph.greater(masks, head.maskThreshold), 'float32');
  const areas = sum(graph, isInside, 1);
  const certainty = graph.div(sum(graph, graph.mul(masks, isInside), 1), areas);
  const strides = graph.floats(
    Float32Array.from(
      gridStrides(levelStrides).flatMap((stride, level) => Array(head.grids[level]! ** 2).fill(stride)),
    ),
    [head.grids.reduce((cells, side) => cells + side * side, 0)],
  );
  const isMask = graph.greater(areas, graph.gather(strides, graph.select(hopeful, 1, 1)));
  const own = graph.gatherAt(scores, hopeful);
  const isCandidate = graph.and(graph.greater(own, least), graph.unsqueeze(isMask, 1));
  const rescored = graph.where(isCandidate, graph.mul(own, graph.unsqueeze(certainty, 1)), NO_CANDIDATE);
  // The filler goes: its cell may be among the others.
  const places = graph.slice(hopeful, 0, 0, -1);
  const none = graph.full(graph.shape(scores), NO_CANDIDATE);
  const all = graph.reshape(graph.scatterAt(none, places, graph.slice(rescored, 0, 0, -1)), [0, -1]);
  const count = graph.max(largestCount(graph, graph.greater(all, NO_CANDIDATE / 2)), graph.integers([1]));
  const top = graph.largest(all, graph.min(count, graph.integers([head.preNmsTopN])), 1);
  const isThere = graph.greater(top.values, NO_CANDIDATE / 2);
  const cells = graph.div(top.places, classes);
  const labels = graph.node('Mod', [top.places, graph.integers([classes], [])]);
  // The row of each cell among the masks; what is no candidate has the filler's.
  const rows = graph.range(graph.length(places, 0));
  const filler = graph.expand(graph.length(places, 0), graph.shape(best));
  const rowOf = graph.scatterAt(filler, places, rows);
  const chosen = graph.where(isThere, graph.gatherElements(rowOf, cells, 1), graph.length(places, 0));
  const binary = graph.mul(graph.gather(isInside, chosen), graph.cast(graph.unsqueeze(isThere, 2), 'float32'));
  const factors = matrixNmsFactors(graph, binary, labels, head);
  const lowered = graph.where(isThere, graph.mul(top.values, factors), NO_CANDIDATE);
  const good = graph.where(graph.atLeast(lowered, head.minScore), lowered, NO_CANDIDATE);
  const final = graph.largest(good, most, 1);
  const found = graph.places(graph.greater(final.values, NO_CANDIDATE / 2));
  const images = graph.select(found, 1, 0);
  const order = graph.concat([graph.unsqueeze(images, 1), graph.unsqueeze(graph.gatherAt(final.places, found), 1)], 1);
  const kept = graph.gatherAt(chosen, order);
  const shape = graph.concat([graph.length(kept, 0), size], 0);
  const [stride = 1] = levelStrides;
  return {
    measuredIn: 'network',
    boxes: boxesAround(graph, graph.reshape(graph.gather(isInside, kept), shape), stride),
    scores: graph.gatherAt(final.values, found),
    classes: graph.add(graph.gatherAt(labels, order), 1),
    images,
    masks: graph.reshape(graph.gather(masks, kept), shape),
    maskStride: stride,
  };
}

/** [N, C, S, S] of every level -> [N, cells of all levels, C]. */
function joined(graph: Graph, maps: readonly Value[], of: (map: Value) => Value): Value {
  return graph.concat(
    maps.map((map) => graph.transpose(flatCells(graph, of(map)), [0, 2, 1])),
    1,
  );
}

/** Points NMS: of the cells around one object the likeliest stay (select-masks.ts, cellScores). */
function cellScores(graph: Graph, logits: Value): Value {
  const scores = graph.probability(logits);
  // Windows that end at each cell: the padding stands before alone.
  const best = graph.node('MaxPool', [scores], {
    kernel_shape: { ints: [2, 2] },
    strides: { ints: [1, 1] },
    pads: { ints: [1, 1, 0, 0] },
  });
  return graph.mul(scores, graph.cast(graph.equal(best, scores), 'float32'));
}

/** [N, E, H, W] -> [N, E, H * W]. */
function flatCells(graph: Graph, map: Value): Value {
  return graph.reshape(map, graph.concat([graph.slice(graph.shape(map), 0, 0, 2), graph.integers([-1])], 0));
}

/**
 * [R, P] probabilities. Every kernel is applied to every image and its own is kept: of a batch of one nothing is computed in vain.
 * @param features [N, E, P]; `kernels` [N, cells, E]; `places` [R, 2]
 */
function kernelMasks(graph: Graph, features: Value, kernels: Value, places: Value): Value {
  const everywhere = graph.node('MatMul', [graph.gatherAt(kernels, places), features]);
  const rows = graph.range(graph.length(places, 0));
  const own = graph.concat([graph.slice(places, 1, 0, 1), graph.unsqueeze(rows, 1)], 1);
  return graph.node('Sigmoid', [graph.gatherAt(everywhere, own)]);
}

function sum(graph: Graph, value: Value, axis: number): Value {
  return graph.node('ReduceSum', [value, graph.integers([axis])], { keepdims: { int: 0 } });
}

/** [1] int64: the most flags of an image, of [N, K]. */
function largestCount(graph: Graph, flags: Value): Value {
  const counts = sum(graph, graph.cast(flags, 'int64'), 1);
  return graph.node('ReduceMax', [counts], { keepdims: { int: 1 } });
}

/** [N, K] factors of [N, K, P] masks of 0 and 1, best first (matrix-nms.ts). */
function matrixNmsFactors(
  graph: Graph,
  masks: Value,
  labels: Value,
  { nms, nmsSigma }: Pick<SoloConfig['head'], 'nms' | 'nmsSigma'>,
): Value {
  const areas = sum(graph, masks, 2);
  const shared = graph.node('MatMul', [masks, graph.transpose(masks, [0, 2, 1])]);
  const union = graph.sub(graph.add(graph.unsqueeze(areas, 1), graph.unsqueeze(areas, 2)), shared);
  const isRival = graph.equal(graph.unsqueeze(labels, 1), graph.unsqueeze(labels, 2));
  // Without an area there is nothing to share: 0 / 0 is no overlap.
  const overlaps = graph.where(graph.and(isRival, graph.greater(shared, 0)), graph.div(shared, graph.max(union, 1)), 0);
  const ious = graph.node('Trilu', [overlaps, graph.integers([1], [])], { upper: { int: 1 } });
  const losses = graph.unsqueeze(graph.node('ReduceMax', [ious], { axes: { ints: [1] }, keepdims: { int: 0 } }), 2);
  const square = (value: Value): Value => graph.mul(value, value);
  const ratios =
    nms === 'gaussian'
      ? graph.node('Exp', [graph.mul(graph.sub(square(losses), square(ious)), nmsSigma)])
      : graph.div(graph.sub(1, ious), graph.max(graph.sub(1, losses), LEAST_REMAINDER));
  return graph.node('ReduceMin', [ratios], { axes: { ints: [1] }, keepdims: { int: 0 } });
}

/** [D, 4] network pixels around [D, h, w] masks of 0 and 1. */
function boxesAround(graph: Graph, masks: Value, stride: number): Value {
  const extent = (axis: 1 | 2): readonly [Value, Value] => {
    const any = graph.node('ReduceMax', [masks], { axes: { ints: [axis] }, keepdims: { int: 0 } });
    const at = (selectLast: 0 | 1): Value =>
      graph.cast(
        graph.node(
          'ArgMax',
          [any],
          { axis: { int: 1 }, keepdims: { int: 0 }, select_last_index: { int: selectLast } },
          'int64',
        ),
        'float32',
      );
    return [at(0), graph.add(at(1), 1)];
  };
  const [x1, x2] = extent(1);
  const [y1, y2] = extent(2);
  const sides = [x1, y1, x2, y2].map((side) => graph.unsqueeze(side, 1));
  return graph.mul(graph.concat(sides, 1), stride);
}
