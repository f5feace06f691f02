// Refuses models that no machine holds or whose layers do not fit together, before memory is asked for, by the key that
// has to change.
import { InputError } from '@goshawk/core';
import type { RunConfig } from '../config/index.js';
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
  const options = { classes: config.model.classes === 'from-data' ? classes : config.model.classes };
  const fail = (path: Path, message: string, cause?: unknown): never => {
    throw new InputError('config-invalid', `${where(path)}: ${message}`, { cause });
  };
  try {
    const { parameters, heaviest, elements, widest } = modelExtent(config, options);
    if (parameters > MOST_PARAMETERS) {
      const key = decisiveKey(config, keysOf(heaviest), (smaller) => modelExtent(smaller, options).parameters);
      fail(key, `makes a model of ${words(parameters)} parameters, more than ${words(MOST_PARAMETERS)}: take less`);
    }
    if (elements > MOST_ELEMENTS) {
      const groups = [...keysOf(widest), ['preprocess', 'resize'], ['data', 'jitter']];
      const key = decisiveKey(config, groups, (smaller) => modelExtent(smaller, options).elements);
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
  ['head', ['head', 'anchors', 'neck', 'backbone']],
];

/** Searching the key takes no longer than the person would wait. */
const SEARCH_MS = 300;

/**
 * The number or list in these groups (or the model's classes) that decides most: the one of which half makes the model
 * smallest. The first group where none does, in the time that there is.
 */
function decisiveKey(config: Config, groups: readonly Path[], measure: (config: Config) => number): Path {
  const until = performance.now() + SEARCH_MS;
  const candidates = [['model', 'classes'], ...groups.flatMap((group) => halvable(valueAt(config, group), group))];
  const sizeOf = (path: Path): number => Number(total(valueAt(config, path)));
  let [best, least]: [Path, number] = [groups[0]!, Number.POSITIVE_INFINITY];
  for (const path of candidates.sort((a, b) => sizeOf(b) - sizeOf(a))) {
    if (performance.now() > until) break;
    const half = halved(valueAt(config, path));
    if (half === undefined) continue;
    try {
      const measured = measure(withValue(config, path, half) as Config);
      if (measured < least) [best, least] = [path, measured];
    } catch {
      // Half of it is no model.
    }
  }
  return best;
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
