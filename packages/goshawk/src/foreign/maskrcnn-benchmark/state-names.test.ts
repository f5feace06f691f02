import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recogniseState } from '../weights.js';

const MARK = 'roi_heads.box.predictor.cls_score.bias';
const own = (...names: string[]): string[] =>
  [...recogniseState(new Map([MARK, ...names].map((name) => [name, 0]))).state.keys()].slice(1);

/** What a layer is called there, and here. */
const ROWS: readonly (readonly [theirs: string, ours: string])[] = [
  ['backbone.body.stem.conv1.weight', 'backbone.body.conv1.weight'],
  ['backbone.body.stem.bn1.running_var', 'backbone.body.bn1.running_var'],
  ['backbone.body.layer2.1.convs.2.weight', 'backbone.body.layer2.1.convs.2.weight'],
  ['backbone.body.layer2.1.convs.1.weight', 'backbone.body.layer2.1.convs.1.weight'],
  ['backbone.body.layer2.1.bns.0.bias', 'backbone.body.layer2.1.bns.0.bias'],
  ['backbone.body.layer4.0.downsample.1.running_mean', 'backbone.body.layer4.0.downsample.1.running_mean'],
  ['backbone.fpn.fpn_inner1.weight', 'backbone.fpn.inner_blocks.0.0.weight'],
  ['backbone.fpn.fpn_layer4.bias', 'backbone.fpn.layer_blocks.3.0.bias'],
  ['backbone.fpn.fpn_inner2.1.weight', 'backbone.fpn.inner_blocks.1.1.weight'],
  ['rpn.head.conv.weight', 'rpn.head.conv.0.0.weight'],
  ['rpn.head.cls_logits.bias', 'rpn.head.cls_logits.bias'],
  ['rpn.head.bbox_pred.weight', 'rpn.head.bbox_pred.weight'],
  ['roi_heads.box.feature_extractor.fc6.weight', 'roi_heads.box_head.fc6.weight'],
  ['roi_heads.box.feature_extractor.fc7.1.bias', 'roi_heads.box_head.fc7.1.bias'],
  ['roi_heads.box.predictor.bbox_pred.weight', 'roi_heads.box_predictor.bbox_pred.weight'],
  ['roi_heads.mask.feature_extractor.mask_fcn4.weight', 'roi_heads.mask_head.3.0.weight'],
  ['roi_heads.mask.feature_extractor.mask_fcn2.1.bias', 'roi_heads.mask_head.1.1.bias'],
  ['roi_heads.mask.predictor.mask_fcn_logits.bias', 'roi_heads.mask_predictor.mask_fcn_logits.bias'],
  ['roi_heads.box.feature_extractor.head.layer4.0.conv1.weight', 'roi_heads.box_head.layer4.0.conv1.weight'],
  ['roi_heads.mask.feature_extractor.head.layer4.2.bn3.bias', 'roi_heads.mask_head.layer4.2.bn3.bias'],
  ['roi_heads.keypoint.feature_extractor.conv_fcn8.weight', 'roi_heads.keypoint_head.7.0.weight'],
  ['roi_heads.keypoint.predictor.kps_score_lowres.weight', 'roi_heads.keypoint_predictor.kps_score_lowres.weight'],
];

describe('names of maskrcnn-benchmark', () => {
  test('lead to ours', () => {
    assert.deepEqual(
      own(...ROWS.map(([theirs]) => theirs)),
      ROWS.map(([, ours]) => ours),
    );
  });

  test('of its anchors belong to no model', () => {
    const { dialect, state, orphans } = recogniseState(new Map([['rpn.anchor_generator.cell_anchors.0', 0]]));
    assert.deepEqual(
      [dialect, state.size, orphans],
      ['maskrcnn-benchmark', 0, ['rpn.anchor_generator.cell_anchors.0']],
    );
  });

  test('tell constant norms from group norm', () => {
    const stem = 'backbone.body.stem.bn1';
    assert.equal(recogniseState(new Map([[`${stem}.weight`, 0]])).norm, 'group');
    assert.equal(
      recogniseState(
        new Map([
          [`${stem}.weight`, 0],
          [`${stem}.running_var`, 0],
        ]),
      ).norm,
      'batch',
    );
  });

  test('of blocks without splits are those of plain bottlenecks', () => {
    assert.deepEqual(own('backbone.body.layer1.0.convs.0.weight', 'backbone.body.layer1.0.bns.0.running_var'), [
      'backbone.body.layer1.0.conv2.weight',
      'backbone.body.layer1.0.bn2.running_var',
    ]);
  });

  test('of convolutions in the box head count the activations, and the norms where there are some', () => {
    const row = (places: readonly number[]): string[] =>
      own(...places.map((place) => `roi_heads.box.feature_extractor.xconvs.${place}.weight`));
    assert.deepEqual(row([0, 2]), ['roi_heads.box_head.convs.0.0.weight', 'roi_heads.box_head.convs.1.0.weight']);
    assert.deepEqual(row([0, 1, 3, 4]), [
      'roi_heads.box_head.convs.0.0.weight',
      'roi_heads.box_head.convs.0.1.weight',
      'roi_heads.box_head.convs.1.0.weight',
      'roi_heads.box_head.convs.1.1.weight',
    ]);
  });

  test('of a RetinaNet, which is an RPN there, begin at C3', () => {
    const theirs = [
      'rpn.head.cls_tower.0.weight',
      'rpn.head.cls_tower.6.bias',
      'rpn.head.bbox_tower.2.weight',
      'rpn.head.cls_logits.bias',
      'rpn.head.bbox_pred.weight',
      'backbone.fpn.fpn_inner2.weight',
      'backbone.fpn.fpn_layer4.bias',
      'backbone.fpn.top_blocks.p6.weight',
    ];
    const state = recogniseState(new Map(theirs.map((name) => [name, 0])));
    const names = [...state.state.keys()];
    assert.deepEqual(names, [
      'head.classification_head.conv.0.0.weight',
      'head.classification_head.conv.3.0.bias',
      'head.regression_head.conv.1.0.weight',
      'head.classification_head.cls_logits.bias',
      'head.regression_head.bbox_reg.weight',
      'backbone.fpn.inner_blocks.0.0.weight',
      'backbone.fpn.layer_blocks.2.0.bias',
      'backbone.fpn.extra_blocks.p6.weight',
    ]);
  });
});
