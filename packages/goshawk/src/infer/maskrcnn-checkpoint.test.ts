// The files that a config of maskrcnn-benchmark meets: its own checkpoints, ImageNet backbones, and Detectron's blobs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { full, noGrad, ops, type PthValue, randn, scope, type TensorData, writePth } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { maskrcnnConfigs } from '../foreign/maskrcnn-benchmark/config.js';
import { zooConfigs } from '../foreign/maskrcnn-benchmark/fixtures/shipped-configs.js';
import { recogniseState } from '../foreign/weights.js';
import { BackboneWithNeck, buildModel, type Rcnn } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { theirName } from '../testing/maskrcnn-names.js';
import { loadWeights, readWeights } from './detector-file.js';
import { formatWeightsReport } from './weights-report.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-maskrcnn-checkpoint-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const RES2NET = '{depth: 50, width: 8, widthPerGroup: 3, scale: 4, norm: frozen_batch, normEps: 0}';
const PLAIN = '{depth: 50, width: 8, norm: frozen_batch, normEps: 0}';

function build(classes: number, backbone = RES2NET): Rcnn {
  const heads = 'boxHead: {hiddenSize: 16}, maskHead: {channels: [8, 8]}, neck: {channels: 8}';
  const text = `model: {type: mask_rcnn, conventions: maskrcnn_benchmark, backbone: ${backbone}, ${heads}}`;
  return buildModel(parseConfig(text, { file: 'c.yaml' }).model, { classes }) as Rcnn;
}

const dataOf = (model: Rcnn): Map<string, TensorData> =>
  new Map(
    [...model.stateDict()].map(([name, tensor]) => [
      name,
      { dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() },
    ]),
  );

function writeCheckpoint(file: string, model: Rcnn): string {
  const path = join(folder, file);
  const entries = [...dataOf(model)].map(([name, value]) => [`module.${theirName(name)}`, value] as const);
  const cell: TensorData = { dtype: 'float32', shape: [3, 4], data: new Uint8Array(48) };
  writePth(
    path,
    new Map<string, PthValue>([
      ['model', new Map([...entries, ['module.rpn.anchor_generator.cell_anchors.0', cell]])],
      ['optimizer', new Map([['param_groups', []]])],
      ['scheduler', new Map([['last_epoch', 5000]])],
      ['iteration', 5000],
    ]),
  );
  return path;
}

