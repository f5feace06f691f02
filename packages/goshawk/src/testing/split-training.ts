// One training, whole or in parts: small models, a batch of a few pictures, some steps.
import { manualSeed, ops, type ProcessGroup, SGD, scope, setThreads, tensor } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { buildModel } from '../models/build.js';
import type { Detector } from '../models/detector.js';
import { totalLoss } from '../models/detectors/rcnn.js';
import { withFrames } from '../models/padded.js';
import { evenDraws } from '../models/sampling.js';
import type { Sizing } from '../models/sizing.js';
import type { ImageBatch, Losses } from '../models/structures.js';
import { turnDraws } from '../models/turn-draws.js';
import { AcrossRanks } from '../train/across-ranks.js';
import { batchOf } from './rcnn-kinds.js';
import { SQUARE_KEYPOINTS, SQUARES, type Square, squareTargets } from './tiny-targets.js';

/** Objects of the pictures: different numbers, so that halves are not alike, and none in one. */
export const PICTURES: readonly (readonly Square[])[] = [SQUARES, SQUARES.slice(1), [], [...SQUARES, [36, 4, 60, 18]]];

export interface Training {
  /** The config's part `model`, in YAML. */
  readonly model: string;
  readonly sizing: Sizing;
  /** Evenly, or as a training of this seed draws: by the turns of the pictures. Default evenly. */
  readonly seed?: number;
  /** Of the network. Default float32. */
  readonly dtype?: 'float32' | 'float64';
  /** What to begin with: {@link learnedState}. Default: rank 0's random weights. */
  readonly start?: ReadonlyMap<string, Float32Array>;
  readonly steps: number;
  /** Of the pictures in the batch. Default: as they are listed. */
  readonly order?: readonly number[];
  readonly learningRate: number;
}

export interface Trained {
  /** Of each of the steps, by name. */
  readonly losses: readonly Readonly<Record<string, number>>[];
  /** Of the first step. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** After the last step: parameters and buffers. */
  readonly state: ReadonlyMap<string, Float32Array>;
  /** How far a parameter went that went furthest, of the largest value of its own, or of {@link SMALL} where that is less. */
  readonly moved: number;
}

const MOMENTUM = 0.9;
/** A bias begins at 0: of what it came to by the first step, any step is the whole. */
const SMALL = 1e-3;

/** Parameters and buffers after some steps alone with all pictures, at a rate at which something is learned soon. */
export function learnedState(training: Pick<Training, 'model' | 'sizing'>, steps: number): Trained['state'] {
  return trainOn({ ...training, steps, learningRate: 0.003 }).state;
}

/** Trains on all pictures, or, in a group, on this process's share of them, which are the next ones after those of the rank before. */
export function trainOn(training: Training, group?: ProcessGroup): Trained {
  const { sizing, seed, dtype = 'float32', start, steps, learningRate, order = PICTURES.keys() } = training;
  const places = [...order];
  setThreads(1);
  const { model: config } = parseConfig(training.model, { file: 'test' });
  // Others in each process: rank 0's are those that count.
  manualSeed(7 + (group?.rank ?? 0));
  const options = {
    classes: 2,
    keypoints: SQUARE_KEYPOINTS,
    draws: seed === undefined ? evenDraws : turnDraws(seed),
    sizing,
  };
  const model = buildModel(config, options).to({ memoryFormat: 'channels_last', dtype }) as Detector;
  const state = [...model.namedParameters(), ...model.namedBuffers()];
  if (start !== undefined && (group?.rank ?? 0) === 0)
    scope(() => {
      for (const [name, value] of state) value.assign(tensor(start.get(name)!, { shape: value.shape }).to(value.dtype));
    });
  const learning = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad);
  const begun = new Map(learning.map(([name, value]) => [name, value.toFloat32Array()]));
  const optimizer = new SGD(learning, { lr: learningRate, momentum: MOMENTUM });
  model.train();
  const ranks = group && new AcrossRanks(group, model);
  const share = PICTURES.length / (group?.size ?? 1);
  const from = share * (group?.rank ?? 0);
  const losses: Record<string, number>[] = [];
  let gradients: ReadonlyMap<string, Float32Array> = new Map();
  for (let step = 0; step < steps; step++)
    scope(() => {
      const own = lossOf(model, places.slice(from, from + share), { dtype, step });
      ranks?.begin();
      totalLoss(own).backward();
      ranks?.reduceGradients();
      const values = ops.stack(Object.values(own).map((loss) => loss.detach()));
      ranks?.reduceLosses(Object.keys(own), values);
      const read = values.toFloat32Array();
      losses.push(Object.fromEntries(Object.keys(own).map((name, i) => [name, read[i]!])));
      if (step === 0) gradients = gradientsOf(model);
      optimizer.step();
      optimizer.zeroGrad();
    });
  ranks?.close();
  const ended = new Map(state.map(([name, value]) => [name, value.toFloat32Array()]));
  const moved = Math.max(...[...begun].map(([name, values]) => movementOf(values, ended.get(name)!)));
  return { losses, gradients, state: ended, moved };
}

function movementOf(from: Float32Array, to: Float32Array): number {
  const largest = to.reduce((most, value) => Math.max(most, Math.abs(value)), SMALL);
  return to.reduce((most, value, i) => Math.max(most, Math.abs(value - from[i]!)), 0) / largest;
}

interface Pass {
  readonly dtype: 'float32' | 'float64';
  readonly step: number;
}

function lossOf(model: Detector, places: readonly number[], { dtype, step }: Pass): Losses {
  const batch = withFrames(partOf(batchOf(PICTURES), places));
  return model.loss(
    { ...batch, pixels: batch.pixels.to(dtype), turns: places.map((place) => step * PICTURES.length + place) },
    places.map((place) => squareTargets(PICTURES[place]!)),
  );
}

function gradientsOf(model: Detector): Map<string, Float32Array> {
  const learning = [...model.namedParameters()].filter(([, { grad }]) => grad !== undefined);
  return new Map(learning.map(([name, { grad }]) => [name, grad!.toFloat32Array()]));
}

function partOf(batch: ImageBatch, places: readonly number[]): ImageBatch {
  const part = <Item>(items: readonly Item[]): Item[] => places.map((place) => items[place]!);
  const pixels = ops.cat(places.map((place) => ops.narrow(batch.pixels, 0, place, 1)));
  return {
    pixels: pixels.contiguous({ memory_format: 'channels_last' }),
    sizes: part(batch.sizes),
    originals: part(batch.originals),
    scales: part(batch.scales),
    ...(batch.proposals ? { proposals: part(batch.proposals) } : {}),
  };
}
