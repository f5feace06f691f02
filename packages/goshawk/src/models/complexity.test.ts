// Sizes of models against published figures and against sums made by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { liveTensors } from '@goshawk/torch';
import { loadConfig, parseConfig } from '../config/index.js';
import { buildModel } from './build.js';
import { type ModuleComplexity, modelComplexity } from './complexity.js';

function complexityOf(name: string, sets: readonly string[], classes: number, size: readonly [number, number]) {
  const file = fileURLToPath(new URL(`../../../../configs/torchvision/${name}.yaml`, import.meta.url));
  const { config } = loadConfig(file, sets);
  return modelComplexity(() => buildModel(config.model, { classes }), size);
}

function part(module: ModuleComplexity, ...path: readonly string[]): ModuleComplexity {
  return path.reduce((parent, name) => parent.children.find((child) => child.name === name)!, module);
}

test('Faster R-CNN R-50-FPN has the parameters and its backbone the multiply-accumulates that are published', () => {
  const total = complexityOf('faster_rcnn_r50_fpn', [], 90, [224, 224]);
  // num_params of torchvision's FasterRCNN_ResNet50_FPN_Weights.COCO_V1.
  assert.equal(total.parameters, 41_755_286);
  const body = part(total, 'backbone', 'body');
  // torchvision's ResNet50_Weights: 4.089 G with the classifier, whose share is 2048 x 1000; buffers are no parameters.
  assert.ok(Math.abs(body.macs / (4.089e9 - 2048e3) - 1) < 1e-3, `${body.macs}`);
  // Two frozen stages of five: the stem's 7x7 convolution and three bottlenecks.
  const stem = 64 * 3 * 49;
  const layer1 = 64 * 64 + 256 * 64 + 3 * (64 * 64 * 9 + 64 * 256) + 2 * 256 * 64;
  assert.equal(body.parameters - body.learningParameters, stem + layer1);
});

test('Mask R-CNN R-50-FPN has the published parameters', () => {
  // num_params of torchvision's MaskRCNN_ResNet50_FPN_Weights.COCO_V1.
  assert.equal(complexityOf('mask_rcnn_r50_fpn', [], 90, [64, 64]).parameters, 44_401_393);
});

test('the second stage is counted for 1000 boxes and 100 masks of all classes', () => {
  const sets = ['model.backbone.depth=18', 'model.backbone.width=8', 'model.neck.channels=16'];
  const heads = part(complexityOf('mask_rcnn_r50_fpn', sets, 5, [64, 96]), 'roi_heads');
  assert.equal(part(heads, 'box_head').macs, 1000 * (16 * 49 * 1024 + 1024 * 1024));
  assert.equal(part(heads, 'box_predictor').macs, 1000 * 1024 * (6 + 24));
  assert.equal(part(heads, 'mask_head').macs, 100 * 14 * 14 * 9 * (16 * 256 + 3 * 256 * 256));
  const upsampling = 100 * 14 * 14 * 256 * 256 * 4;
  const classes = 100 * 28 * 28 * 256 * 6;
  assert.equal(part(heads, 'mask_predictor').macs, upsampling + classes);
});

test('a norm that is folded into its convolution changes no count', () => {
  const sets = ['model.backbone.depth=18', 'model.backbone.width=8', 'model.neck.channels=16'];
  const frozen = complexityOf('faster_rcnn_r50_fpn', sets, 5, [64, 96]);
  const learning = complexityOf('faster_rcnn_r50_fpn', [...sets, 'model.backbone.norm=batch'], 5, [64, 96]);
  assert.ok(frozen.macs > 0);
  assert.equal(frozen.macs, learning.macs);
});

test('biases, norms, activations and upsampling add to the FLOPs as in mmdetection', () => {
  const sets = ['model.backbone.depth=18', 'model.backbone.width=8', 'model.neck.channels=16'];
  const total = complexityOf('mask_rcnn_r50_fpn', sets, 5, [64, 96]);
  const stem = part(total, 'backbone', 'body');
  const conv1 = 8 * 32 * 48;
  // The convolution with its folded norm (2), then the ReLU and the maximum that read its output.
  assert.equal(part(stem, 'conv1').flops, conv1 * (3 * 49 + 2 + 1 + 1));
  const heads = part(total, 'roi_heads');
  const convs = 100 * 14 * 14;
  assert.equal(part(heads, 'mask_head').flops, part(heads, 'mask_head').macs + 4 * convs * 256 * (1 + 1));
  const upsampled = 100 * 28 * 28;
  assert.equal(
    part(heads, 'mask_predictor').flops,
    upsampled * (256 * 256 * 4 + 256 + 256) + upsampled * (256 * 6 + 6),
  );
});

test("RetinaNet R-50-FPN has the 239.32 GFLOPs and 37.74 M parameters of mmdetection's getting_started.md", () => {
  const { model } = parseConfig(
    'model: {type: retinanet, conventions: mmdetection, backbone: {norm: batch}, neck: {extraLevelsFrom: c5, reluBeforeP7: false}}',
    { file: 'retinanet.yaml' },
  );
  const total = modelComplexity(() => buildModel(model, { classes: 80 }), [1280, 800]);
  assert.equal((total.flops / 1e9).toFixed(2), '239.32');
  // Those that learn: the stem and the first stage are frozen.
  assert.equal((total.learningParameters / 1e6).toFixed(2), '37.74');
});

test('counting keeps no tensors', () => {
  const sets = ['model.backbone.depth=18', 'model.backbone.width=8', 'model.neck.channels=16'];
  const count = () => complexityOf('faster_rcnn_r50_fpn', sets, 3, [64, 64]);
  const first = count();
  const before = liveTensors();
  assert.deepEqual(count(), first);
  assert.ok(liveTensors() <= before, `${liveTensors() - before} more tensors`);
});
