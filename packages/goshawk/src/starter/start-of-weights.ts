// What a file of weights is of, as far as a first config has to know.
import { existsSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { loadConfig, type ModelConfig, type PreprocessConfig } from '../config/index.js';
import { recogniseState } from '../foreign/weights.js';
import { readDescription, readWeights, requireKnownModel } from '../infer/index.js';
import { type ModelKind, modelKinds, type Start } from './rules.js';

export interface KnownStart {
  readonly start: Start;
  /** The detector's own, which the config takes as it is. */
  readonly model?: ModelConfig;
  readonly preprocess?: PreprocessConfig;
  /** Whether the file is a backbone's, which belongs into the config. */
  readonly isBackbone: boolean;
}

/** @throws InputError where the file is missing, or of a system whose weights do not tell their model */
export function startOfWeights(file: string | undefined): KnownStart {
  if (file === undefined) return { start: { kind: 'random' }, isBackbone: false };
  if (!existsSync(file)) throw new InputError('file-not-found', `${file}: no such file: check the path`);
  const own = readDescription(file);
  if (own !== undefined) return ofDetector(own.config.model, file, own.config.preprocess);
  const weights = readWeights(file);
  requireKnownModel(weights, file);
  const { dialect, state } = recogniseState(weights);
  if (dialect === 'ResNet' && bottlenecksOf(state) === RESNET_50)
    return { start: { kind: 'backbone' }, isBackbone: true };
  const shipped = dialect === 'torchvision' ? shippedConfigOf(new Set(state.keys())) : undefined;
  if (shipped === undefined)
    throw new InputError(
      'usage',
      `${file}: these are weights of ${dialect}, which do not tell their model: write a config from one in configs/, or take those of a detector of torchvision or of a ResNet-50`,
    );
  const { config } = loadConfig(shipped);
  return ofDetector(config.model, file, config.preprocess);
}

/** Blocks of the four stages. */
const RESNET_50 = '3,4,6,3';

function bottlenecksOf(state: ReadonlyMap<string, unknown>): string {
  const blocks = [1, 2, 3, 4].map(
    (stage) =>
      [...state.keys()].filter((name) =>
        new RegExp(`^backbone\\.body\\.layer${stage}\\.\\d+\\.conv3\\.weight$`).test(name),
      ).length,
  );
  return blocks.join();
}

function ofDetector(model: ModelConfig, file: string, preprocess: PreprocessConfig): KnownStart {
  if (!isKind(model.type))
    throw new InputError(
      'usage',
      `${file}: is a ${model.type}, for which there are no rules (expected ${modelKinds.join(', ')}): train it with a config`,
    );
  const { weights: _, ...backbone } = model.backbone;
  const learns = !('norm' in model.backbone) || model.backbone.norm === 'batch';
  return {
    start: { kind: 'detector', model: model.type, norms: learns ? 'learn' : 'frozen' },
    model: { ...model, backbone } as ModelConfig,
    preprocess,
    isBackbone: false,
  };
}

function isKind(type: string): type is ModelKind {
  return (modelKinds as readonly string[]).includes(type);
}

/** Which of torchvision's published detectors has such names of tensors. */
function shippedConfigOf(names: ReadonlySet<string>): string | undefined {
  const has = (part: RegExp): boolean => [...names].some((name) => part.test(name));
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