describe('a checkpoint of maskrcnn-benchmark', () => {
  test('fills the whole model, whatever else it holds', () => {
    const source = build(3);
    const path = writeCheckpoint('model_0005000.pth', source);
    const model = build(3);
    const report = loadWeights(model, readWeights(path), path);
    assert.deepEqual([report.dialect, report.missing, report.unexpected], ['maskrcnn-benchmark', [], []]);
    assert.deepEqual(report.orphans, ['rpn.anchor_generator.cell_anchors.0']);
    const state = model.stateDict();
    for (const [name, value] of source.stateDict()) assert.deepEqual(state.get(name)!.toBytes(), value.toBytes(), name);
  });

  test('for fine-tuning on other classes leaves the layers that name classes as they start, and says which', () => {
    const path = writeCheckpoint('model_final.pth', build(3));
    const report = loadWeights(build(5), readWeights(path), path, { partial: true });
    assert.deepEqual(report.mismatched.map(({ name }) => name).sort(), [
      'roi_heads.box_predictor.bbox_pred.bias',
      'roi_heads.box_predictor.bbox_pred.weight',
      'roi_heads.box_predictor.cls_score.bias',
      'roi_heads.box_predictor.cls_score.weight',
      'roi_heads.mask_predictor.mask_fcn_logits.bias',
      'roi_heads.mask_predictor.mask_fcn_logits.weight',
    ]);
    assert.deepEqual([report.missing, report.unexpected], [[], []]);
    const lines = formatWeightsReport(report);
    assert.match(lines[0]!, /model_final\.pth \(names of maskrcnn-benchmark\): \d+ of the model's \d+ tensors$/);
    assert.match(
      lines[1]!,
      /of another shape, left as they were: .*cls_score\.weight \[4, 16\] for \[6, 16\].*, and 2 more$/,
    );
    assert.throws(
      () => loadWeights(build(5), readWeights(path), path),
      (error) =>
        error instanceof InputError &&
        /model_final\.pth: 6 of its and the model's tensors do not fit/.test(error.message),
    );
  });
});

describe('an ImageNet backbone', () => {
  for (const [name, backbone] of [
    ['Res2Net', RES2NET],
    ['Res2Net v1b', RES2NET.replace('scale: 4', 'scale: 4, stem: deep, shortcut: average')],
    ['Res2NeXt', RES2NET.replace('widthPerGroup: 3', 'groups: 2, widthPerGroup: 2')],
    ['ResNet', PLAIN],
  ] as const) {
    test(`of a ${name} fills the body, its classifier is left out`, () => {
      const source = build(3, backbone);
      const prefix = 'backbone.body.';
      const body = [...dataOf(source)].filter(([own]) => own.startsWith(prefix));
      const fc: TensorData = { dtype: 'float32', shape: [2], data: new Uint8Array(8) };
      const path = join(folder, `${name}.pth`);
      writePth(
        path,
        new Map([...body.map(([own, value]) => [own.slice(prefix.length), value] as const), ['fc.bias', fc]]),
      );
      const model = build(3, backbone);
      const report = loadWeights(model, readWeights(path), path, { partial: true });
      assert.deepEqual([report.loaded.length, report.orphans], [body.length, ['fc.bias']]);
      assert.deepEqual([report.unexpected, report.mismatched], [[], []]);
      const state = model.stateDict();
      for (const [own, value] of body) assert.deepEqual(state.get(own)!.toBytes(), value.data, own);
    });
  }
});

describe("Detectron's blobs in a model of constant norms", () => {
  test('have statistics of 0 and 1, so that factor and offset alone count', () =>
    scope(() => {
      const source = build(3, PLAIN);
      const blobs = new Map<string, TensorData>();
      for (const [name, value] of dataOf(source)) {
        const [, stage, block, part, leaf] =
          /^backbone\.body\.layer(\d)\.(\d+)\.(\w+|downsample\.\d)\.(weight|bias)$/.exec(name) ?? [];
        const ending = leaf === 'bias' ? 'b' : 's';
        if (name === 'backbone.body.conv1.weight') blobs.set('conv1_w', value);
        else if (/^backbone\.body\.bn1\.(weight|bias)$/.test(name))
          blobs.set(`res_conv1_bn_${name.endsWith('bias') ? 'b' : 's'}`, value);
        else if (part !== undefined) {
          const place = `res${Number(stage) + 1}_${block}_branch${part.startsWith('down') ? '1' : `2${'abc'[Number(part.at(-1)) - 1]}`}`;
          blobs.set(/conv|downsample\.0/.test(part) ? `${place}_w` : `${place}_bn_${ending}`, value);
        }
      }
      const model = build(3, PLAIN);
      // What a fresh model does not have.
      for (const [name, value] of model.stateDict())
        if (name.endsWith('running_var')) value.assign(full(value.shape, 9));
      const report = loadWeights(model, blobs, 'R-50.pkl', { partial: true });
      assert.equal(report.dialect, 'Detectron');
      assert.deepEqual(
        report.missing.filter((name) => name.startsWith('backbone.body.')),
        [],
      );
      const pixels = randn([1, 3, 64, 64]);
      const levels = [source, model].map(({ backbone }) => {
        assert.ok(backbone instanceof BackboneWithNeck);
        return noGrad(() => backbone.body.forward(pixels));
      });
      for (const [at, level] of levels[0]!.entries())
        assert.equal(ops.max(ops.abs(ops.sub(level, levels[1]![at]!))).item(), 0);
    }));
});

describe('a checkpoint of its zoo', () => {
  const resnet = (depth: string): string[] => ['conv1', 'bn1'].map((part) => `backbone.body.stem.${part}.${depth}`);
  const wanted = (text: string): ReadonlySet<string> => {
    const { model } = maskrcnnConfigs.read(text, { file: 'a.yaml', sets: [] }).config;
    return withShapesAlone(() => new Set(buildModel(model, { classes: 80 }).stateDict().keys()));
  };
  /** Names there whose counterparts here the model has, all of them. */
  const CASES: Readonly<Record<string, readonly [text: string, names: readonly string[]]>> = {
    'of a RetinaNet': [
      zooConfigs['retinanet/retinanet_R-50-FPN_1x'],
      [
        'rpn.head.cls_tower.0.weight',
        'rpn.head.cls_tower.6.bias',
        'rpn.head.bbox_tower.2.weight',
        'rpn.head.cls_logits.bias',
        'rpn.head.bbox_pred.weight',
        'backbone.fpn.fpn_inner2.weight',
        'backbone.fpn.fpn_layer4.bias',
        'backbone.fpn.top_blocks.p6.weight',
        'backbone.fpn.top_blocks.p7.bias',
      ],
    ],
    'with group norm and two fully connected layers': [
      zooConfigs['gn_baselines/e2e_mask_rcnn_R_50_FPN_1x_gn'],
      [
        'backbone.fpn.fpn_inner1.0.weight',
        'backbone.fpn.fpn_layer4.1.bias',
        'roi_heads.box.feature_extractor.fc6.0.weight',
        'roi_heads.box.feature_extractor.fc7.1.bias',
        'roi_heads.mask.feature_extractor.mask_fcn1.0.weight',
        'roi_heads.mask.feature_extractor.mask_fcn4.1.weight',
      ],
    ],
    'with group norm and convolutions': [
      zooConfigs['gn_baselines/e2e_faster_rcnn_R_50_FPN_Xconv1fc_1x_gn'],
      [
        'backbone.fpn.fpn_inner1.0.weight',
        'roi_heads.box.feature_extractor.xconvs.0.weight',
        'roi_heads.box.feature_extractor.xconvs.1.bias',
        'roi_heads.box.feature_extractor.xconvs.10.weight',
        'roi_heads.box.feature_extractor.fc6.weight',
      ],
    ],
    'with keypoints': [
      zooConfigs.e2e_keypoint_rcnn_R_50_FPN_1x,
      [
        'backbone.fpn.fpn_inner1.weight',
        'roi_heads.keypoint.feature_extractor.conv_fcn1.weight',
        'roi_heads.keypoint.feature_extractor.conv_fcn8.bias',
        'roi_heads.keypoint.predictor.kps_score_lowres.weight',
      ],
    ],
    'on stage 4': [
      zooConfigs.e2e_mask_rcnn_R_50_C4_1x,
      [
        'rpn.head.conv.weight',
        'roi_heads.box.feature_extractor.head.layer4.0.downsample.0.weight',
        'roi_heads.box.predictor.cls_score.weight',
        'roi_heads.mask.predictor.conv5_mask.weight',
      ],
    ],
  };

  for (const [what, [text, names]] of Object.entries(CASES)) {
    test(`${what} has the names of the model`, () => {
      const all = [...resnet('weight'), ...names];
      const { state, dialect } = recogniseState(new Map(all.map((name) => [name, 0])));
      assert.equal(dialect, 'maskrcnn-benchmark');
      const known = wanted(text);
      assert.deepEqual(
        [...state.keys()].filter((name) => !known.has(name)),
        [],
      );
      assert.equal(state.size, all.length);
    });
  }
});
