// Features of boxes in a graph: roi-heads/roi-pooler.ts in nodes.
import type { Conventions } from '../models/conventions.js';
import {
  CANONICAL_LEVEL,
  CANONICAL_SIZE,
  levelOfOctaves,
  type RoiPoolerOptions,
} from '../models/roi-heads/roi-pooler.js';
import { sidesOf } from './emit-boxes.js';
import type { Graph, Value } from './onnx/graph.js';

/** Boxes of all images one after another, at least one. */
export interface Rois {
  /** [R, 4] xyxy, network pixels. */
  readonly boxes: Value;
  /** [R] int64 number of the image. */
  readonly images: Value;
}

type RoiSampling = Pick<RoiPoolerOptions, 'poolSize' | 'samplingRatio'>;

export interface RoiConventions extends Pick<Conventions, 'boxes' | 'roiLevels'> {
  /** As {@link Conventions.roiEnd}; half_pixel: RoIAlign's later form, moved by half a cell, without a smallest size. */
  readonly roiEnd: Conventions['roiEnd'] | 'half_pixel';
}

/** xyxy in network pixels, in the first picture's upper left corner. */
export const FILLER = [0, 0, 48, 48] as const;

/** A box more, at the end: no head is shown nothing at all, and what it says of this one box does not depend on what is found. */
export function withFiller(graph: Graph, { boxes, images }: Rois): Rois {
  return {
    boxes: graph.concat([boxes, graph.floats(Float32Array.from(FILLER), [1, 4])], 0),
    images: graph.concat([images, graph.integers([0])], 0),
  };
}

export function withoutFiller(graph: Graph, rows: Value): Value {
  return graph.slice(rows, 0, 0, -1);
}

/** The filler's row. */
export function ofFiller(graph: Graph, rows: Value): Value {
  return graph.select(rows, 0, -1);
}

/** [R, C, S, S] features of RoIs, in their order. */
export function emitPooling(
  graph: Graph,
  levels: readonly Value[],
  strides: readonly number[],
  rois: Rois,
  options: RoiSampling,
  conventions: RoiConventions,
): Value {
  if (levels.length === 1) return emitLevel(graph, levels[0]!, strides[0]!, rois, options, conventions);
  const numbers = emitLevelNumbers(graph, rois.boxes, strides, conventions);
  const pooled: Value[] = [];
  const origins: Value[] = [];
  levels.forEach((feature, level) => {
    const own = graph.squeeze(graph.places(graph.equal(numbers, level)), 1);
    const boxes = graph.gather(rois.boxes, own);
    const images = graph.gather(rois.images, own);
    pooled.push(emitLevel(graph, feature, strides[level]!, { boxes, images }, options, conventions));
    origins.push(own);
  });
  const order = graph.concat(origins, 0);
  const places = graph.range(graph.length(order, 0));
  const back = graph.scatterAt(places, graph.unsqueeze(order, 1), places);
  return graph.gather(graph.concat(pooled, 0), back);
}

function emitLevel(
  graph: Graph,
  feature: Value,
  stride: number,
  { boxes, images }: Rois,
  { poolSize, samplingRatio }: RoiSampling,
  { roiEnd }: RoiConventions,
): Value {
  const isMoved = roiEnd === 'next_pixel';
  // The form that sets no smallest size moves RoIs by half a cell: they are moved back before (roi-pooler.ts, toNextPixel).
  const [start, end] = [stride / 2, 1 + stride / 2];
  const own = isMoved ? graph.add(boxes, graph.floats(Float32Array.of(start, start, end, end), [4])) : boxes;
  return graph.node('RoiAlign', [feature, own, images], {
    mode: { text: 'avg' },
    coordinate_transformation_mode: { text: roiEnd === 'corner' ? 'output_half_pixel' : 'half_pixel' },
    output_height: { int: poolSize },
    output_width: { int: poolSize },
    sampling_ratio: { int: samplingRatio },
    spatial_scale: { float: 1 / stride },
  });
}

/**
 * [R] int64 level of each box. Where the model takes a logarithm, here the size is compared with the numbers at which that passes
 * to the next level: logarithms differ in their last bit from one runtime to the next.
 */
function emitLevelNumbers(graph: Graph, boxes: Value, strides: readonly number[], conventions: RoiConventions): Value {
  const { boxes: convention, roiLevels } = conventions;
  const sides = graph.max(sidesOf(graph, boxes, convention), 0);
  const area = graph.mul(graph.select(sides, 1, 0), graph.select(sides, 1, 1));
  const size = graph.node('Sqrt', [area]);
  const finest = roiLevels.finest === 'two' ? 2 : Math.round(Math.log2(strides[0]!));
  const places = levelOfOctaves(strides);
  let octave: Value = graph.full(graph.shape(size), 0, 'int64');
  for (let next = 1; next < places.length; next++) {
    const least = smallestOfLevel(finest + next, roiLevels);
    octave = graph.add(octave, graph.cast(graph.atLeast(size, least), 'int64'));
  }
  return places.every((level, index) => level === index) ? octave : graph.gather(graph.integers(places), octave);
}

function smallestOfLevel(level: number, { epsilonTo, epsilon }: Conventions['roiLevels']): number {
  const octaves = level - CANONICAL_LEVEL;
  return epsilonTo === 'size' ? CANONICAL_SIZE * (2 ** octaves - epsilon) : CANONICAL_SIZE * 2 ** (octaves - epsilon);
}
