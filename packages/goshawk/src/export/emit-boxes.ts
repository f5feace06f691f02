// Boxes in a graph: models/box-coder.ts and models/anchors.ts as nodes.
import { type AnchorOptions, levelCell } from '../models/anchors.js';
import { type BoxWeights, type DecodeOptions, LARGEST_LOG_SCALE } from '../models/box-coder.js';
import type { BoxConvention } from '../models/conventions.js';
import type { Graph, Value } from './onnx/graph.js';

/** The last axis from `start` on. */
function columns(graph: Graph, value: Value, start: number, count: number): Value {
  return graph.slice(value, -1, start, start + count);
}

/** Width and height [..., 2] of [..., 4] boxes. */
export function sidesOf(graph: Graph, boxes: Value, convention: BoxConvention): Value {
  const difference = graph.sub(columns(graph, boxes, 2, 2), columns(graph, boxes, 0, 2));
  return convention === 'inclusive' ? graph.add(difference, 1) : difference;
}

/** [..., 4] offsets from references of the same or a broadcast shape -> [..., 4] boxes. */
export function emitDecoding(
  graph: Graph,
  offsets: Value,
  references: Value,
  [x, y, width, height]: BoxWeights,
  { convention = 'continuous', boundsShrinking = false }: DecodeOptions,
): Value {
  const divided = (values: Value, first: number, second: number): Value => {
    if (first === 1 && second === 1) return values;
    return graph.div(values, first === second ? first : graph.floats(Float32Array.of(first, second), [2]));
  };
  const size = sidesOf(graph, references, convention);
  const from = graph.add(columns(graph, references, 0, 2), graph.mul(size, 0.5));
  const moves = divided(columns(graph, offsets, 0, 2), x, y);
  const growths = divided(columns(graph, offsets, 2, 2), width, height);
  const largest = graph.float(LARGEST_LOG_SCALE);
  const bounded = graph.clip(growths, boundsShrinking ? graph.float(-LARGEST_LOG_SCALE) : undefined, largest);
  const centre = graph.add(graph.mul(moves, size), from);
  const half = graph.mul(graph.mul(graph.node('Exp', [bounded]), size), 0.5);
  const end = graph.add(centre, half);
  return graph.concat([graph.sub(centre, half), convention === 'inclusive' ? graph.sub(end, 1) : end], -1);
}

/** Boxes cut to images of `sizes` (width, height, width, height), inclusive ones to their last pixels. */
export function emitClipping(graph: Graph, boxes: Value, sizes: Value, convention: BoxConvention): Value {
  const border = convention === 'inclusive' ? graph.sub(sizes, 1) : sizes;
  return graph.min(graph.max(boxes, 0), border);
}

/** [..., ] bool: both sides of [..., 4] boxes are at least `smallest`, a number or a value of [..., 1]. */
export function emitAtLeast(graph: Graph, boxes: Value, smallest: Value | number, convention: BoxConvention): Value {
  const sides = sidesOf(graph, boxes, convention);
  const shorter = graph.node('ReduceMin', [sides], { axes: { ints: [-1] }, keepdims: { int: 0 } });
  return graph.atLeast(shorter, smallest);
}

/**
 * [H * W * A, 4] anchors of a level.
 * @param map [N, C, H, W] of the level
 * @param pixels [N, 3, H', W']
 */
export function emitAnchors(graph: Graph, options: AnchorOptions, level: number, map: Value, pixels: Value): Value {
  const stride = options.strides?.[level];
  const corners = levelCell(options, level, stride ?? 0);
  const cell = graph.floats(corners, [1, corners.length / 4, 4], 'anchors');
  const [height, width] = [graph.length(map, 2), graph.length(map, 3)];
  const steps = (count: Value, axis: number): Value => {
    const places = graph.cast(graph.range(count), 'float32');
    if (stride !== undefined) return graph.mul(places, stride);
    return graph.mul(places, graph.cast(graph.div(graph.length(pixels, axis), count), 'float32'));
  };
  const grid = graph.concat([height, width], 0);
  const across = graph.expand(graph.unsqueeze(steps(width, 3), 0), grid);
  const down = graph.expand(graph.unsqueeze(steps(height, 2), 1), grid);
  const both = graph.concat(
    [across, down].map((each) => graph.reshape(each, [-1, 1, 1])),
    2,
  );
  return graph.reshape(graph.add(graph.concat([both, both], 2), cell), [-1, 4]);
}

/** Rows `index` [N, K] of each image's [N, R, ...] values. */
export function emitRowsAt(graph: Graph, values: Value, index: Value): Value {
  return graph.node('GatherND', [values, graph.unsqueeze(index, 2)], { batch_dims: { int: 1 } });
}

/** [N, A * K, H, W] -> [N, H * W * A, K]. */
export function emitAnchorsLast(graph: Graph, map: Value, perAnchor: number): Value {
  const last = graph.transpose(map, [0, 2, 3, 1]);
  // -1 beside a 0 is worked out from what is left.
  return graph.reshape(last, [0, -1, perAnchor]);
}
