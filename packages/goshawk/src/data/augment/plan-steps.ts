// Draws what each step of data.augment does to a picture. Nothing here looks at pixels or objects: sizes and chances alone
// decide, so that a batch can be laid out before its pictures are read.
import {
  cornersMap,
  createRandom,
  foreshortening,
  inOrder,
  mirroring,
  type PlanarMap,
  type Random,
  randomBeta,
  randomPermutation,
  rotation,
  roundHalfToEven,
  scaling,
  shearing,
  translation,
} from '@goshawk/core';
import type { AugmentStepConfig, AugmentStepsConfig, SimpleStepConfig } from '../../config/index.js';
import type { DatasetSample, DetectionDataset } from '../dataset.js';
import type { KeptObjects, PlannedPicture, PlannedStep } from './planned-picture.js';

/** A picture with its steps, and the size to which they bring it. */
export interface SizedPlan {
  readonly picture: PlannedPicture;
  readonly width: number;
  readonly height: number;
}

/**
 * Plans a picture. Those that mosaics and mixups add are drawn from the data set, with replacement, and go through the steps
 * that stand before, with chances of their own.
 * @param stream numbers that the chances come from: equal ones give equal plans
 */
export function planSteps(
  sample: DatasetSample,
  steps: AugmentStepsConfig,
  dataset: Pick<DetectionDataset, 'samples' | 'classOf'>,
  stream: readonly number[],
): SizedPlan {
  const planner: Planner = { dataset, stream, random: createRandom(stream[0]!, ...stream.slice(1)), partners: 0 };
  const { width, height } = sample.image;
  const planned: PlannedStep[] = [];
  const size = planList(planner, steps, [], { width, height }, planned);
  const { image, path, annotations } = sample;
  const classes = annotations.map((annotation) => dataset.classOf.get(annotation.categoryId)!);
  return { picture: { image, path, annotations, classes, steps: planned }, ...size };
}

