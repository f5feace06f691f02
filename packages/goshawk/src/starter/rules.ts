// The rules of a first config: facts about the data and the machine in, choices out, each with its reason. What they were
// measured with is in docs/choices.md. Nothing here reads a file or runs a model.
import { counted } from '../terminal/counted.js';
import type { DataFacts } from './data-facts.js';

/** What can be asked for; absent: chosen. */
export interface Wishes {
  readonly model?: ModelKind;
  readonly size?: NetworkSize;
  /** For the whole training, evaluations included. */
  readonly minutes: number;
}

export const modelKinds = ['faster_rcnn', 'mask_rcnn', 'keypoint_rcnn', 'retinanet'] as const;
export type ModelKind = (typeof modelKinds)[number];
export const networkSizes = ['tiny', 'small', 'full'] as const;
export type NetworkSize = (typeof networkSizes)[number];

export interface Machine {
  readonly processors: number;
  readonly device: 'cpu' | 'cuda';
}

/** What the weights at the start are of. */
export type Start =
  | { readonly kind: 'random' }
  /** A backbone that has learned to tell pictures apart, such as ImageNet's. */
  | { readonly kind: 'backbone' }
  /** A detector that has learned other classes. */
  | { readonly kind: 'detector'; readonly model: ModelKind; readonly norms: 'learn' | 'frozen' };

/** A choice, and why, in one line each. */
export interface Chosen<Value> {
  readonly value: Value;
  readonly why: string;
}

export function chooseModel(facts: DataFacts, { model }: Wishes, start: Start): Chosen<ModelKind> {
  if (model !== undefined) return { value: model, why: 'asked for' };
  if (start.kind === 'detector') return { value: start.model, why: 'the weights at the start are of one' };
  if (facts.keypoints >= 0.5)
    return { value: 'keypoint_rcnn', why: `${percent(facts.keypoints)} of the objects have keypoints` };
  if (facts.masks >= 0.95) return { value: 'mask_rcnn', why: `${percent(facts.masks)} of the objects have an outline` };
  const masks =
    facts.masks > 0 ? `only ${percent(facts.masks)} of the objects have an outline` : 'objects have boxes alone';
  return { value: 'faster_rcnn', why: `${masks}, and two stages learn from fewer pictures than one` };
}

/** Minutes of one processor from which a larger network pays from random weights. */
const SMALL_MINUTES = 120;

export function chooseSize({ size, minutes }: Wishes, machine: Machine, start: Start): Chosen<NetworkSize> {
  if (size !== undefined) return { value: size, why: 'asked for' };
  if (start.kind !== 'random') return { value: 'full', why: 'the weights at the start are of a whole network' };
  if (machine.device === 'cuda')
    return minutes < 60
      ? { value: 'small', why: `${minutesWords(minutes)} on a card` }
      : { value: 'full', why: `${minutesWords(minutes)} on a card` };
  const spent = minutes * machine.processors;
  const time = `${minutesWords(minutes)} on ${machine.processors} processors`;
  return spent < SMALL_MINUTES
    ? { value: 'tiny', why: `${time}: a larger network would see too few pictures` }
    : { value: 'small', why: `${time}: time for a larger network` };
}

/** Channels of a network from random weights. */
export interface Widths {
  readonly depth: 18 | 50;
  readonly width: number;
  readonly pyramid: number;
  readonly hidden: number;
}

export const widths: Readonly<Record<NetworkSize, Widths>> = {
  tiny: { depth: 18, width: 32, pyramid: 64, hidden: 256 },
  small: { depth: 18, width: 64, pyramid: 128, hidden: 512 },
  full: { depth: 50, width: 64, pyramid: 256, hidden: 1024 },
};

/**
 * Where no weights are named: those that come with the package, of a backbone that has found generated shapes. Undefined: random ones.
 * @param isRandom random ones are asked for, or another backbone
 */
export function chooseWeights(size: NetworkSize, isRandom: boolean): Chosen<string | undefined> {
  if (isRandom) return { value: undefined, why: 'asked for' };
  return size === 'tiny'
    ? {
        value: 'shapes_resnet18_tiny',
        why: 'they come with this package, learned from generated shapes; --init random begins without them',
      }
    : { value: undefined, why: 'none come with this package for such a network' };
}

/** Long sides of pictures that are tried, in pixels. */
export const pictureSizes = [160, 192, 224, 256, 320, 384, 448, 512, 640, 800, 1024, 1333] as const;

