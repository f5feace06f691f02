import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMmdetectionRetinaNet, mmdetectionRetinaNetState } from './names.js';

const renamed = (name: string, ...others: readonly string[]): string =>
  [...mmdetectionRetinaNetState(new Map([name, ...others].map((each) => [each, 0]))).keys()][0]!;

const SPINENET = 'backbone.scale_permuted_blocks.0.0.conv1.weight';

describe('mmdetectionRetinaNetState', () => {
  for (const [from, to] of [
    ['bbox_head.cls_convs.3.1.conv.weight', 'head.classification_head.conv.1.0.weight'],
    ['bbox_head.reg_convs.0.2.bn.running_var', 'head.regression_head.norm.0.2.running_var'],
    ['bbox_head.cls_convs.2.conv.bias', 'head.classification_head.conv.2.0.bias'],
    ['bbox_head.reg_convs.2.gn.weight', 'head.regression_head.conv.2.1.weight'],
    ['bbox_head.retina_cls.weight', 'head.classification_head.cls_logits.weight'],
    ['bbox_head.retina_reg.bias', 'head.regression_head.bbox_reg.bias'],
    ['backbone.layer1.0.bn1.running_mean', 'backbone.body.layer1.0.bn1.running_mean'],
    ['neck.lateral_convs.2.conv.weight', 'backbone.fpn.inner_blocks.2.0.weight'],
    ['neck.fpn_convs.0.conv.bias', 'backbone.fpn.layer_blocks.0.0.bias'],
    ['neck.fpn_convs.3.conv.weight', 'backbone.fpn.extra_blocks.p6.weight'],
    ['module.neck.fpn_convs.4.conv.weight', 'backbone.fpn.extra_blocks.p7.weight'],
  ] as const) {
    test(`turns ${from} into ${to}`, () => assert.equal(renamed(from), to));
  }

  test("leaves SpineNet's own names", () => {
    assert.equal(renamed('backbone.conv1.bn.weight', SPINENET), 'backbone.conv1.bn.weight');
    assert.equal(renamed(SPINENET), SPINENET);
  });

  test('takes the weight that all levels share once', () => {
    const names = [0, 1, 2, 3, 4].map((level) => `bbox_head.cls_convs.${level}.0.conv.weight`);
    assert.equal(mmdetectionRetinaNetState(new Map(names.map((name) => [name, 1]))).size, 1);
  });
});

test('an mmdetection RetinaNet is known by its last layers', () => {
  assert.ok(isMmdetectionRetinaNet([SPINENET, 'bbox_head.retina_cls.weight']));
  assert.ok(isMmdetectionRetinaNet(['module.bbox_head.retina_reg.bias']));
  assert.ok(!isMmdetectionRetinaNet(['head.classification_head.cls_logits.weight', 'bbox_head.fc_cls.weight']));
});