interface Planner {
  readonly dataset: Pick<DetectionDataset, 'samples' | 'classOf'>;
  readonly stream: readonly number[];
  readonly random: Random;
  /** Pictures that have been added so far. */
  partners: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Appends to `planned`. @param before what a picture has gone through that comes to the list */
function planList(
  planner: Planner,
  steps: AugmentStepsConfig,
  before: AugmentStepsConfig,
  size: Size,
  planned: PlannedStep[],
): Size {
  let now = size;
  steps.forEach((step, place) => {
    const { random } = planner;
    // A chance is drawn for every step, so that what one does depends on none of the others.
    if (random.uniform() >= step.probability) return;
    const earlier = [...before, ...steps.slice(0, place)];
    if (step.type === 'one_of') {
      now = planList(planner, chosenSteps(step, random), earlier, now, planned);
      return;
    }
    const next = planStep(planner, step, earlier, now);
    if (next === undefined) return;
    planned.push(next);
    if ('width' in next) now = { width: next.width, height: next.height };
  });
  return now;
}

function chosenSteps({ choices }: AugmentStepConfig & { type: 'one_of' }, random: Random): AugmentStepsConfig {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.uniform() * total;
  const chosen = choices.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  return (chosen ?? choices.findLast(({ weight }) => weight > 0)!).steps;
}

function planPartner(planner: Planner, steps: AugmentStepsConfig): SizedPlan {
  const { dataset, random, stream } = planner;
  const sample = dataset.samples[random.integer(dataset.samples.length)]!;
  return planSteps(sample, steps, dataset, [...stream, planner.partners++]);
}

/** Undefined where nothing would change. */
function planStep(
  planner: Planner,
  step: SimpleStepConfig,
  before: AugmentStepsConfig,
  size: Size,
): PlannedStep | undefined {
  const { random } = planner;
  const gain = (reach: number) => 1 + reach * signed(random);
  switch (step.type) {
    case 'hsv':
      return {
        kind: 'hsv',
        gains: { hue: gain(step.hue), saturation: gain(step.saturation), value: gain(step.value) },
      };
    case 'color': {
      const order = randomPermutation(3, random);
      const changes = (['brightness', 'contrast', 'saturation'] as const).map((change) => ({
        change,
        factor: gain(step[change]),
      }));
      return { kind: 'color', changes: Array.from(order, (at) => changes[at]!) };
    }
    case 'blur':
      return { kind: 'blur', filter: oneOf(step.filters, random), side: oneOf(step.kernels, random) };
    case 'noise':
      return { kind: 'noise', sigma: between(step.minSigma, step.maxSigma, random), seed: random.uint32() };
    case 'crop':
      return planCrop(step, size, random);
    case 'resize':
      return planResize(step, size);
    case 'affine':
      return planAffine(step, size, random);
    case 'perspective':
      return planPerspective(step, size, random);
    case 'flip': {
      const map = mirroring(step.direction, step.direction === 'horizontal' ? size.width : size.height);
      return { kind: 'move', map, ...size, fill: [0, 0, 0] };
    }
    case 'mosaic': {
      const side = 2 * step.size;
      const others = [0, 1, 2].map(() => planPartner(planner, before).picture);
      const centreX = Math.round(side * between(step.minCentre, step.maxCentre, random));
      const centreY = Math.round(side * between(step.minCentre, step.maxCentre, random));
      return {
        kind: 'mosaic',
        width: side,
        height: side,
        others,
        centreX,
        centreY,
        fill: step.fill,
        kept: keptBy(step),
      };
    }
    case 'mixup': {
      const other = planPartner(planner, before);
      return {
        kind: 'mixup',
        width: Math.max(size.width, other.width),
        height: Math.max(size.height, other.height),
        other: other.picture,
        share: randomBeta(step.alpha, random),
        fill: step.fill,
      };
    }
  }
}

type Step<Type extends SimpleStepConfig['type']> = Extract<SimpleStepConfig, { type: Type }>;

function planCrop(step: Step<'crop'>, size: Size, random: Random): PlannedStep {
  const side = (whole: number) => Math.max(1, Math.floor(whole * between(step.minShare, step.maxShare, random)));
  const [width, height] = [side(size.width), side(size.height)];
  const x = random.integer(size.width - width + 1);
  const y = random.integer(size.height - height + 1);
  return { kind: 'move', map: translation(-x, -y), width, height, fill: [0, 0, 0], kept: keptBy(step) };
}

/** Sizes and places are rounded as in Sparse R-CNN's PyTorch port. */
function planResize({ size, pad, fill }: Step<'resize'>, { width, height }: Size): PlannedStep {
  const factor = size / Math.max(width, height);
  const inner = {
    width: Math.max(1, roundHalfToEven(width * factor)),
    height: Math.max(1, roundHalfToEven(height * factor)),
  };
  if (!pad) return { kind: 'resize', ...inner, inner, left: 0, top: 0, fill };
  const margin = (length: number) => Math.round((size - length) / 2 - 0.1);
  return {
    kind: 'resize',
    width: size,
    height: size,
    inner,
    left: margin(inner.width),
    top: margin(inner.height),
    fill,
  };
}

function planAffine(step: Step<'affine'>, { width, height }: Size, random: Random): PlannedStep {
  const [toHeight, toWidth] = step.size ?? [height, width];
  const [perX, perY] = [step.perspective * signed(random), step.perspective * signed(random)];
  const degrees = step.degrees * signed(random);
  const scale = between(step.minScale, step.maxScale, random);
  const [shearX, shearY] = [step.shear * signed(random), step.shear * signed(random)];
  const [moveX, moveY] = [step.translate * signed(random), step.translate * signed(random)];
  const map = inOrder(
    translation(-width / 2, -height / 2),
    foreshortening(perX, perY),
    rotation(degrees),
    scaling(scale, scale),
    shearing(shearX, shearY),
    translation(toWidth * (0.5 + moveX), toHeight * (0.5 + moveY)),
  );
  return { kind: 'move', map: exact(map), width: toWidth, height: toHeight, fill: step.fill, kept: keptBy(step) };
}

function planPerspective(step: Step<'perspective'>, { width, height }: Size, random: Random): PlannedStep {
  const inwards = (side: number) => (step.distortion / 2) * side * random.uniform();
  const moved = [0, 0, width, 0, width, height, 0, height].map((corner, i) => {
    const side = i % 2 === 0 ? width : height;
    return corner === 0 ? inwards(side) : side - inwards(side);
  });
  const map = cornersMap(width, height, moved);
  return { kind: 'move', map, width, height, fill: step.fill, kept: keptBy(step) };
}

/** -0 as 0: it would be told from 0 where a map is asked whether it moves anything. */
function exact(map: PlanarMap): PlanarMap {
  return map.map((value) => value + 0) as unknown as PlanarMap;
}

function keptBy({ minSide, minVisible, maxAspect }: KeptObjects): KeptObjects {
  return { minSide, minVisible, maxAspect };
}

/** From -1 to 1. */
function signed(random: Random): number {
  return 2 * random.uniform() - 1;
}

function between(low: number, high: number, random: Random): number {
  return low + (high - low) * random.uniform();
}

function oneOf<T>(values: readonly T[], random: Random): T {
  return values[random.integer(values.length)]!;
}
