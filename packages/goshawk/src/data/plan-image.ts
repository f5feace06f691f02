// What is drawn for one picture of a batch: the steps of data.augment, mirroring, size, crop. It is a function of the seed and the picture's turn
// alone, so that workers, timing and resuming change nothing.
import {
  aspectWindow,
  createRandom,
  fittedSize,
  networkSize,
  type PixelWindow,
  type Preprocess,
  type Random,
  randomWindow,
  seenSize,
  windowOver,
} from '@goshawk/core';
import type { AugmentStepsConfig } from '../config/index.js';
import { planSteps } from './augment/plan-steps.js';
import type { PlannedStep } from './augment/planned-picture.js';
import type { DatasetSample, DetectionDataset } from './dataset.js';
import { augmentStream, type Draw, stepsStream } from './samplers.js';
import { boxInView, type PictureView } from './target.js';

/** What training varies. Everything absent is left as it is. */
export interface Augment {
  /** What comes before all else, in order. With `jitter` or `aspectCropping`: changes of colours alone. */
  readonly steps?: AugmentStepsConfig;
  /** Share of pictures that are mirrored, 0..1. Default 0. */
  readonly flip?: number;
  /** Lengths of the short side of which one is drawn for each picture. Default: the one of `preprocess`. */
  readonly minSizes?: readonly number[];
  /** What is drawn: one of them, or any whole number from the smallest to the largest. Default value. */
  readonly sizes?: 'value' | 'range';
  /** The most that the long side may be. Default: that of `preprocess`. */
  readonly maxSize?: number;
  /** Width / height beyond which the resized picture is cropped to the bound, see `aspectWindow`. */
  readonly aspectCropping?: { readonly low: number; readonly high: number };
  readonly jitter?: Jitter;
}

/**
 * Large-scale jitter, mmdetection's Resize(ratio_range) and RandomCrop: the picture becomes a random multiple of the size
 * at which it just fits into `size`, in place of any other resizing; of that, a random window of at most `size` is taken
 * and padded to `size`.
 */
export interface Jitter {
  /** `[height, width]` of every picture, network pixels. */
  readonly size: readonly [number, number];
  readonly minScale: number;
  readonly maxScale: number;
}

export interface PlanOptions {
  readonly dataset: DetectionDataset;
  readonly preprocess: Preprocess;
  readonly augment?: Augment;
  readonly legacyPlusOne?: boolean;
}

export interface ImagePlan {
  readonly sample: DatasetSample;
  /** What the picture goes through first. Absent: nothing. */
  readonly steps?: readonly PlannedStep[];
  /** Of the picture after its steps. */
  readonly view: PictureView;
  /** What the network sees of the picture, pixels. */
  readonly width: number;
  readonly height: number;
}

// With an object in every second crop, this many misses in a row come once in 2^50 pictures.
const MOST_DRAWS = 50;

/** Plans the picture that `draw` names; with jitter another one takes its place where a crop would show no object. */
export function planImage(draw: Draw, seed: number, options: PlanOptions): ImagePlan {
  const { dataset, augment = {} } = options;
  const random = createRandom(seed, augmentStream, draw.position);
  const flip = random.uniform() < (augment.flip ?? 0);
  const sample = dataset.samples[draw.index]!;
  const through = (of: DatasetSample) =>
    planSteps(of, augment.steps ?? [], dataset, [seed, stepsStream, draw.position]);
  if (augment.jitter) {
    const plan = jitteredPlan(sample, flip, augment.jitter, options, random);
    return augment.steps?.length ? { ...plan, steps: through(plan.sample).picture.steps } : plan;
  }
  if (!augment.steps?.length) return planOf(sample, croppedView(sample, flip, options, random));
  const { picture, width, height } = through(sample);
  const shown = { ...sample, image: { ...sample.image, width, height } };
  return { ...planOf(sample, croppedView(shown, flip, options, random)), steps: picture.steps };
}

function croppedView(sample: DatasetSample, flip: boolean, options: PlanOptions, random: Random): PictureView {
  const view = resizedView(sample, flip, options, random);
  const bounds = options.augment?.aspectCropping;
  return bounds ? { ...view, window: aspectWindow(view.size, boxesOf(sample, view), bounds, random) } : view;
}

function resizedView(
  { image }: DatasetSample,
  flip: boolean,
  { preprocess: { resize }, augment = {}, legacyPlusOne }: PlanOptions,
  random: Random,
): PictureView {
  const minSizes = augment.minSizes?.length ? augment.minSizes : [resize.minSize];
  const minSize =
    augment.sizes === 'range' ? drawnBetween(minSizes, random) : minSizes[random.integer(minSizes.length)]!;
  const maxSize = augment.maxSize ?? resize.maxSize;
  return { size: networkSize(image.width, image.height, resize.rule, { minSize, maxSize }), flip, legacyPlusOne };
}

/** mmdetection's multiscale_mode range: both ends can come. */
function drawnBetween(sizes: readonly number[], random: Random): number {
  const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
  return low + random.integer(high - low + 1);
}

function jitteredPlan(
  drawn: DatasetSample,
  flip: boolean,
  jitter: Jitter,
  { dataset, legacyPlusOne }: PlanOptions,
  random: Random,
): ImagePlan {
  const [height, width] = jitter.size;
  let sample = drawn;
  for (let count = 0; count < MOST_DRAWS; count++) {
    const view = jitteredView(sample, flip, jitter, random);
    const window = randomWindow(view.size, { width, height }, random);
    const seen = { ...view, window, legacyPlusOne };
    if (sample.annotations.length === 0 || boxesOf(sample, seen).length > 0) return planOf(sample, seen);
    sample = dataset.samples[random.integer(dataset.samples.length)]!;
  }
  const view = { ...jitteredView(drawn, flip, jitter, random), legacyPlusOne };
  const [box] = boxesOf(drawn, view);
  const window: PixelWindow = box
    ? windowOver(view.size, { width, height }, box, random)
    : randomWindow(view.size, { width, height }, random);
  return planOf(drawn, { ...view, window });
}

function jitteredView({ image }: DatasetSample, flip: boolean, jitter: Jitter, random: Random): PictureView {
  const { minScale, maxScale, size } = jitter;
  const scale = minScale + (maxScale - minScale) * random.uniform();
  const [height, width] = size.map((side) => Math.max(1, Math.floor(side * scale))) as [number, number];
  return { size: fittedSize(image.width, image.height, { width, height }), flip };
}

function boxesOf({ annotations, image }: DatasetSample, view: PictureView) {
  return annotations.map((annotation) => boxInView(annotation, image, view)).filter((box) => box !== undefined);
}

function planOf(sample: DatasetSample, view: PictureView): ImagePlan {
  const { width, height } = view.window ?? seenSize(view.size);
  return { sample, view, width, height };
}
