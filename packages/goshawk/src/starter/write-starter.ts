// A first config as a text: the chosen values with their reasons as comments, and nothing that is a default anyway.
import { Document, isMap, isScalar, isSeq, type Pair, visit } from 'yaml';
import { applySetOption, parseSetOption } from '../config/set-option.js';
import type { DataFacts } from './data-facts.js';
import {
  type Chosen,
  chooseAnchors,
  chooseBoxCounts,
  chooseFlip,
  chooseVariation,
  type Freezing,
  type Length,
  type Levels,
  type ModelKind,
  type NetworkSize,
  type Optimization,
  type Variation,
  widths,
} from './rules.js';

/** A set of a split, as a config names it. */
export interface SetOfConfig {
  readonly annotations: string;
  readonly images?: string;
  readonly set?: string;
  readonly format?: string;
  readonly classes?: readonly string[];
}

export interface SplitsOfConfig {
  readonly train: SetOfConfig;
  readonly val: SetOfConfig;
  readonly test?: SetOfConfig;
}

/** All that a config says. */
export interface StarterChoices {
  readonly facts: DataFacts;
  readonly splits: Chosen<SplitsOfConfig>;
  readonly model: Chosen<ModelKind>;
  readonly size: Chosen<NetworkSize>;
  readonly freezing: Chosen<Freezing>;
  /** Long side, network pixels. */
  readonly pictureSize: Chosen<number>;
  readonly levels: Chosen<Levels>;
  readonly optimization: Chosen<Optimization>;
  readonly precision: Chosen<'fp32' | 'bf16'>;
  readonly length: Chosen<Length>;
  readonly minutes: Chosen<number>;
  readonly workers: number;
  readonly device: 'cpu' | 'cuda';
  /** The package's own that the backbone starts from; absent: random ones, or others that are named. */
  readonly weights?: Chosen<string>;
  /** What weights at the start say of the backbone, their file included. */
  readonly knownBackbone?: object;
  /** The model of the weights at the start, which is taken as it is. */
  readonly knownModel?: object;
  /** What its pictures have to be like. */
  readonly knownPreprocess?: object;
  /** `--set` options, which go before all that was chosen. */
  readonly sets?: readonly string[];
}

type Tree = { readonly [key: string]: unknown };
/** By dotted path what stands above a key. */
type Reasons = Map<string, string>;

/** @returns YAML, which reads back to the config, and the reasons by the key that they are of */
export function starterText(choices: StarterChoices, heading: string): string {
  const reasons: Reasons = new Map();
  const sets = (choices.sets ?? []).map(parseSetOption);
  const value = sets.reduce<unknown>(applySetOption, starterValue(choices, reasons));
  for (const path of reasons.keys())
    if (sets.some((set) => `${path}.`.startsWith(`${set.path.join('.')}.`))) reasons.set(path, 'as asked for');
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Seq: (_, list) => {
      if (list.items.every((item) => isScalar(item) || isSeq(item))) list.flow = true;
    },
  });
  for (const [path, why] of reasons) commentAt(document, path.split('.'), why);
  document.commentBefore = heading
    .split('\n')
    .map((line) => ` ${line}`)
    .join('\n');
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}

