// What is likely to be a slip in a training that could begin as it is: told before the first step, each in a line with what to do.
import { type Category, networkSize } from '@goshawk/core';
import { Buffer, FrozenBatchNorm2d } from '@goshawk/torch';
import type { ModelConfig, RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';
import type { WeightsReport } from '../infer/detector-file.js';
import { type Detector, RetinaNet } from '../models/index.js';
import { batchOfRun, type EffectiveSchedule } from './effective-schedule.js';
import type { EvaluationSet } from './training-data.js';

export interface NoticeFacts {
  readonly config: RunConfig;
  readonly model: Detector;
  readonly schedule: EffectiveSchedule;
  readonly processes: number;
  readonly trainSet: DetectionDataset;
  readonly valSets: readonly EvaluationSet[];
  /** What was loaded into the model; undefined where it goes on from a checkpoint. */
  readonly initialised: readonly WeightsReport[] | undefined;
}

export function trainingNotices(facts: NoticeFacts): readonly string[] {
  return [
    ...frozenAtRandom(facts),
    ...unfitAnchors(facts),
    ...unseenCategories(facts),
    ...largeBatch(facts),
    ...smallNorms(facts),
    ...sharedPictures(facts),
    ...lateSteps(facts),
    ...idlePatience(facts),
  ];
}

/** Layers that neither learn nor were loaded. */
function frozenAtRandom({ model, initialised, config }: NoticeFacts): string[] {
  if (initialised === undefined) return [];
  const loaded = new Set(initialised.flatMap((report) => report.loaded));
  const weights = [...model.namedParameters()].filter(([name, { requiresGrad }]) => !requiresGrad && !loaded.has(name));
  const remedy = 'name pretrained weights with --init or model.backbone.weights';
  const { backbone } = config.model;
  const [first] = weights;
  const frozen =
    first === undefined
      ? []
      : [
          `${weights.length} weights stay random: they are frozen (model.backbone.frozenStages${'frozenStages' in backbone ? ` is ${backbone.frozenStages}` : ''}), and nothing was loaded into them (the first is ${first[0]}): ${remedy}, or set frozenStages to 0`,
        ];
  const norms = [...model.modules()].filter((module) => module instanceof FrozenBatchNorm2d);
  const isKnown = [...bufferNames(model)].some((name) => loaded.has(name));
  if (norms.length === 0 || isKnown) return frozen;
  return [
    ...frozen,
    `${norms.length} frozen norms do nothing: their statistics are those of pretrained weights, and none were loaded: ${remedy}, or set model.backbone.norm to batch or group`,
  ];
}

/** Of frozen norms. */
function* bufferNames(model: Detector): Iterable<string> {
  const own = new Set<unknown>();
  for (const module of model.modules())
    if (module instanceof FrozenBatchNorm2d)
      for (const [, member] of module.members()) if (member instanceof Buffer) own.add(member);
  for (const [name, value] of model.stateDict()) if (own.has(value)) yield name;
}

/** An anchor that overlaps an object by less than this is background to it, in every system's defaults. */
const LEAST_IOU = 0.3;
/** Of the objects; fewer are the rare ones that every data set has. */
const UNFIT_SHARE = 0.1;

function unfitAnchors({ config, model, trainSet }: NoticeFacts): string[] {
  const anchors = anchorShapes(config.model, model);
  // Steps that change sizes at random show every object at many of them.
  if (anchors.length === 0 || config.data.jitter || config.data.augment.length > 0) return [];
  const { rule, minSize, maxSize, trainMinSizes, trainMaxSize } = config.preprocess.resize;
  const shown = {
    minSize: trainMinSizes.length > 0 ? Math.round(mean(trainMinSizes)) : minSize,
    maxSize: trainMaxSize ?? maxSize,
  };
  let objects = 0;
  const unfit: number[] = [];
  for (const { image, annotations } of trainSet.samples) {
    const { scaleX, scaleY } = networkSize(image.width, image.height, rule, shown);
    for (const { bbox } of annotations) {
      if (bbox === undefined) continue;
      const [width, height] = [bbox[2] * scaleX, bbox[3] * scaleY];
      objects++;
      if (anchors.every((anchor) => overlapOf(anchor, { width, height }) < LEAST_IOU))
        unfit.push(Math.sqrt(width * height));
    }
  }
  if (unfit.length < UNFIT_SHARE * objects) return [];
  const sides = anchors.map(({ width, height }) => Math.sqrt(width * height));
  unfit.sort((a, b) => a - b);
  const [small, large] = [0.1, 0.9].map((share) => unfit[Math.floor(share * (unfit.length - 1))]!);
  return [
    `no anchor fits ${unfit.length} of the ${objects} objects (IoU below ${LEAST_IOU}): most of these are ${range(small!, large!)} pixels long where the network sees them, the anchors ${range(Math.min(...sides), Math.max(...sides))}: set model.anchors, or preprocess.resize.minSize, to the objects that goshawk data stats shows`,
  ];
}

interface Shape {
  readonly width: number;
  readonly height: number;
}

/** One of each size and ratio; none of detectors without anchors. */
function anchorShapes(config: ModelConfig, model: Detector): readonly Shape[] {
  const shapes = (sides: readonly number[], ratios: readonly number[]): Shape[] =>
    sides.flatMap((side) =>
      ratios.map((ratio) => ({ width: side / Math.sqrt(ratio), height: side * Math.sqrt(ratio) })),
    );
  if (config.type === 'retinanet') {
    if (!(model instanceof RetinaNet)) return [];
    const { octaveBaseScale, scalesPerOctave, ratios } = config.anchors;
    const sides = model.backbone.strides.flatMap((stride) =>
      Array.from({ length: scalesPerOctave }, (_, step) => stride * octaveBaseScale * 2 ** (step / scalesPerOctave)),
    );
    return shapes(sides, ratios);
  }
  return 'anchors' in config ? shapes(config.anchors.sizes.flat(), config.anchors.ratios) : [];
}

/** IoU of two boxes with one centre: the most that boxes of these shapes can have where one lies in the other. */
function overlapOf(a: Shape, b: Shape): number {
  const both = Math.min(a.width, b.width) * Math.min(a.height, b.height);
  return both / (a.width * a.height + b.width * b.height - both);
}

function unseenCategories({ trainSet, valSets }: NoticeFacts): string[] {
  const seen = categoriesIn(trainSet);
  const unseen = trainSet.categories.filter(({ id }) => !seen.has(id));
  if (unseen.length === 0) return [];
  const asked = valSets.flatMap(({ dataset }) => [...categoriesIn(dataset)]);
  const count = `${unseen.length} of the ${trainSet.categories.length} categories`;
  const measured = unseen.filter(({ id }) => asked.includes(id));
  const consequence =
    measured.length > 0
      ? `evaluations will count ${measured.length === 1 ? 'one of them' : `${measured.length} of them`} as never found`
      : 'they will never be found';
  return [
    `${trainSet.fileName}: has no object of ${count} (${namesOf(unseen)}): ${consequence}: add pictures, or take them off the list`,
  ];
}

function categoriesIn({ samples }: DetectionDataset): ReadonlySet<number> {
  return new Set(samples.flatMap(({ annotations }) => annotations.map(({ categoryId }) => categoryId)));
}

const NAMES_SHOWN = 5;

function namesOf(categories: readonly Category[]): string {
  const names = categories.slice(0, NAMES_SHOWN).map(({ name }) => name);
  return categories.length > NAMES_SHOWN ? `${names.join(', ')}, ...` : names.join(', ');
}

function largeBatch({ config, processes, trainSet }: NoticeFacts): string[] {
  const images = batchOfRun(config.train, processes) * config.train.accumulate;
  const count = trainSet.samples.length;
  return images > count
    ? [`a step takes ${images} pictures of ${count}, so that some come twice in it: lower train.batchSize`]
    : [];
}

function smallNorms({ config, processes }: NoticeFacts): string[] {
  const { backbone } = config.model;
  const own = batchOfRun(config.train, processes) / processes;
  return 'norm' in backbone && backbone.norm === 'batch' && own < 2
    ? [
        'model.backbone.norm is batch, and a batch is one picture: its statistics are no measure of others: raise train.batchSize, or set the norm to group',
      ]
    : [];
}

/** Pictures of programs have names alone, which say nothing. */
function sharedPictures({ trainSet, valSets }: NoticeFacts): string[] {
  if (trainSet.load !== undefined) return [];
  const learned = new Set(trainSet.samples.map(({ path }) => path));
  return valSets.flatMap(({ dataset }) => {
    const shared = dataset.samples.filter(({ path }) => learned.has(path)).length;
    if (shared === 0) return [];
    const which = shared === dataset.samples.length ? 'all' : `${shared} of the ${dataset.samples.length}`;
    return [
      `${which} pictures of ${dataset.fileName} are learned from too: its figures say nothing about other pictures`,
    ];
  });
}

function lateSteps({ schedule: { schedule, iterations, minutes } }: NoticeFacts): string[] {
  const late = schedule.steps.filter((step) => step >= iterations);
  if (late.length === 0 || minutes !== undefined) return [];
  const which = late.length === schedule.steps.length ? 'none' : `only ${schedule.steps.length - late.length}`;
  return [
    `${which} of train.schedule.steps (${schedule.steps.join(', ')}) ${which === 'only 1' || which === 'none' ? 'comes' : 'come'} within the ${iterations} iterations: the learning rate stays high to the end`,
  ];
}

function idlePatience({ config, schedule, valSets }: NoticeFacts): string[] {
  const { patience } = config.train;
  if (patience === undefined) return [];
  if (valSets.length === 0) return ['train.patience has no effect without data.val'];
  if (schedule.evaluateEvery === 0)
    return ['train.patience has no effect: there is one evaluation, at the end: set train.evaluateEvery'];
  const evaluations = Math.floor(schedule.mostIterations / schedule.evaluateEvery);
  return evaluations <= patience
    ? [`train.patience of ${patience} has no effect: there are ${evaluations} evaluations`]
    : [];
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

function range(from: number, to: number): string {
  const [low, high] = [from, to].map((side) => Math.round(side));
  return low === high ? `${low}` : `${low} to ${high}`;
}
