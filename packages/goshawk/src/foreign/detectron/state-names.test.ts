import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { recogniseState } from '../weights.js';

// Names of the original's state dict -> blobs of Detectron's .pkl, of two whole models; see fixtures/README.md.
const models: Record<string, Record<string, string>> = JSON.parse(
  readFileSync(new URL('../../../src/foreign/detectron/fixtures/state-names.json', import.meta.url), 'utf8'),
);

const own = (...names: string[]): string[] => [...recogniseState(new Map(names.map((name) => [name, 0]))).state.keys()];
const withBody = (marker: string, ...names: string[]): string[] => own(marker, ...names).slice(1);
const pth = (...names: string[]): string[] => withBody('Conv_Body.res1.conv1.weight', ...names);
const pkl = (...names: string[]): string[] => withBody('conv1_w', ...names);

for (const [model, blobs] of Object.entries(models)) {
  describe(`the names of ${model}`, () => {
    const fromPth = recogniseState(new Map(Object.keys(blobs).map((name) => [name, name])));
    const fromPkl = recogniseState(new Map(Object.entries(blobs).map(([name, blob]) => [blob, name])));

    test('are recognised in both forms', () => {
      assert.deepEqual([fromPth.dialect, fromPth.norm], ['Detectron.pytorch', 'affine']);
      assert.deepEqual([fromPkl.dialect, fromPkl.norm], ['Detectron', 'affine']);
    });

    test('lead to the same places, every one to its own', () => {
      assert.equal(fromPth.state.size, Object.keys(blobs).length);
      assert.deepEqual(new Map([...fromPkl.state].toSorted()), new Map([...fromPth.state].toSorted()));
      assert.deepEqual([fromPth.orphans, fromPkl.orphans], [[], []]);
      for (const name of fromPth.state.keys()) assert.match(name, /^(backbone\.(body|fpn)|rpn\.head|roi_heads)\./);
    });
  });
}

describe('names of Detectron.pytorch', () => {
  test('of a model without a pyramid lack conv_body', () => {
    assert.deepEqual(pth('Conv_Body.res4.5.bn3.bias', 'Conv_Body.res2.0.downsample.1.weight', 'RPN.RPN_conv.weight'), [
      'backbone.body.layer3.5.bn3.bias',
      'backbone.body.layer1.0.downsample.1.weight',
      'rpn.head.conv.0.0.weight',
    ]);
    assert.deepEqual(pth('Box_Head.res5.0.conv2.weight', 'Mask_Head.res5.2.bn1.weight', 'Mask_Head.upconv5.bias'), [
      'roi_heads.box_head.layer4.0.conv2.weight',
      'roi_heads.mask_head.layer4.2.bn1.weight',
      'roi_heads.mask_predictor.conv5_mask.bias',
    ]);
  });

  test('with group norm have three places a layer, and a part for the norm', () => {
    const state = recogniseState(new Map([['Conv_Body.conv_body.res1.gn1.weight', 0]]));
    assert.equal(state.norm, 'group');
    assert.deepEqual([...state.state.keys()], ['backbone.body.bn1.weight']);
    assert.deepEqual(
      pth(
        'Conv_Body.conv_top.1.bias',
        'Conv_Body.topdown_lateral_modules.0.conv_lateral.0.weight',
        'Conv_Body.posthoc_modules.3.1.weight',
        'Mask_Head.conv_fcn.0.weight',
        'Mask_Head.conv_fcn.1.weight',
        'Mask_Head.conv_fcn.3.weight',
        'Mask_Head.conv_fcn.4.bias',
        'Box_Head.convs.1.weight',
        'Box_Head.convs.9.weight',
        'Box_Head.fc.weight',
      ),
      [
        'backbone.fpn.inner_blocks.3.1.bias',
        'backbone.fpn.inner_blocks.2.0.weight',
        'backbone.fpn.layer_blocks.0.1.weight',
        'roi_heads.mask_head.0.0.weight',
        'roi_heads.mask_head.0.1.weight',
        'roi_heads.mask_head.1.0.weight',
        'roi_heads.mask_head.1.1.bias',
        'roi_heads.box_head.convs.0.1.weight',
        'roi_heads.box_head.convs.3.0.weight',
        'roi_heads.box_head.fc6.weight',
      ],
    );
  });

  test('without it have two', () => {
    assert.deepEqual(
      pth('Box_Head.convs.2.bias', 'Keypoint_Head.conv_fcn.14.weight', 'Keypoint_Outs.upsample.upconv.bias'),
      [
        'roi_heads.box_head.convs.1.0.bias',
        'roi_heads.keypoint_head.7.0.weight',
        'roi_heads.keypoint_predictor.upsample.bias',
      ],
    );
  });
});

describe("blobs of Detectron's files", () => {
  test('name a level by the last block of its stage, which differs between bodies', () => {
    assert.deepEqual(
      pkl(
        'fpn_inner_res5_2_sum_w',
        'fpn_inner_res4_22_sum_lateral_b',
        'fpn_res4_35_sum_w',
        'fpn_res3_7_sum_b',
        'fpn_inner_res2_2_sum_lateral_gn_s',
        'fpn_7_w',
      ),
      [
        'backbone.fpn.inner_blocks.3.0.weight',
        'backbone.fpn.inner_blocks.2.0.bias',
        'backbone.fpn.layer_blocks.2.0.weight',
        'backbone.fpn.layer_blocks.1.0.bias',
        'backbone.fpn.inner_blocks.0.1.weight',
        'backbone.fpn.extra_convs.1.weight',
      ],
    );
  });

  test('name norms by what they are', () => {
    assert.deepEqual(pkl('conv1_gn_s', 'res2_0_branch1_gn_b', 'head_conv2_gn_s', '_mask_fcn3_gn_b', '_mask_fcn3_w'), [
      'backbone.body.bn1.weight',
      'backbone.body.layer1.0.downsample.1.bias',
      'roi_heads.box_head.convs.1.1.weight',
      'roi_heads.mask_head.2.1.bias',
      'roi_heads.mask_head.2.0.weight',
    ]);
  });

  test('of a C4 model have no level in the names of the RPN, and stage 5 of its own for masks', () => {
    assert.deepEqual(pkl('conv_rpn_w', 'rpn_cls_logits_b', '_[mask]_res5_0_branch2a_w', 'kps_score_w'), [
      'rpn.head.conv.0.0.weight',
      'rpn.head.cls_logits.bias',
      'roi_heads.mask_head.layer4.0.conv1.weight',
      'roi_heads.keypoint_predictor.kps_score_lowres.weight',
    ]);
  });

  test('of no model are told apart', () => {
    const names = [
      'conv1_w',
      'conv1_b',
      'conv1_w_momentum',
      'fc1000_w',
      'pred_b',
      'res2_0_branch2a_b',
      'lr',
      'unheard_of_w',
    ];
    const { state, orphans } = recogniseState(new Map(names.map((name) => [name, 0])));
    assert.deepEqual([...state.keys()], ['backbone.body.conv1.weight', 'unheard_of_w']);
    assert.deepEqual(orphans, names.slice(1, -1));
  });
});
