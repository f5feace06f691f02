// Models drawn from the schema, small ones, to find configs that are valid and fail in the engine.
import { createRandom, InputError, type Random } from '@goshawk/core';
import { manualSeed, ops, randn, scope, tensor } from '@goshawk/torch';
import { parseConfig, type RunConfig } from '../config/index.js';
import { type SchemaNode, schemaTree } from '../config/schema-node.js';
import { buildModel } from '../models/build.js';
import { totalLoss } from '../models/detectors/rcnn.js';
import { type ImageBatch, unscaledBatch } from '../models/structures.js';
import { SQUARE_KEYPOINTS, SQUARES, squareTargets } from './tiny-targets.js';

/** The largest whole number that is drawn: what has a larger default is always given, so that models are small. */
const MOST = 32;
const PICTURE = 128;
const SHARE_GIVEN = 0.3;

function pick<T>(values: readonly T[], draw: Random): T {
  return values[draw.integer(values.length)]!;
}

function drawn(node: SchemaNode, draw: Random): unknown {
  if (node.const !== undefined) return node.const;
  if (node.enum !== undefined) return pick(node.enum, draw);
  const options = node.oneOf ?? node.anyOf;
  if (options !== undefined) return drawn(pick(options, draw), draw);
  switch (node.type) {
    case 'boolean':
      return draw.uniform() < 0.5;
    case 'integer': {
      const [low, high] = [node.minimum ?? 0, Math.min(node.maximum ?? MOST, MOST)];
      return pick(
        [low, low + 1, 3, 4, 7, 8, 16, 32].filter((value) => value >= low && value <= high),
        draw,
      );
    }
    case 'number': {
      const [low, high] = [node.minimum ?? node.exclusiveMinimum ?? 0, node.maximum ?? node.exclusiveMaximum ?? 1];
      return pick(
        [low, high, 0.01, 0.3, 0.5, 0.9, 1, 2, 10, 32].filter((value) => isWithin(value, node)),
        draw,
      );
    }
    case 'array': {
      if (node.prefixItems !== undefined) return node.prefixItems.map((item) => drawn(item, draw));
      const length = Math.min(pick([node.minItems ?? 0, 1, 2, 4, 5], draw), node.maxItems ?? 5);
      // Lists of lists are of one length, as sizes of anchors have to be.
      const inner = draw.uniform();
      return Array.from({ length }, () => {
        if (node.items?.type !== 'array') return drawn(node.items!, draw);
        return Array.from({ length: 1 + Math.floor(inner * 3) }, () => drawn(node.items!.items!, draw));
      });
    }
    case 'object':
      return Object.fromEntries(
        Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
          isLarge(child) ||
          node.required?.includes(key) ||
          key === 'type' ||
          isGroup(child) ||
          draw.uniform() < SHARE_GIVEN
            ? child.type === 'string' && child.enum === undefined && child.const === undefined
              ? []
              : [[key, drawn(child, draw)]]
            : [],
        ),
      );
    default:
      return undefined;
  }
}

function isWithin(value: number, node: SchemaNode): boolean {
  return (
    value >= (node.minimum ?? -Infinity) &&
    value <= (node.maximum ?? Infinity) &&
    value > (node.exclusiveMinimum ?? -Infinity) &&
    value < (node.exclusiveMaximum ?? Infinity)
  );
}

function isLarge({ default: standard }: SchemaNode): boolean {
  const numbers = [standard].flat(2);
  return numbers.some((number) => typeof number === 'number' && number > MOST);
}

function isGroup({ properties, oneOf }: SchemaNode): boolean {
  return (properties ?? oneOf) !== undefined;
}

/**
 * A valid config of a small model; most draws are refused by the schema's rules and drawn again.
 * @param type the kind of model
 */
export function randomModel(type: string, draw: Random): RunConfig['model'] {
  const kind = schemaTree().properties!.model!.oneOf!.find((option) => option.properties?.type?.const === type)!;
  for (;;) {
    const model = drawn(kind, draw) as Drawn;
    // The larger ones differ by repetition alone.
    if (model.backbone?.type === 'resnet') model.backbone.depth = pick([18, 50], draw);
    if (model.backbone?.type === 'spinenet')
      Object.assign(model.backbone, {
        variant: '49S',
        widthScale: 0.1,
        repeats: 1,
        endpointChannels: pick([8, 32], draw),
      });
    if (model.backbone?.type === 'mobilenet') model.backbone.widthFactor = pick([0.1, 0.25], draw);
    if (type === 'solov2' || type === 'decoupled_solo') fitSolo(model, draw);
    model.classes = 2;
    try {
      return parseConfig(JSON.stringify({ model }), { file: 'random.yaml' }).model;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
}

interface Drawn {
  backbone?: Record<string, unknown>;
  head?: Record<string, unknown>;
  maskFeatures?: unknown;
  classes?: unknown;
}

/** What hardly ever fits when each number is drawn by itself: channels of group norms, a grid and a range of sizes for each level. */
function fitSolo(model: Drawn, draw: Random): void {
  const levels = pick([2, 4, 5, 6], draw);
  const ranges = Array.from({ length: levels }, (_, level) => [16 * level, pick([32, 64], draw) * (level + 1)]);
  const grids = Array.from({ length: levels }, () => pick([2, 3, 8, 16], draw));
  Object.assign(model.head!, { channels: 32, convolutions: pick([1, 2, 7], draw), grids, scaleRanges: ranges });
  if (model.maskFeatures) model.maskFeatures = { channels: 32, outputs: 32 };
}

/** Builds the model, takes the losses and gradients of one picture with two objects and of one without, and predicts. */
export function runOnce(model: RunConfig['model'], seed: number): void {
  manualSeed(seed);
  scope(() => {
    const detector = buildModel(model, { classes: 2, keypoints: SQUARE_KEYPOINTS });
    const batch = noiseBatch();
    const targets = [squareTargets(SQUARES), squareTargets([])];
    detector.train();
    totalLoss(detector.loss(batch, targets)).backward();
    detector.eval();
    detector.predict(batch);
  });
}

export function noiseBatch(): ImageBatch {
  const side = [PICTURE, PICTURE] as const;
  const pixels = ops.mul(randn([2, 3, ...side]), 0.2).to({ memoryFormat: 'channels_last' });
  const boxes = [...SQUARES, [0, 0, 20, 20], [40, 10, 90, 60]];
  const proposals = [0, 1].map(() => tensor(boxes.flat(), { shape: [boxes.length, 4] }));
  return { ...unscaledBatch(pixels, [side, side]), proposals };
}

export interface Failure {
  readonly seed: number;
  readonly model: RunConfig['model'];
  readonly error: Error;
}

export const MODEL_KINDS: readonly string[] = schemaTree().properties!.model!.oneOf!.map((option) =>
  String(option.properties!.type!.const),
);

/** Runs one model for each seed, the kinds by turns; gives those that end with anything but success or an InputError. */
export function* failures(firstSeed: number, count: number): Iterable<Failure> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const model = randomModel(MODEL_KINDS[seed % MODEL_KINDS.length]!, createRandom(seed));
    try {
      runOnce(model, seed);
    } catch (error) {
      if (!(error instanceof InputError)) yield { seed, model, error: error as Error };
    }
  }
}
