// Every detector on every backbone with every neck, on a device and on the CPU, in figures:
//   node packages/goshawk/dist/testing/models-on-device.js --list
//   node packages/goshawk/dist/testing/models-on-device.js DEVICE NAME...
// A line of JSON a model: how far the device is from the CPU. In float64, so that no order of sums decides what is kept; each
// model starts from the same weights, takes the losses and gradients of a picture with two objects and of one without, and predicts.
// Ends with exit code 3 where the device answers nothing any more.
import { writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { manualSeed, noGrad, ones, scope, setThreads, type Tensor } from '@goshawk/torch';
import type { ModelConfig } from '../config/index.js';
import { buildModel } from '../models/build.js';
import type { Detector } from '../models/detector.js';
import { totalLoss } from '../models/detectors/rcnn.js';
import { evenDraws } from '../models/sampling.js';
import type { Detections, ImageBatch, Targets } from '../models/structures.js';
import { type MatrixCell, matrixCells } from './model-matrix.js';
import { noiseBatch } from './random-models.js';
import { SQUARE_KEYPOINTS, SQUARES, squareTargets } from './tiny-targets.js';

/** What is said of a model. */
export interface ModelLine {
  readonly name: string;
  readonly detector: string;
  /** The largest difference of a loss, of the loss itself. */
  readonly losses?: number;
  /** Of a gradient's value, of the gradient's largest. */
  readonly gradients?: number;
  /** Of a detection's corner, in pixels, and of a score. */
  readonly corners?: number;
  readonly scores?: number;
  /** Of a value of a detection's masks and keypoints, of their largest. */
  readonly shapes?: number;
  readonly detections?: number;
  /** Of them, those that another one equals in score, so that either may have come first, and that have none beside them. */
  readonly ties?: number;
  /** What is wrong, in one line; absent where nothing is. */
  readonly problem?: string;
}

const DEVICE_FAILED_CODE = 3;

/**
 * Coordinates are float32 whatever the network computes in; what comes of them is exact to some of their roundings, and a batch norm
 * over the two values of a pyramid's last level makes a thousand times as much of one (2.3e-4 was seen on an H200).
 */
const LIMITS = { losses: 1e-6, gradients: 1e-3, corners: 3e-4, scores: 1e-6, shapes: 1e-3 };
/** A gradient that is nothing but rounding (of a bias before a batch norm) is measured by the model's largest. */
const SMALLEST = 1e-6;
/** Scores as near as that are equal: what a model says that has learned nothing lies close together. */
const EQUAL_SCORES = 1e-6;

/** What a mask of decoupled SOLO begins with: the product of two probabilities that begin with the prior. */
const UNSURE_PRODUCT = 1e-4;

const [, , device = 'cpu', ...names] = process.argv;
const cells = [...matrixCells()];
if (device === '--list') {
  for (const cell of cells) say({ name: nameOf(cell), detector: cell.detector });
} else {
  setThreads(2);
  for (const cell of cells.filter((one) => names.includes(nameOf(one)))) {
    tryCell(cell);
    // Parameters belong to the garbage collector, which tells of what it found between two turns of the event loop only.
    await setImmediate();
  }
}

function say(line: ModelLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function nameOf({ detector, backbone, neck }: MatrixCell): string {
  return `${detector} on ${backbone} with ${neck}`;
}

function tryCell(cell: MatrixCell): void {
  const begun = { name: nameOf(cell), detector: cell.detector };
  let line: ModelLine;
  try {
    const model = keepingAll(cell.model);
    const differences = scope(() => compare(runOn('cpu', model), runOn(device, model)));
    const wrong = Object.entries(LIMITS).find(
      ([part, most]) => !((differences[part as keyof typeof LIMITS] ?? 0) <= most),
    );
    const problem = wrong
      ? `${wrong[0]} ${differences[wrong[0] as keyof typeof LIMITS]}, at most ${wrong[1]}`
      : differences.detections === 0
        ? 'found nothing that could be compared'
        : undefined;
    line = { ...begun, ...differences, ...(problem !== undefined && { problem }) };
  } catch (error) {
    line = { ...begun, problem: (error instanceof Error ? error.message : String(error)).split('\n')[0]! };
  }
  say(line);
  if (line.problem !== undefined && !isAnswering()) process.exit(DEVICE_FAILED_CODE);
}

function isAnswering(): boolean {
  try {
    return scope(() => ones([1], { device }).item()) === 1;
  } catch {
    return false;
  }
}

/** The model with nothing left out for its score or for its mask: one that has learned nothing is sure of nothing. */
function keepingAll(model: ModelConfig): ModelConfig {
  const text = JSON.stringify(model, (key, value: unknown) => {
    if (/^(scoreThreshold|minScore)$/.test(key)) return 0;
    return key === 'maskThreshold' && model.type === 'decoupled_solo' ? UNSURE_PRODUCT : value;
  });
  return JSON.parse(text) as ModelConfig;
}

interface Outcome {
  readonly losses: ReadonlyMap<string, number>;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly found: readonly Found[];
}

/** Of one picture, on the host. */
interface Found {
  readonly boxes: readonly number[];
  readonly scores: readonly number[];
  readonly labels: readonly number[];
  /** Masks and keypoints, a row a detection. */
  readonly shapes: readonly (readonly number[])[];
}

function runOn(place: string, config: ModelConfig): Outcome {
  manualSeed(1);
  const options = { classes: 2, keypoints: SQUARE_KEYPOINTS, draws: evenDraws };
  const model = buildModel(config, options).to({ memoryFormat: 'channels_last', dtype: 'float64' }) as Detector;
  const batch = batchOn(place, noiseBatch());
  const targets = [squareTargets(SQUARES), squareTargets([])].map((own) => targetsOn(place, own));
  model.to({ device: place });
  model.train();
  const terms = model.loss(batch, targets);
  totalLoss(terms).backward();
  const losses = new Map(Object.entries(terms).map(([name, value]) => [name, value.item()]));
  const gradients = new Map(
    [...model.namedParameters()].flatMap(([name, { grad }]) =>
      grad ? [[name, grad.to({ device: 'cpu' }).contiguous().toFloat32Array()] as const] : [],
    ),
  );
  model.eval();
  const found = noGrad(() => model.predict(batch)).map(foundOf);
  return { losses, gradients, found };
}

function batchOn(place: string, batch: ImageBatch): ImageBatch {
  const { pixels, proposals } = batch;
  return {
    ...batch,
    pixels: pixels.to({ device: place, dtype: 'float64' }),
    ...(proposals && { proposals: proposals.map((own) => own.to({ device: place })) }),
  };
}

function targetsOn(place: string, { boxes, labels, masks, keypoints, polygons }: Targets): Targets {
  const to = (value: Tensor): Tensor => value.to({ device: place });
  return {
    boxes: to(boxes),
    labels: to(labels),
    ...(masks && { masks: { pixels: to(masks.pixels), crops: to(masks.crops) } }),
    ...(keypoints && { keypoints: to(keypoints) }),
    ...(polygons && { polygons }),
  };
}

function foundOf({ boxes, scores, labels, masks, wholeMasks, keypoints }: Detections): Found {
  const numbers = (value: Tensor): number[] => value.to({ device: 'cpu' }).contiguous().toNumbers();
  const count = scores.size(0);
  const rows = [masks, wholeMasks?.probabilities, keypoints].filter((value) => value !== undefined);
  const flat = rows.map((value) => numbers(value.to({ dtype: 'float64' })));
  const row = (values: readonly number[], index: number): number[] => {
    const length = values.length / count;
    return values.slice(index * length, (index + 1) * length);
  };
  return {
    boxes: numbers(boxes),
    scores: numbers(scores),
    labels: numbers(labels),
    shapes: Array.from({ length: count }, (_, index) => flat.flatMap((values) => row(values, index))),
  };
}

type Differences = Required<
  Pick<ModelLine, 'losses' | 'gradients' | 'corners' | 'scores' | 'shapes' | 'detections' | 'ties'>
>;

function compare(wanted: Outcome, got: Outcome): Differences {
  let [losses, gradients] = [0, 0];
  for (const [name, value] of wanted.losses)
    losses = worse(losses, Math.abs(got.losses.get(name)! - value) / Math.max(Math.abs(value), SMALLEST));
  const largest = Math.max(...[...wanted.gradients.values()].map(largestOf));
  if (got.gradients.size !== wanted.gradients.size)
    throw new Error(`${got.gradients.size} parameters have a gradient, not ${wanted.gradients.size}`);
  for (const [name, values] of wanted.gradients) {
    const own = got.gradients.get(name)!;
    const scale = Math.max(largestOf(values), SMALLEST * largest);
    gradients = worse(gradients, largestOf(values.map((value, index) => own[index]! - value)) / scale);
  }
  const differences = wanted.found.map((found, picture) => compareFound(found, got.found[picture]!));
  const ties = differences.reduce((sum, one) => sum + one.ties, 0);
  const most = (part: 'corners' | 'scores' | 'shapes'): number =>
    differences.reduce((worst, one) => worse(worst, one[part]), 0);
  const detections = wanted.found.reduce((sum, { scores }) => sum + scores.length, 0);
  return {
    ...{ losses, gradients, detections, ties },
    ...{ corners: most('corners'), scores: most('scores'), shapes: most('shapes') },
  };
}

/** Each detection beside the nearest one of its label that no other has taken: equal scores may come in either order. */
function compareFound(wanted: Found, got: Found): Record<'corners' | 'scores' | 'shapes' | 'ties', number> {
  if (got.scores.length !== wanted.scores.length)
    throw new Error(`${got.scores.length} detections, not ${wanted.scores.length}`);
  const left = new Set(got.scores.keys());
  const far = { corners: 0, scores: 0, shapes: 0, ties: 0 };
  for (const [index, score] of wanted.scores.entries()) {
    let nearest = { at: -1, corners: Number.POSITIVE_INFINITY, scores: Number.POSITIVE_INFINITY };
    for (const at of left) {
      if (got.labels[at] !== wanted.labels[index]) continue;
      const corners = [0, 1, 2, 3].reduce(
        (worst, side) => worse(worst, Math.abs(got.boxes[4 * at + side]! - wanted.boxes[4 * index + side]!)),
        0,
      );
      const scores = Math.abs(got.scores[at]! - score);
      if (corners + scores < nearest.corners + nearest.scores) nearest = { at, corners, scores };
    }
    const isTied = wanted.scores.some((other, at) => at !== index && Math.abs(other - score) <= EQUAL_SCORES);
    if (isTied && !(nearest.corners <= LIMITS.corners)) {
      far.ties += 1;
      continue;
    }
    if (nearest.at < 0) throw new Error(`a detection of class ${wanted.labels[index]} has none beside it`);
    left.delete(nearest.at);
    far.corners = worse(far.corners, nearest.corners);
    far.scores = worse(far.scores, nearest.scores);
    const [shape, other] = [wanted.shapes[index]!, got.shapes[nearest.at]!];
    const largest = shape.reduce((most, value) => worse(most, Math.abs(value)), 0);
    for (const [place, value] of shape.entries())
      far.shapes = worse(far.shapes, Math.abs(other[place]! - value) / largest);
  }
  return far;
}

function largestOf(values: Float32Array): number {
  return values.reduce((worst, value) => worse(worst, Math.abs(value)), 0);
}

/** The larger; what is no number is worse than any. */
function worse(a: number, b: number): number {
  return Number.isNaN(a) || a > b ? a : b;
}
