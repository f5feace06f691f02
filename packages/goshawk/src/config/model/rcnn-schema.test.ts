import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../read-config.js';

const parse = (model: string) => parseConfig(`model: { ${model} }`, { file: 'a.yaml' });

describe('the schema of models', () => {
  for (const [model, message] of [
    [
      'type: faster_rcnn, boxHead: { kind: convolutions, norm: group, convolutions: { channels: 20 } }',
      'a.yaml:1: model.boxHead.convolutions.channels: group norm has 32 groups: take a multiple of 32',
    ],
    [
      'type: mask_rcnn, maskHead: { norm: group, channels: [32, 20] }',
      'a.yaml:1: model.maskHead.channels: group norm has 32 groups: take a multiple of 32',
    ],
    [
      'type: retinanet, head: { norm: group }, neck: { channels: 20 }',
      'a.yaml:1: model.head.channels: group norm has 32 groups: take a multiple of 32',
    ],
    [
      'type: rpn, neck: { norm: group, channels: 20 }',
      'a.yaml:1: model.neck.channels: group norm has 32 groups: take a multiple of 32',
    ],
    [
      'type: faster_rcnn, backbone: { lastStageDilation: 2 }',
      'a.yaml:1: model.backbone.lastStageDilation: must be 1 under a pyramid: remove it',
    ],
    [
      'type: faster_rcnn, backbone: { type: mobilenet }, neck: { finestStride: 8 }, anchors: { sizes: [[8], [16], [32], [64]] }',
      'a.yaml:1: model.neck.finestStride: is for ResNets: remove it, and name the layers in backbone.featureLayers',
    ],
    [
      'type: faster_rcnn, neck: { finestStride: 8 }',
      'a.yaml:1: model.anchors.sizes: got 5 lists for the 4 levels of the neck: give one list a level',
    ],
    [
      'type: faster_rcnn, neck: { type: none }, anchors: { sizes: [[32]] }',
      'a.yaml:1: model.boxHead.kind: is two_layer, but without a neck at stage 4 the box head is stage5: set it so',
    ],
    [
      'type: mask_rcnn, maskHead: { kind: stage5_shared }',
      'a.yaml:1: model.maskHead.kind: is stage5_shared, which needs a box head of kind stage5: take convolutions',
    ],
  ] as const) {
    test(`says of ${model}: ${message.slice(8)}`, () => {
      assert.throws(() => parse(model), { message });
    });
  }

  test('takes a dilated last stage without a pyramid', () => {
    const { model } = parse(
      'type: faster_rcnn, backbone: { lastStageDilation: 2 }, neck: { type: none, stage: 5 }, anchors: { sizes: [[32]] }',
    );
    assert.equal(model.type, 'faster_rcnn');
  });
});