/** Network pixels that the side of a small object, and of a middling one, should have at least. */
const SMALL_SIDE = 12;
const MIDDLING_SIDE = 32;

const largestPicture: Readonly<Record<NetworkSize, number>> = { tiny: 384, small: 640, full: 1333 };
const leastPicture: Readonly<Record<NetworkSize, number>> = { tiny: 192, small: 256, full: 512 };

/** The smallest size at which objects can be told: the long side in pixels. */
export function choosePictureSize({ side, smallestClass, longSide }: DataFacts, size: NetworkSize): Chosen<number> {
  // A class of few objects counts as much in the mean as one of many: where it is the one of small objects, it needs the pixels.
  const smallest = Math.min(side.low, smallestClass) || 1;
  const needed = Math.max(SMALL_SIDE / smallest, MIDDLING_SIDE / (side.median || 1));
  const bounded = Math.min(Math.max(needed, leastPicture[size]), largestPicture[size]);
  const value = pictureSizes.find((candidate) => candidate >= bounded)!;
  const shown = Math.round(smallest * value);
  const original = Math.round(longSide.median);
  return {
    value,
    why: `the smallest tenth of the smallest class has ${shown} pixels a side then (the photos have ${original})`,
  };
}

/** Pictures shown in all below which a smaller size pays more than the detail that it loses. */
const FEWEST_SHOWN = { random: 3000, backbone: 1200, detector: 600 } as const;
/** So many that they may be larger than they have to: up to this factor, and no larger than the photos. */
const MANY_SHOWN = 9000;
const LARGER = 1.5;
/** Of few photos fewer are shown: so many passes do as well as those counts. */
const FEWEST_PASSES = 40;
const MANY_PASSES = 120;

/**
 * Another size where what was measured shows too few pictures in the time, or more than enough; time goes with the number of pixels.
 * @param time.seconds of a picture at `size`
 * @param time.available seconds
 */
export function fitPictureSize(
  size: number,
  { longSide, pictures }: DataFacts,
  { kind }: Start,
  { seconds, available }: { readonly seconds: number; readonly available: number },
): Chosen<number> {
  const shown = (at: number): number => available / (seconds * (at / size) ** 2);
  const round = (at: number): number => Math.round(shown(at));
  const fewest = Math.min(FEWEST_SHOWN[kind], FEWEST_PASSES * pictures);
  const many = Math.min(MANY_SHOWN, MANY_PASSES * pictures);
  const most = Math.min(size * LARGER, longSide.median);
  const larger = pictureSizes.findLast((at) => at > size && at <= most && shown(at) >= many);
  if (kind === 'random' && larger !== undefined)
    return {
      value: larger,
      why: `${round(larger)} can be shown in the time, so larger than the ${size} that would do`,
    };
  if (shown(size) >= fewest) return { value: size, why: `${round(size)} can be shown in the time` };
  const smaller = pictureSizes.findLast((at) => at < size && shown(at) >= fewest);
  const value = smaller ?? Math.min(size, pictureSizes[0]);
  return { value, why: `at ${size} only ${round(size)} could be shown in the time, now ${round(value)}` };
}

/** Levels of features, and the anchors on them. */
export interface Levels {
  /** Network pixels a cell of each, finest first. */
  readonly strides: readonly number[];
  /** Side lengths of the anchors of one. */
  readonly sizesOfLevel: number;
}

const ALL_LEVELS: Levels = { strides: [4, 8, 16, 32, 64], sizesOfLevel: 1 };
/** Two sizes a level reach as far as five levels of one, and large anchors lie closer to one another. */
const COARSE_LEVELS: Levels = { strides: [8, 16, 32], sizesOfLevel: 2 };

/** Network pixels: four cells of stride 8. */
const LARGE_SIDE = 32;

/** The finest level takes a third of the arithmetic: it is left out where no class has objects that need it, and boxes alone are learned. */
export function chooseLevels(
  { smallestClass }: DataFacts,
  pictureSize: number,
  model: ModelKind,
  start: Start,
): Chosen<Levels> {
  if (start.kind !== 'random') return { value: ALL_LEVELS, why: 'the weights at the start are meant for them' };
  if (model === 'retinanet') return { value: ALL_LEVELS, why: 'the model has its own' };
  if (model !== 'faster_rcnn') return { value: ALL_LEVELS, why: 'masks and keypoints are found on the finest one' };
  const side = smallestClass * pictureSize;
  const sides = `the smallest tenth of the smallest class has ${Math.round(side)} pixels a side`;
  return side >= LARGE_SIDE
    ? { value: COARSE_LEVELS, why: `${sides}: the finest level would take a third of the time for nothing` }
    : { value: ALL_LEVELS, why: sides };
}

