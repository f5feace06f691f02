// What a file of weights is of, as far as a first config has to know.
import { basename } from 'node:path';
import { InputError } from '@goshawk/core';
import { type BackboneConfig, loadConfig, type ModelConfig, type PreprocessConfig } from '../config/index.js';
import { publishedAs } from '../foreign/torchvision/published-weights.js';
import { recogniseState } from '../foreign/weights.js';
import { readDescription, readWeights, requireKnownModel } from '../infer/index.js';
import { findWeights } from '../infer/weights-cache.js';
import { type ModelKind, modelKinds, type Start } from './rules.js';
import { startInConfig } from './start-words.js';

export interface KnownStart {
  readonly start: Start;
  /** The detector's own, which the config takes as it is. */
  readonly model?: ModelConfig;
  readonly preprocess?: PreprocessConfig;
  /** Of a backbone's file: what it is of, its place included. */
  readonly backbone?: object;
  /** Random weights are asked for, and those of the package not to take their place. */
  readonly isRandom?: true;
}

/**
 * @param text a file, the name of published weights in the cache or of those in the package, or `random`
 * @throws InputError where there is no such file, or its weights do not tell their model
 */
export function startOfWeights(text: string | undefined): KnownStart {
  if (text === undefined) return { start: { kind: 'random' } };
  const inConfig = startInConfig(text);
  if (inConfig === 'random') return { start: { kind: 'random' }, isRandom: true };
  if (inConfig) return { start: { kind: 'random' }, backbone: { ...inConfig.backbone, weights: inConfig.name } };
  const file = findWeights(text, '--init');
  const own = readDescription(file);
  if (own !== undefined) return ofDetector(own.config.model, file, own.config.preprocess);
  const published = publishedAs(basename(file));
  if (published !== undefined) {
    const { model, preprocess } = loadConfig(published.config, published.sets).config;
    return published.part === 'detector' ? ofDetector(model, file, preprocess) : ofBackbone(model.backbone, file);
  }
  const weights = readWeights(file);
  requireKnownModel(weights, file);
  const { dialect, state } = recogniseState(weights);
  const names = [...state.keys()];
  const depth = dialect === 'ResNet' ? depthOf(names) : undefined;
  if (depth !== undefined) return ofBackbone({ type: 'resnet', depth }, file);
  const shipped = dialect === 'torchvision' ? shippedConfigOf(names) : undefined;
  if (shipped === undefined)
    throw new InputError(
      'usage',
      `${file}: these are weights of ${dialect}, which do not tell their model: write a config from one in configs/, or take those of a detector of torchvision or of a ResNet`,
    );
  const { config } = loadConfig(shipped);
  return ofDetector(config.model, file, config.preprocess);
}

/** Blocks of the four stages, and convolutions of each. */
const DEPTHS = {
  '2,2,2,2 of 2': 18,
  '3,4,6,3 of 2': 34,
  '3,4,6,3 of 3': 50,
  '3,4,23,3 of 3': 101,
  '3,8,36,3 of 3': 152,
} as const;

function depthOf(names: readonly string[]): (typeof DEPTHS)[keyof typeof DEPTHS] | undefined {
  const blocks = [1, 2, 3, 4].map((stage) => {
    const first = new RegExp(`^backbone\\.body\\.layer${stage}\\.\\d+\\.conv1\\.weight$`);
    return names.filter((name) => first.test(name)).length;
  });
  const convolutions = names.some((name) => name.endsWith('.conv3.weight')) ? 3 : 2;
  return DEPTHS[`${blocks.join()} of ${convolutions}` as keyof typeof DEPTHS];
}

/** The rules say what is frozen, and their anchors are for four levels, as networks give them unasked. */
function ofBackbone(known: Partial<BackboneConfig>, file: string): KnownStart {
  const ruled = new Set(['norm', 'frozenStages', 'featureLayers']);
  const backbone = Object.fromEntries(Object.entries(known).filter(([key]) => !ruled.has(key)));
  return { start: { kind: 'backbone' }, backbone: { ...backbone, weights: file } };
}

function ofDetector(model: ModelConfig, file: string, preprocess: PreprocessConfig): KnownStart {
  if (!isKind(model.type))
    throw new InputError(
      'usage',
      `${file}: is a ${model.type}, for which there are no rules (expected ${modelKinds.join(', ')}): train it with a config`,
    );
  const { weights: _, ...backbone } = model.backbone;
  const learns = !('norm' in backbone) || backbone.norm === 'batch' || backbone.norm === 'sync_batch';
  return {
    start: { kind: 'detector', model: model.type, norms: learns ? 'learn' : 'frozen' },
    model: { ...model, backbone } as ModelConfig,
    preprocess,
  };
}

function isKind(type: string): type is ModelKind {
  return (modelKinds as readonly string[]).includes(type);
}

/** Which of torchvision's published detectors has such names of tensors. */
function shippedConfigOf(names: readonly string[]): string | undefined {
  const has = (part: RegExp): boolean => names.some((name) => part.test(name));
  if (!has(/^backbone\.body\./)) return undefined;
  const isSecond = has(/^backbone\.fpn\.inner_blocks\.0\.1\./) || has(/^head\.classification_head\.conv\.0\.1\./);
  const version = isSecond ? '_v2' : '';
  const name = has(/^head\.classification_head\./)
    ? `retinanet_r50_fpn${version}`
    : has(/^backbone\.body\.1\.block\./)
      ? 'faster_rcnn_mobilenet_v3_large_fpn'
      : has(/^roi_heads\.mask_head\./)
        ? `mask_rcnn_r50_fpn${version}`
        : has(/^roi_heads\.keypoint_head\./)
          ? 'keypoint_rcnn_r50_fpn'
          : `faster_rcnn_r50_fpn${version}`;
  return `configs/torchvision/${name}.yaml`;
}
