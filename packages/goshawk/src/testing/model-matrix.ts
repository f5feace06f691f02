// Every detector on every backbone with every neck: which of them the schema takes, and whether those that it takes learn and predict.
// Detectors are those of the schema, so a new one is in the matrix as soon as a config can name it.
import { InputError } from '@goshawk/core';
import { manualSeed, noGrad, ops, SGD, scope, setThreads } from '@goshawk/torch';
import { type BackboneConfig, type ModelConfig, type NeckConfig, parseConfig } from '../config/index.js';
import { type SchemaNode, schemaTree } from '../config/schema-node.js';
import { buildModel } from '../models/build.js';
import { totalLoss } from '../models/detectors/rcnn.js';
import { detectorKind } from '../models/kinds.js';
import { MODEL_KINDS, noiseBatch } from './random-models.js';
import { SQUARE_KEYPOINTS, SQUARES, squareTargets } from './tiny-targets.js';

type Keys = Readonly<Record<string, unknown>>;

/** What a table calls them, and what a config says; a type of the schema that is missing here does not compile. */
const BACKBONES: Readonly<Record<BackboneConfig['type'], Readonly<Record<string, Keys>>>> = {
  resnet: {
    'ResNet-18': { depth: 18 },
    'ResNet-50': { depth: 50 },
    ResNeXt: { depth: 50, groups: 2, widthPerGroup: 16 },
    Res2Net: { depth: 50, scale: 4, widthPerGroup: 8 },
  },
  spinenet: { SpineNet: { widthScale: 0.25, endpointChannels: 32 } },
  mobilenet: {
    MobileNetV2: { variant: 'v2', widthFactor: 0.25 },
    'MobileNetV3 L': { variant: 'v3_large', widthFactor: 0.25 },
    'MobileNetV3 S': { variant: 'v3_small', widthFactor: 0.25 },
  },
};

const NECKS: Readonly<Record<NeckConfig['type'] | 'absent', Readonly<Record<string, Keys | undefined>>>> = {
  fpn: { FPN: {} },
  panet: { PANet: {} },
  bifpn: { BiFPN: {} },
  none: { C4: { stage: 4 }, C5: { stage: 5 } },
  // A detector or backbone that has no choice of one.
  absent: { none: undefined },
};

/** SpineNet is its own neck. */
const OWN_NECK = 'its own';

export const BACKBONE_NAMES: readonly string[] = Object.values(BACKBONES).flatMap((named) => Object.keys(named));

export interface MatrixCell {
  readonly detector: string;
  readonly backbone: string;
  readonly neck: string;
  readonly model: ModelConfig;
}

/** Whole numbers above it are made so small where they may. */
const MOST = 32;

/** Every combination that the schema takes, in the order of the schema and the tables above. */
export function* matrixCells(): Iterable<MatrixCell> {
  for (const detector of MODEL_KINDS) {
    const node = optionOf(schemaTree().properties!.model!, detector);
    for (const [backboneType, backbones] of Object.entries(BACKBONES))
      for (const [backbone, backboneKeys] of Object.entries(backbones)) {
        const body = { ...smallest(optionOf(node.properties!.backbone!, backboneType)), ...backboneKeys };
        const learning = 'frozenStages' in (optionOf(node.properties!.backbone!, backboneType).properties ?? {});
        const onBody = {
          ...smallest(node),
          type: detector,
          classes: 2,
          backbone: { ...body, type: backboneType, ...(learning && { frozenStages: 0 }) },
        };
        let isTaken = false;
        for (const [neckType, necks] of Object.entries(NECKS))
          for (const [neck, neckKeys] of Object.entries(necks)) {
            // Where a neck is named, leaving it out is the default one.
            if (neckType === 'absent' && isTaken) continue;
            const model = fitting(onBody, node, neckType, neckKeys);
            if (model === undefined) continue;
            const isOwn = backboneType === 'spinenet';
            if (isOwn && isTaken) continue;
            isTaken = true;
            yield { detector, backbone, neck: isOwn ? OWN_NECK : neck, model };
          }
      }
  }
}

