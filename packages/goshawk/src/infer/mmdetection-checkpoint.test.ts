// All names in a checkpoint of mmdetection's Mask R-CNN, listed here as the modules of mmdetection 1.1 give
// them, against those of the models here.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig, type ModelConfig, parseConfig } from '../config/index.js';
import { recogniseState } from '../foreign/weights.js';
import { buildModel } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { outputsIn } from './detector-file.js';

const numbered = (count: number, name: (index: number) => string[]): string[] =>
  Array.from({ length: count }, (_, index) => name(index)).flat();
const affine = (name: string): string[] => [`${name}.weight`, `${name}.bias`];
const batchNorm = (name: string): string[] =>
  ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((leaf) => `${name}.${leaf}`);
const convModule = (name: string, norm: boolean): string[] =>
  norm ? [`${name}.conv.weight`, ...batchNorm(`${name}.bn`)] : affine(`${name}.conv`);

const PROPOSALS = ['rpn_conv', 'rpn_cls', 'rpn_reg'].flatMap((layer) => affine(`rpn_head.${layer}`));
const PREDICTORS = ['bbox_head.fc_cls', 'bbox_head.fc_reg', 'mask_head.upsample', 'mask_head.conv_logits'].flatMap(
  affine,
);
const masks = (norm: boolean): string[] => numbered(4, (i) => convModule(`mask_head.convs.${i}`, norm));

const SPINENET_HEADS = [
  ...PROPOSALS,
  ...PREDICTORS,
  ...masks(true),
  ...numbered(4, (i) => convModule(`bbox_head.shared_convs.${i}`, true)),
  ...affine('bbox_head.shared_fcs.0'),
];
const RESNET_HEADS = [
  ...PROPOSALS,
  ...PREDICTORS,
  ...masks(false),
  ...numbered(2, (i) => affine(`bbox_head.shared_fcs.${i}`)),
  ...numbered(4, (i) => [...convModule(`neck.lateral_convs.${i}`, false), ...convModule(`neck.fpn_convs.${i}`, false)]),
];

const shipped = (name: string): ModelConfig =>
  loadConfig(fileURLToPath(new URL(`../../../../configs/${name}.yaml`, import.meta.url))).config.model;

/** Shapes of a model's state by name. */
function shapesOf(config: ModelConfig): Map<string, readonly number[]> {
  return withShapesAlone(() => {
    const state = buildModel(config, { classes: 80 }).stateDict();
    return new Map([...state].map(([name, tensor]) => [name, [...tensor.shape]]));
  });
}

const isBackbone = (name: string): boolean => name.startsWith('backbone.') && !name.startsWith('backbone.fpn.');

describe("mmdetection's Mask R-CNN", () => {
  test('on SpineNet has a name there for every tensor, and none more', () => {
    const wanted = [...shapesOf(shipped('spinenet/mask_rcnn_spinenet_49S_B_8gpu_640')).keys()];
    const theirs = [...wanted.filter(isBackbone), ...SPINENET_HEADS];
    const { dialect, state } = recogniseState(new Map(theirs.map((name) => [name, 0])));
    assert.equal(dialect, 'mmdetection');
    assert.deepEqual([...state.keys()].sort(), wanted.sort());
  });

  test('on ResNet-50 with FPN likewise', () => {
    const { model } = parseConfig('model: {type: mask_rcnn, conventions: mmdetection}', { file: 'config.yaml' });
    const wanted = [...shapesOf(model).keys()];
    const body = wanted.filter(isBackbone).map((name) => name.replace('backbone.body.', 'backbone.'));
    const { state } = recogniseState(new Map([...body, ...RESNET_HEADS].map((name) => [`module.${name}`, 0])));
    assert.deepEqual([...state.keys()].sort(), wanted.sort());
  });

  test('tells apart one class more than there are: the first is the background', () => {
    const logits = { dtype: 'float32' as const, shape: [81, 512], data: new Uint8Array(0) };
    const { model } = parseConfig('model: {type: mask_rcnn, conventions: mmdetection}', { file: 'config.yaml' });
    assert.equal(outputsIn(new Map([['bbox_head.fc_cls.weight', logits]]), model).classes, 81);
  });
});
