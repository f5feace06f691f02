// Refuses models that no machine holds or whose layers do not fit together, before memory is asked for, by the key that
// has to change.
import { InputError } from '@goshawk/core';
import { type NeckConfig, type RetinaNeckConfig, type RunConfig, runConfigSchema } from '../config/index.js';
import { detectorKind } from './kinds.js';
import { modelExtent, UnfitModelError } from './model-extent.js';

/** The largest published ResNeXt, 101 32x48d, has 829 million. */
const MOST_PARAMETERS = 1e9;
/** Numbers in one tensor: 8 GB for an image, 32 for a batch. The first layer of a ResNet on 4000 x 4000 pixels makes 0.26e9. */
const MOST_ELEMENTS = 2 ** 31;
const MOST_BATCH_ELEMENTS = 2 ** 33;

type Config = Pick<RunConfig, 'model' | 'preprocess' | 'data' | 'train'>;
type Path = readonly (string | number)[];

export interface CheckModelOptions {
  /** Of the data, where the config leaves it to them. */
  readonly classes: number;
  /** Images that pass through the network at once. */
  readonly batchSize: number;
  /** The place of a key, for the message. */
  readonly where: (path: Path) => string;
}

/** @throws InputError (config-invalid) with the place and what to do */
export function checkModel(config: Config, { classes, batchSize, where }: CheckModelOptions): void {
  const extentOf = (of: Config) =>
    modelExtent(of, { classes: of.model.classes === 'from-data' ? classes : of.model.classes });
  const fail = (path: Path, message: string, cause?: unknown): never => {
    throw new InputError('config-invalid', `${where(path)}: ${message}`, { cause });
  };
  try {
    const { parameters, heaviest, elements, widest } = extentOf(config);
    if (parameters > MOST_PARAMETERS) {
      const key = decisiveKey(config, keysOf(heaviest), (smaller) => extentOf(smaller).parameters);
      fail(key, `makes a model of ${words(parameters)} parameters, more than ${words(MOST_PARAMETERS)}: take less`);
    }
    if (elements > MOST_ELEMENTS) {
      const groups = [...keysOf(widest), ['preprocess', 'resize'], ['data', 'jitter']];
      const key = decisiveKey(config, groups, (smaller) => extentOf(smaller).elements);
      fail(
        key,
        `makes ${words(elements)} numbers of an image in one layer, more than ${words(MOST_ELEMENTS)}: take less`,
      );
    }
    if (elements * batchSize > MOST_BATCH_ELEMENTS) {
      const most = Math.max(1, Math.floor(MOST_BATCH_ELEMENTS / elements));
      fail(
        ['train', 'batchSize'],
        `got ${batchSize}: images of this size are too large for more than ${most}: take less`,
      );
    }
  } catch (error) {
    if (error instanceof UnfitModelError) {
      const { part, cause } = error;
      const at = part === '' ? '' : ` at ${part}`;
      fail(keysOf(part)[0]!, `the layers do not fit together${at}: compare it with a file in configs/`, cause);
    }
    // A part that checks its own plan names the key, not the file.
    if (error instanceof InputError && /^(model|preprocess)\./.test(error.message)) {
      const [key = ''] = error.message.split(':', 1);
      fail(pathOf(key), error.message.slice(key.length + 2), error);
    }
    throw error;
  }
}

/** Groups of keys that decide about the part of a state name, the nearest first. */
function keysOf(part: string): Path[] {
  const found = GROUPS.find(([beginning]) => part.startsWith(beginning));
  return found === undefined ? [['model']] : found[1].map((group) => ['model', group]);
}

const GROUPS: readonly (readonly [beginning: string, groups: readonly string[]])[] = [
  ['backbone.fpn', ['neck', 'backbone']],
  ['backbone', ['backbone']],
  ['rpn', ['rpn', 'anchors', 'neck', 'backbone']],
  ['roi_heads.box', ['boxHead', 'neck', 'backbone', 'rpn']],
  ['roi_heads.mask', ['maskHead', 'boxHead', 'neck', 'backbone']],
  ['roi_heads.keypoint', ['keypointHead', 'boxHead', 'neck', 'backbone']],
  ['mask_features', ['maskFeatures', 'neck', 'backbone']],
  ['head', ['head', 'anchors', 'neck', 'backbone', 'proposals']],
  ['init_proposal', ['proposals', 'neck', 'backbone']],
];

/** Half of a key that decides takes at least this share away. */
const DECISIVE_SHARE = 0.05;

/**
 * The number or list in these groups (or the model's classes) that is farthest above the usual, as a multiple of the default,
 * and of which half makes the model smaller. The first group where none does.
 */
function decisiveKey(config: Config, groups: readonly Path[], measure: (config: Config) => number): Path {
  const usual = usualConfig(config);
  // A key without a default was set by a person.
  const excess = (path: Path): number => total(valueAt(config, path)) / (total(valueAt(usual, path)) || 1);
  const candidates = [['model', 'classes'], ...groups.flatMap((group) => halvable(valueAt(config, group), group))];
  const whole = measure(config);
  for (const path of candidates.sort((a, b) => excess(b) - excess(a))) {
    const half = halved(valueAt(config, path));
    if (half === undefined) continue;
    try {
      if (measure(withValue(config, path, half) as Config) < whole * (1 - DECISIVE_SHARE)) return path;
    } catch {
      // Half of it is no model.
    }
  }
  return groups[0]!;
}

/** The defaults of a model of the same kind, on COCO's classes; undefined for a composition that has none. */
function usualConfig({ model }: Config): RunConfig | undefined {
  const { type, backbone } = model;
  const neck = 'neck' in model && model.neck && 'type' in model.neck ? { neck: withoutNumbers(model.neck) } : {};
  const boxHead = 'boxHead' in model ? { boxHead: { kind: model.boxHead.kind } } : {};
  const anchors = 'anchors' in model ? { anchors: model.anchors } : {};
  const classes = detectorKind(model).cocoClasses;
  const usual = { type, classes, backbone: { type: backbone.type }, ...anchors, ...neck, ...boxHead };
  return runConfigSchema.safeParse({ model: usual }).data;
}

/** The choices in a group; the stage of a neck is one, its channels and repeats are none. */
function withoutNumbers(neck: NeckConfig | RetinaNeckConfig): object {
  return Object.fromEntries(Object.entries(neck).filter(([key]) => key !== 'channels' && key !== 'repeats'));
}

function halvable(value: unknown, path: Path): Path[] {
  if (halved(value) !== undefined) return [path];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, child]) => halvable(child, [...path, key]));
}

/** Undefined for what has no half. */
function halved(value: unknown): unknown {
  if (typeof value === 'number') return value < 2 ? undefined : Number.isInteger(value) ? value >> 1 : value / 2;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const halves = value.map((item) => halved(item) ?? item);
  return total(halves) < total(value) ? halves : undefined;
}

function total(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + total(item), 0);
  return typeof value === 'number' ? value : 0;
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((here, key) => (here as Readonly<Record<string, unknown>> | undefined)?.[key], value);
}

function withValue(value: unknown, [key, ...rest]: Path, part: unknown): unknown {
  if (key === undefined) return part;
  const group = value as Readonly<Record<string, unknown>>;
  return { ...group, [key]: withValue(group[key], rest, part) };
}

function pathOf(key: string): Path {
  return key
    .replace(/ \(.*\)$/, '')
    .replace(/\[(\d+)\]/g, '.$1')
    .split('.')
    .map((word) => (/^\d+$/.test(word) ? Number(word) : word));
}

const words = (count: number): string => Math.round(count).toLocaleString('en-US');