/** The same as a value; `reasons` is filled. */
export function starterValue(choices: StarterChoices, reasons: Reasons = new Map()): Tree {
  const { facts, splits, precision, length, minutes, optimization, workers, device, pictureSize } = choices;
  const because = (path: string, { why }: { readonly why: string }): void => {
    reasons.set(path, reasons.has(path) ? `${reasons.get(path)}; ${why}` : why);
  };
  because('data', splits);
  because('preprocess.resize', pictureSize);
  because('train.minutes', minutes);
  because('train.batchSize', optimization);
  because('train.precision', precision);
  because('train.iterations', length);
  const flip = chooseFlip(facts);
  because('data.flip', flip);
  const { type, lr, weightDecay, batchSize, clipGradNorm } = optimization.value;
  const { iterations, warmupIterations, evaluateEvery } = length.value;
  const variation = chooseVariation(facts, iterations * batchSize);
  if (choices.knownModel === undefined) because('data.augment', variation);
  return {
    model: modelValue(choices, because),
    preprocess: {
      ...choices.knownPreprocess,
      resize: { kernel: 'pil', minSize: pictureSize.value, maxSize: pictureSize.value },
    },
    data: {
      ...splits.value,
      workers,
      flip: flip.value,
      ...(choices.knownModel === undefined && { augment: augmentValue(variation.value) }),
    },
    train: {
      minutes: minutes.value,
      iterations,
      batchSize,
      precision: precision.value,
      optimizer: { type, lr, weightDecay },
      schedule: { warmupIterations, decay: 'cosine', finalFactor: 0.01 },
      ...(clipGradNorm !== undefined && { clipGradNorm }),
      ema: { decay: 0.998, rampUp: Math.max(20, Math.round(iterations / 10)) },
      evaluateEvery,
      checkpointEvery: Math.max(1, Math.ceil(iterations / 2)),
    },
    ...(device === 'cuda' && { runtime: { device } }),
  };
}

function modelValue(choices: StarterChoices, because: (path: string, choice: { readonly why: string }) => void): Tree {
  const { model, size, freezing, knownModel, pictureSize, levels, facts, knownBackbone, weights } = choices;
  because('model', model);
  if (knownModel !== undefined) return { ...knownModel, classes: 'from-data' };
  because('model.backbone', size);
  because('model.backbone', freezing);
  const { depth, width, pyramid, hidden } = widths[size.value];
  if (weights) because('model.backbone', weights);
  const own = { depth, width, ...(weights && { weights: weights.value }) };
  const backbone = { ...(knownBackbone ?? own), ...freezing.value };
  const anchors = chooseAnchors(facts, pictureSize.value, levels.value);
  because('model.anchors', anchors);
  const [finestStride = 4] = levels.value.strides;
  if (finestStride > 4) because('model.neck', levels);
  const { proposals, sampled, detections } = chooseBoxCounts(facts);
  if (model.value === 'retinanet')
    return {
      type: model.value,
      backbone,
      neck: { channels: pyramid },
      anchors: {
        octaveBaseScale: Number((anchors.value.sizes[0]![0]! / 8).toPrecision(2)),
        ratios: anchors.value.ratios,
      },
      head: { convolutions: size.value === 'full' ? 4 : 2, maxDetections: detections },
    };
  return {
    type: model.value,
    backbone,
    neck: { channels: pyramid, ...(finestStride > 4 && { finestStride, extraLevel: 'none' }) },
    anchors: anchors.value,
    rpn: {
      preNmsTopN: { train: 2 * proposals, test: 2 * proposals },
      postNmsTopN: { train: proposals, test: proposals },
      batchSizePerImage: 2 * sampled,
    },
    boxHead: { batchSizePerImage: sampled, hiddenSize: hidden, maxDetections: detections },
    ...(model.value === 'mask_rcnn' && { maskHead: { channels: [pyramid, pyramid] } }),
    ...(model.value === 'keypoint_rcnn' && { keypointHead: { channels: [pyramid, pyramid, pyramid, pyramid] } }),
  };
}

function augmentValue(variation: Variation): readonly Tree[] {
  const colours = { type: 'hsv' };
  if (variation === 'colours') return [colours];
  const moved = { type: 'affine', minScale: 0.6, maxScale: 1.4, translate: 0.15 };
  return [colours, { type: 'one_of', choices: [{}, { steps: [{ type: 'crop', minShare: 0.5 }] }, { steps: [moved] }] }];
}

function commentAt(document: Document, path: readonly string[], why: string): void {
  let node: unknown = document.contents;
  let pair: Pair | undefined;
  for (const key of path) {
    pair = isMap(node) ? (node.items.find((item) => isScalar(item.key) && item.key.value === key) as Pair) : undefined;
    node = pair?.value;
  }
  if (pair !== undefined && isScalar(pair.key)) pair.key.commentBefore = ` ${why}`;
}
