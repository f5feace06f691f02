import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { torchvisionState } from './state-names.js';

const renamed = (name: string): string => [...torchvisionState(new Map([[name, 0]])).keys()][0]!;

// Left: names in the files that torchvision publishes (maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth and its like); right: ours,
// which are what torchvision 0.29 loads them into, but for the keypoint head and the box head with convolutions.
const RENAMED: readonly (readonly [string, string])[] = [
  ['backbone.fpn.inner_blocks.0.weight', 'backbone.fpn.inner_blocks.0.0.weight'],
  ['backbone.fpn.layer_blocks.3.bias', 'backbone.fpn.layer_blocks.3.0.bias'],
  ['rpn.head.conv.weight', 'rpn.head.conv.0.0.weight'],
  ['rpn.head.conv.bias', 'rpn.head.conv.0.0.bias'],
  ['roi_heads.mask_head.mask_fcn1.weight', 'roi_heads.mask_head.0.0.weight'],
  ['roi_heads.mask_head.mask_fcn4.bias', 'roi_heads.mask_head.3.0.bias'],
  ['roi_heads.keypoint_head.0.weight', 'roi_heads.keypoint_head.0.0.weight'],
  ['roi_heads.keypoint_head.14.bias', 'roi_heads.keypoint_head.7.0.bias'],
  ['roi_heads.box_head.3.0.weight', 'roi_heads.box_head.convs.3.0.weight'],
  ['roi_heads.box_head.0.1.running_var', 'roi_heads.box_head.convs.0.1.running_var'],
  ['roi_heads.box_head.5.bias', 'roi_heads.box_head.fc6.bias'],
  ['head.classification_head.conv.0.weight', 'head.classification_head.conv.0.0.weight'],
  ['head.regression_head.conv.6.bias', 'head.regression_head.conv.3.0.bias'],
];

describe('torchvisionState', () => {
  for (const [from, to] of RENAMED) {
    test(`turns ${from} into ${to}`, () => {
      assert.equal(renamed(from), to);
    });
  }

  test("leaves today's names, and foreign ones, as they are", () => {
    for (const name of [
      ...RENAMED.map(([, to]) => to),
      'backbone.body.layer1.0.bn1.running_mean',
      'rpn.head.cls_logits.weight',
      'head.classification_head.conv.2.1.weight',
      'head.classification_head.cls_logits.bias',
      'backbone.fpn.extra_blocks.p6.weight',
      'roi_heads.mask_predictor.conv5_mask.bias',
      'fc.weight',
      'my.rpn.head.conv.weight',
      'rpn.head.conv.weight.more',
    ])
      assert.equal(renamed(name), name);
  });

  test('keeps apart the linear layers of a box head that has more of them than ours', () => {
    const names = ['roi_heads.box_head.5.weight', 'roi_heads.box_head.7.weight'];
    const state = torchvisionState(new Map(names.map((name, i) => [name, i])));
    assert.deepEqual([...state.keys()], ['roi_heads.box_head.fc6.weight', 'roi_heads.box_head.7.weight']);
  });

  test('keeps the values and their order', () => {
    const state = torchvisionState(
      new Map([
        ['rpn.head.conv.bias', 1],
        ['a', 2],
      ]),
    );
    assert.deepEqual(
      [...state],
      [
        ['rpn.head.conv.0.0.bias', 1],
        ['a', 2],
      ],
    );
  });
});
