import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMmdetectionState, mmdetectionState } from './state-names.js';

const renamed = (name: string, ...others: readonly string[]): string =>
  [...mmdetectionState(new Map([name, ...others].map((each) => [each, 0]))).keys()][0]!;

const SPINENET = 'backbone.scale_permuted_blocks.0.0.conv1.weight';

describe('mmdetectionState', () => {
  for (const [from, to] of [
    ['bbox_head.cls_convs.3.1.conv.weight', 'head.classification_head.conv.1.0.weight'],
    ['bbox_head.reg_convs.0.2.bn.running_var', 'head.regression_head.norm.0.2.running_var'],
    ['bbox_head.cls_convs.2.conv.bias', 'head.classification_head.conv.2.0.bias'],
    ['bbox_head.reg_convs.2.gn.weight', 'head.regression_head.conv.2.1.weight'],
    ['bbox_head.retina_cls.weight', 'head.classification_head.cls_logits.weight'],
    ['bbox_head.retina_reg.bias', 'head.regression_head.bbox_reg.bias'],
    ['backbone.layer1.0.bn1.running_mean', 'backbone.body.layer1.0.bn1.running_mean'],
    ['neck.lateral_convs.2.conv.weight', 'backbone.fpn.inner_blocks.2.0.weight'],
    ['neck.lateral_convs.0.gn.weight', 'backbone.fpn.inner_blocks.0.1.weight'],
    ['rpn_head.rpn_conv.bias', 'rpn.head.conv.0.0.bias'],
    ['rpn_head.rpn_cls.weight', 'rpn.head.cls_logits.weight'],
    ['rpn_head.rpn_reg.weight', 'rpn.head.bbox_pred.weight'],
    ['bbox_head.shared_convs.3.conv.weight', 'roi_heads.box_head.convs.3.0.weight'],
    ['bbox_head.shared_convs.3.bn.running_mean', 'roi_heads.box_head.convs.3.1.running_mean'],
    ['bbox_head.shared_fcs.0.weight', 'roi_heads.box_head.fc6.weight'],
    ['bbox_head.shared_fcs.1.bias', 'roi_heads.box_head.fc7.bias'],
    ['bbox_head.fc_cls.weight', 'roi_heads.box_predictor.cls_score.weight'],
    ['module.bbox_head.fc_reg.bias', 'roi_heads.box_predictor.bbox_pred.bias'],
    ['mask_head.convs.0.conv.weight', 'roi_heads.mask_head.0.0.weight'],
    ['mask_head.convs.2.bn.bias', 'roi_heads.mask_head.2.1.bias'],
    ['mask_head.upsample.weight', 'roi_heads.mask_predictor.conv5_mask.weight'],
    ['mask_head.conv_logits.bias', 'roi_heads.mask_predictor.mask_fcn_logits.bias'],
  ] as const) {
    test(`turns ${from} into ${to}`, () => assert.equal(renamed(from), to));
  }

  test("the levels behind the lateral ones are RetinaNet's P6 and P7", () => {
    const laterals = (count: number) => Array.from({ length: count }, (_, i) => `neck.lateral_convs.${i}.conv.weight`);
    assert.equal(renamed('neck.fpn_convs.3.conv.weight', ...laterals(3)), 'backbone.fpn.extra_blocks.p6.weight');
    assert.equal(renamed('module.neck.fpn_convs.4.conv.bias', ...laterals(3)), 'backbone.fpn.extra_blocks.p7.bias');
    assert.equal(renamed('neck.fpn_convs.2.conv.bias', ...laterals(3)), 'backbone.fpn.layer_blocks.2.0.bias');
    assert.equal(renamed('neck.fpn_convs.3.conv.weight', ...laterals(4)), 'backbone.fpn.layer_blocks.3.0.weight');
  });

  test("leaves SpineNet's own names", () => {
    assert.equal(renamed('backbone.conv1.bn.weight', SPINENET), 'backbone.conv1.bn.weight');
    assert.equal(renamed(SPINENET), SPINENET);
  });

  test('takes the weight that all levels share once', () => {
    const names = [0, 1, 2, 3, 4].map((level) => `bbox_head.cls_convs.${level}.0.conv.weight`);
    assert.equal(mmdetectionState(new Map(names.map((name) => [name, 1]))).size, 1);
  });
});

test('an mmdetection detector is known by its last layers', () => {
  assert.ok(isMmdetectionState([SPINENET, 'bbox_head.retina_cls.weight']));
  assert.ok(isMmdetectionState(['module.bbox_head.retina_reg.bias']));
  assert.ok(isMmdetectionState(['mask_head.upsample.weight', 'bbox_head.fc_cls.weight']));
  assert.ok(!isMmdetectionState(['head.classification_head.cls_logits.weight', 'rpn.head.cls_logits.weight']));
});