/**
 * Side lengths of the anchors of each level: from the smallest tenth of the objects to the largest tenth evenly in the
 * logarithm, a little beyond both. Heights over widths: the middle of the boxes' and either end, never all the same.
 */
export function chooseAnchors(
  { side, aspect }: DataFacts,
  pictureSize: number,
  { strides, sizesOfLevel }: Levels,
): Chosen<{ readonly sizes: readonly (readonly number[])[]; readonly ratios: readonly number[] }> {
  const low = Math.max(side.low * pictureSize * 0.8, 8);
  const high = Math.max(side.high * pictureSize * 1.1, low * 2);
  const step = (high / low) ** (1 / (strides.length * sizesOfLevel - 1));
  const sizes = strides.map((_, level) =>
    Array.from({ length: sizesOfLevel }, (__, i) => Math.round(low * step ** (level * sizesOfLevel + i))),
  );
  const ratios = spread([aspect.low || 1, aspect.median || 1, aspect.high || 1]);
  return {
    value: { sizes, ratios },
    why: `objects have ${Math.round(side.low * pictureSize)} to ${Math.round(side.high * pictureSize)} pixels a side, heights of ${round(aspect.low)} to ${round(aspect.high)} widths`,
  };
}

/** Ratios nearer to one another than this make anchors that find the same objects; where boxes are all of one shape, its neighbours stand this far off. */
const RATIO_APART = 1.35;

function spread([low, middle, high]: readonly [number, number, number]): number[] {
  return [Math.min(low, middle / RATIO_APART), middle, Math.max(high, middle * RATIO_APART)].map(round);
}

export interface Optimization {
  readonly batchSize: number;
  readonly type: 'adamw' | 'sgd';
  readonly lr: number;
  readonly weightDecay: number;
  readonly clipGradNorm?: number;
}

/** Objects of a picture, in the mean, from which four of them are enough for a step. */
const MANY_OBJECTS = 4;

export function chooseOptimization(
  start: Start,
  size: NetworkSize,
  machine: Machine,
  { objects, pictures }: Pick<DataFacts, 'objects' | 'pictures'>,
): Chosen<Optimization> {
  if (start.kind === 'random') {
    const [batchSize, reason] =
      machine.device === 'cuda'
        ? [16, 'a card wants many pictures a step']
        : objects >= MANY_OBJECTS * pictures
          ? [4, 'pictures hold many objects, and more steps teach more']
          : [8, 'batch norm wants eight pictures a step'];
    return {
      value: { batchSize, type: 'adamw', lr: size === 'full' ? 5e-4 : 1e-3, weightDecay: 0.05, clipGradNorm: 10 },
      why: `all layers learn, fastest with AdamW; ${reason}`,
    };
  }
  if (start.kind === 'detector' && start.norms === 'learn')
    return {
      value: { batchSize: 8, type: 'adamw', lr: 3e-4, weightDecay: 0.05, clipGradNorm: 10 },
      why: 'a third of the rate of random weights; batch norm wants eight pictures a step',
    };
  const batchSize = machine.device === 'cuda' ? 8 : 2;
  return {
    value: { batchSize, type: 'sgd', lr: 0.00125 * batchSize, weightDecay: 1e-4 },
    why: `published weights go on with SGD and 0.0025 for two pictures, in proportion`,
  };
}

export interface Freezing {
  readonly norm: 'batch' | 'group' | 'frozen_batch';
  readonly frozenStages: number;
}

export function chooseFreezing(start: Start): Chosen<Freezing> {
  return start.kind === 'random'
    ? { value: { norm: 'batch', frozenStages: 0 }, why: 'nothing is frozen: all layers have this to learn' }
    : {
        value: { norm: 'frozen_batch', frozenStages: 2 },
        why: 'the first two stages and the norms keep what they have learned: batches are small',
      };
}

export interface Length {
  readonly iterations: number;
  readonly warmupIterations: number;
  /** 0: at the end only. */
  readonly evaluateEvery: number;
}

/** Nothing learns in fewer steps; more than so many passes only learn by heart. */
export const FEWEST_ITERATIONS = 50;
const MOST_PASSES = 1000;

/**
 * @param time.step seconds of an iteration
 * @param time.evaluation seconds of an evaluation
 * @param time.available seconds for both
 */
