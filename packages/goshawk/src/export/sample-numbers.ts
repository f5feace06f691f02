// Numbers on the way through a network, some of every part of it, in a graph and in the engine: by them a runtime is compared whatever
// it finds, and also where it finds nothing.
import { noGrad, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import type { ImageBatch } from '../models/index.js';
import type { Graph, Value } from './onnx/graph.js';

/** What a part of the network gives for the first picture of a batch. */
export interface Sample {
  /** [K] float32 each. */
  readonly values: readonly Value[];
  /** Each [K]; what the engine gives there. */
  readonly inEngine: (batch: ImageBatch) => readonly Tensor[];
}

/** So many of each map's channels, or of a row's columns. */
const PICKED = 8;

/** How the rest of the graph reads a map: a runtime that keeps maps in another order than either brings it into one order alone. */
export type MapOrder = 'channels first' | 'channels last';

/** [PICKED] of a map of [N, C, H, W]: channels of its middle cell. */
export function sampleMap(graph: Graph, map: Value, order: MapOrder): Value {
  const [read, rows] = order === 'channels last' ? [graph.transpose(map, [0, 2, 3, 1]), 1] : [map, 2];
  const middle = (axis: number): Value => graph.div(graph.length(read, axis), 2);
  const row = graph.gather(read, middle(rows), rows);
  const cell = graph.gather(row, middle(rows + 1), rows + 1);
  return sampleRow(graph, graph.select(cell, 0, 0));
}

export function sampleMapInEngine(map: Tensor): Tensor {
  const [height, width] = [map.size(2), map.size(3)];
  const row = ops.narrow(map, 2, Math.floor(height / 2), 1);
  const cell = ops.narrow(row, 3, Math.floor(width / 2), 1);
  return sampleRowInEngine(ops.select(cell, 0, 0));
}

/** [PICKED] of any number of values, at even steps. */
export function sampleRow(graph: Graph, values: Value): Value {
  const flat = graph.reshape(values, [-1]);
  const steps = graph.integers(Array.from({ length: PICKED }, (_, place) => place));
  return graph.gather(flat, graph.div(graph.mul(steps, graph.length(flat, 0)), PICKED));
}

export function sampleRowInEngine(values: Tensor): Tensor {
  const flat = ops.reshape(values, [-1]);
  const places = BigInt64Array.from({ length: PICKED }, (_, i) => BigInt(Math.floor((i * flat.size(0)) / PICKED)));
  return ops.index_select(flat, 0, tensor(places));
}

/** A list for each value, in their order. */
export function samplesOf(samples: readonly Sample[], batch: ImageBatch): number[][] {
  return noGrad(() =>
    scope(() =>
      samples.flatMap(({ inEngine }) =>
        // Seven digits are a float32's.
        inEngine(batch).map((picked) => Array.from(picked.toFloat32Array(), (value) => Number(value.toPrecision(7)))),
      ),
    ),
  );
}