/** The model of these parts with what they ask for besides; undefined where the schema refuses all of it. */
function fitting(keys: Keys, node: SchemaNode, neckType: string, neckKeys: Keys | undefined): ModelConfig | undefined {
  const { neck: _, ...withoutNeck } = keys;
  const neckNode = neckKeys && node.properties?.neck && optionOf(node.properties.neck, neckType);
  if (neckKeys && !neckNode?.properties) return undefined;
  const base = neckNode
    ? { ...withoutNeck, neck: { ...smallest(neckNode), ...neckKeys, type: neckType } }
    : withoutNeck;
  const levels = [1, 2, 3, 4, 5, 6, 7].map((count) => ({
    anchors: { sizes: Array.from({ length: count }, (_, level) => [8 * 2 ** level]) },
  }));
  const stage5 = { boxHead: { ...(keys.boxHead as Keys | undefined), kind: 'stage5', poolSize: 14 } };
  for (const further of [{}, ...levels, { ...levels[0], ...stage5 }]) {
    try {
      return parseConfig(JSON.stringify({ model: { ...base, ...further } }), { file: 'matrix.yaml' }).model;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  return undefined;
}

function optionOf(node: SchemaNode, type: string): SchemaNode {
  const typeOf = ({ properties }: SchemaNode): unknown => properties?.type?.const ?? properties?.type?.default;
  return node.oneOf?.find((option) => typeOf(option) === type) ?? (typeOf(node) === type ? node : {});
}

/** The keys of a group whose defaults are whole numbers above MOST, made MOST where their bounds allow it. */
function smallest(node: SchemaNode): Keys {
  const small: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    if (child.properties) {
      const inside = smallest(child);
      if (Object.keys(inside).length > 0) small[key] = inside;
      continue;
    }
    const least = child.minimum ?? 0;
    if (child.type === 'integer' && typeof child.default === 'number' && child.default > MOST && least <= MOST)
      small[key] = MOST;
    if (child.type === 'array' && child.items?.type === 'integer' && Array.isArray(child.default))
      small[key] = child.default.map((value: number) => Math.min(value, MOST));
  }
  return small;
}

/** The rows of docs/models.md: a detector each, in its cells the necks that it takes on a backbone. */
export function matrixTable(cells: Iterable<MatrixCell>): string {
  const necks = new Map<string, Map<string, string[]>>();
  for (const { detector, backbone, neck } of cells) {
    const row = necks.get(detector) ?? new Map<string, string[]>();
    necks.set(detector, row.set(backbone, [...(row.get(backbone) ?? []), neck]));
  }
  const lines = [...necks].map(([detector, row]) => [
    `\`${detector}\``,
    ...BACKBONE_NAMES.map((backbone) => row.get(backbone)?.join(', ') ?? '-'),
  ]);
  const rows = [['detector', ...BACKBONE_NAMES], ['', ...BACKBONE_NAMES].map(() => '---'), ...lines];
  return rows.map((cellsOf) => `| ${cellsOf.join(' | ')} |`).join('\n');
}

/**
 * Builds the model, takes a step of SGD on a picture with two objects and one without, and predicts.
 * @throws Error where a loss, gradient, parameter or prediction is missing or not finite
 */
export function tryModel(model: ModelConfig): void {
  manualSeed(1);
  setThreads(1);
  scope(() => {
    const detector = buildModel(model, { classes: 2, keypoints: SQUARE_KEYPOINTS }).to({
      memoryFormat: 'channels_last',
    });
    const batch = noiseBatch();
    const learning = detector.parameters().filter(({ requiresGrad }) => requiresGrad);
    const optimizer = new SGD(learning, { lr: 1e-4 });
    detector.train();
    const loss = totalLoss(detector.loss(batch, [squareTargets(SQUARES), squareTargets([])]));
    if (!Number.isFinite(loss.item())) throw new Error(`the loss is ${loss.item()}`);
    loss.backward();
    optimizer.step();
    for (const [name, parameter] of detector.namedParameters()) {
      const largest = noGrad(() => ops.max(ops.abs(parameter)).item());
      if (!Number.isFinite(largest)) throw new Error(`${name} is not finite after a step`);
    }
    if (learning.every(({ grad }) => grad === undefined)) throw new Error('no parameter has a gradient');
    detector.eval();
    const found = detector.predict(batch);
    if (found.length !== batch.sizes.length)
      throw new Error(`${found.length} predictions of ${batch.sizes.length} images`);
    const given = detectorKind(model).gives;
    for (const { boxes, scores } of found)
      if (![boxes, scores].every((values) => values.toNumbers().every(Number.isFinite)))
        throw new Error(`${given} that are not numbers`);
  });
}