export function chooseLength(
  { pictures }: DataFacts,
  batchSize: number,
  time: { readonly step: number; readonly evaluation: number; readonly available: number },
): Chosen<Length> {
  const evaluations = Math.max(1, Math.min(5, Math.floor((0.1 * time.available) / time.evaluation)));
  const forSteps = Math.max(0, time.available - evaluations * time.evaluation);
  const most = Math.ceil((MOST_PASSES * pictures) / batchSize);
  const iterations = Math.min(most, Math.max(FEWEST_ITERATIONS, Math.floor(forSteps / time.step)));
  const fitting = Math.min(iterations, Math.max(1, Math.floor(forSteps / time.step)));
  const passes = (fitting * batchSize) / pictures;
  return {
    value: {
      iterations,
      warmupIterations: Math.min(500, Math.max(10, Math.round(iterations * 0.05))),
      evaluateEvery: evaluations === 1 ? 0 : Math.ceil(iterations / evaluations),
    },
    why: `a step takes ${time.step.toPrecision(2)} s, every picture is shown ${passes < 10 ? passes.toFixed(1) : Math.round(passes)} times`,
  };
}

const SIDED = /(^|[^a-z])(left|right)([^a-z]|$)/i;

/** Names that say which side an object is of, and classes that are letters or digits, are wrong in a mirrored picture. */
export function chooseFlip({ classes }: DataFacts): Chosen<number> {
  const areSigns = classes.length > 1 && classes.every((name) => /^[a-z0-9]$/i.test(name));
  const sided = areSigns ? classes[0] : classes.find((name) => SIDED.test(name));
  return sided === undefined
    ? { value: 0.5, why: 'half of the pictures are mirrored' }
    : { value: 0, why: `pictures are not mirrored: ${sided} would be wrong then` };
}

/** How pictures differ from pass to pass, besides being mirrored: in their colours alone, or in what part and size of them is seen too. */
export type Variation = 'colours' | 'colours, parts and sizes';

/** Before that many passes over the photos a network does not know them by heart, and learns most from them as they are. */
const PASSES_TO_VARY = 20;

/** @param shown pictures in the whole training */
export function chooseVariation({ pictures }: DataFacts, shown: number): Chosen<Variation> {
  const passes = shown / pictures;
  return passes < PASSES_TO_VARY
    ? { value: 'colours', why: 'shown so few times, pictures teach most as they are' }
    : { value: 'colours, parts and sizes', why: 'shown so often, pictures would be learned by heart' };
}

/** Share of the pictures that is kept for validation. */
export function validationShare(pictures: number): number {
  return pictures <= 2500 ? 0.2 : Math.max(0.02, 500 / pictures);
}

/**
 * Boxes of a picture: proposals that are kept, those of them that are learned from, and detections, all by what the fullest
 * pictures hold. A quarter of the sampled ones may be of objects; each costs as much as a good part of the backbone.
 */
export function chooseBoxCounts({ crowded }: DataFacts): { proposals: number; sampled: number; detections: number } {
  const proposals = Math.min(1000, Math.max(200, 100 * Math.ceil(crowded / 15)));
  return {
    proposals,
    sampled: Math.min(64, 16 + 4 * Math.max(2, crowded)),
    detections: Math.max(100, 50 * Math.ceil((2 * crowded) / 50)),
  };
}

/** Of each minute so many photos: what is looked at or copied is to be a small part of the time. */
const LOOKED_A_MINUTE = 240;

/** Whether every photo can be looked at, for twins and for copies; where there are more, each is hardly shown twice anyway. */
export function canLookAtAll(pictures: number, { minutes }: Wishes): boolean {
  return pictures <= LOOKED_A_MINUTE * minutes;
}

/** Photos this much larger than the network sees them are shrunk once: decoding them anew each time would take longer than learning. */
const SHRINK_FROM = 1.6;

/** Long side of the copies that are trained on; undefined where the photos are small enough. */
export function chooseCopySize(
  { longSide, pictures }: DataFacts,
  pictureSize: number,
  wishes: Wishes,
): Chosen<number> | undefined {
  if (!canLookAtAll(pictures, wishes)) return undefined;
  const value = Math.round(pictureSize * SHRINK_FROM);
  if (longSide.median <= value * 1.25) return undefined;
  return {
    value,
    why: `the photos have ${Math.round(longSide.median)} pixels: decoding them anew each time would take longer than learning from them`,
  };
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

function round(value: number): number {
  return Number(value.toPrecision(2));
}

/** As a line has it. */
export function minutesWords(count: number): string {
  return counted(count, 'minute');
}
