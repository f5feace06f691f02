// What the parts of an exported detector share: the graph, the pictures that enter it, and how they are measured.
import { type Tensor, zeros } from '@goshawk/torch';
import type { BoxConvention } from '../models/conventions.js';
import { overlapThreshold } from './emit-suppression.js';
import type { Graph, Value } from './onnx/graph.js';
import { type Examples, recordNetwork } from './record-network.js';
import { type MapOrder, type Sample, sampleMap, sampleMapInEngine } from './sample-numbers.js';

/** What an image is measured by, against [N, R, 4] boxes; each [N, 1, 4] float32. */
export interface FrameValues {
  /** Width, height, width, height without padding, network pixels. */
  readonly sizes: Value;
  /** The same of the image itself, image pixels. */
  readonly originals: Value;
  /** Factors along x, y, x, y. */
  readonly scales: Value;
}

export interface Scene {
  readonly graph: Graph;
  /** [N, 3, H, W] float32. */
  readonly pixels: Value;
  readonly frames: FrameValues;
  /** Sides are padded to multiples of this. */
  readonly padMultiple: number;
  readonly names: ReadonlyMap<Tensor, string>;
  /** Grows with the graph. */
  readonly samples: Sample[];
}

/** What whoever runs the file may set; each [1]. */
export interface Limits {
  readonly scoreThreshold: Value;
  readonly nmsThreshold: Value;
  readonly maxDetections: Value;
}

export function emitLimits(
  graph: Graph,
  head: Readonly<Record<keyof Limits, number>>,
  { convention, key }: { readonly convention: BoxConvention; readonly key: 'head' | 'boxHead' },
): Limits {
  return {
    scoreThreshold: graph.setting('score_threshold', 'float32', head.scoreThreshold),
    nmsThreshold: graph.setting(
      'nms_threshold',
      'float32',
      overlapThreshold(head.nmsThreshold, convention, `${key}.nmsThreshold`),
    ),
    maxDetections: graph.setting('max_detections', 'int64', head.maxDetections),
  };
}

/** The inputs of a graph; those that nothing reads are not among them. */
export function openScene(graph: Graph, padMultiple: number, names: ReadonlyMap<Tensor, string>): Scene {
  const images = graph.input('images', 'float32', ['pictures', 'height', 'width', 3]);
  const made = new Map<string, Value>();
  const pair = (name: string): Value => {
    const known = made.get(name);
    if (known) return known;
    const both = graph.input(name, 'float32', ['pictures', 2]);
    const twice = graph.unsqueeze(graph.concat([both, both], 1), 1);
    made.set(name, twice);
    return twice;
  };
  return {
    graph,
    pixels: graph.transpose(images, [0, 3, 1, 2]),
    padMultiple,
    names,
    samples: [],
    frames: {
      get sizes() {
        return pair('sizes');
      },
      get originals() {
        return pair('original_sizes');
      },
      get scales() {
        return pair('scales');
      },
    },
  };
}

/** Detections of all images, those of the first image first, best first. */
export interface FlatDetections {
  /** What the boxes are measured in. */
  readonly measuredIn: 'network' | 'image';
  /** [D, 4] float32 xyxy. */
  readonly boxes: Value;
  /** [D] float32. */
  readonly scores: Value;
  /** [D] int64, 1..C. */
  readonly classes: Value;
  /** [D] int64 number of the image in the batch. */
  readonly images: Value;
  /** [D, M, M] float32 probabilities, in a detection's box, or with `maskStride` over the whole input. */
  readonly masks?: Value;
  /** Network pixels a cell. */
  readonly maskStride?: number;
  /** [D, K, H, H] float32 logits. */
  readonly heatmaps?: Value;
}

// Strides reach 32 at least, and halving an odd number of cells rounds: sides that are odd at stride 32 show what rounds.
const LARGEST_STRIDE = 32;

/**
 * A part of the network that reads the pictures, to maps of [N, C, H, W].
 * @param sampled the first of the maps that numbers are sampled of, and how the graph goes on from them
 */
export function recordPictures(
  { graph, pixels, padMultiple, names, samples }: Scene,
  body: (pixels: Tensor) => readonly Tensor[],
  { from = 0, order }: { readonly from?: number; readonly order: MapOrder },
): Value[] {
  const side = Math.max(padMultiple, LARGEST_STRIDE);
  const picture = (images: number, rows: number, columns: number): Tensor =>
    zeros([images, 3, rows * side, columns * side]).to({ memoryFormat: 'channels_last' });
  const examples = (): Examples => [[picture(2, 3, 5)], [picture(3, 4, 7)]];
  const maps = recordNetwork(graph, [pixels], names, examples, ([input]) => body(input!));
  samples.push({
    values: maps.slice(from).map((map) => sampleMap(graph, map, order)),
    inEngine: (batch) => body(batch.pixels).slice(from).map(sampleMapInEngine),
  });
  return maps;
}
