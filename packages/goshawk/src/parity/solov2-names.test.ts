// Names of tensors in the states of the authors of SOLO against those of models here.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../config/index.js';
import { recogniseState } from '../foreign/weights.js';
import { buildModel } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';

/** Our names of a model. */
function namesOf(text: string): string[] {
  const { model } = parseConfig(text, { file: 'test' });
  return withShapesAlone(() => [...buildModel(model, { classes: 80 }).stateDict().keys()]);
}

const unit = (name: string): string[] => ['conv.weight', 'gn.weight', 'gn.bias'].map((leaf) => `${name}.${leaf}`);
const both = (name: string): string[] => ['weight', 'bias'].map((leaf) => `${name}.${leaf}`);
const times = (count: number, make: (i: number) => string[]): string[] =>
  Array.from({ length: count }, (_, i) => make(i)).flat();

/** What the authors' states have besides the backbone (WXinlong/SOLO on mmdetection 1). */
const pyramid = ['lateral_convs', 'fpn_convs'].flatMap((part) => times(4, (i) => both(`neck.${part}.${i}.conv`)));
const SOLOV2 = [
  ...pyramid,
  ...times(4, (level) =>
    times(Math.max(1, level), (conv) => unit(`mask_feat_head.convs_all_levels.${level}.conv${conv}`)),
  ),
  ...unit('mask_feat_head.conv_pred.0'),
  ...['cate_convs', 'kernel_convs'].flatMap((part) => times(4, (i) => unit(`bbox_head.${part}.${i}`))),
  ...both('bbox_head.solo_cate'),
  ...both('bbox_head.solo_kernel'),
];
const DECOUPLED = [
  ...pyramid,
  ...['ins_convs_x', 'ins_convs_y', 'cate_convs'].flatMap((part) => times(7, (i) => unit(`bbox_head.${part}.${i}`))),
  ...['x', 'y'].flatMap((axis) => times(5, (i) => both(`bbox_head.dsolo_ins_list_${axis}.${i}`))),
  ...both('bbox_head.dsolo_cate'),
];

describe('names of SOLO', () => {
  for (const [name, type, names] of [
    ['SOLOv2', 'solov2', SOLOV2],
    ['decoupled SOLO', 'decoupled_solo', DECOUPLED],
  ] as const) {
    test(`${name}'s of the authors become ours, every one`, () => {
      const own = namesOf(`model: { type: ${type}, backbone: { norm: fixed_statistics } }`);
      const body = own
        .filter((tensor) => tensor.startsWith('backbone.body.'))
        .map((tensor) => tensor.replace('backbone.body.', 'backbone.'));
      const { state, dialect } = recogniseState(new Map([...body, ...names].map((tensor) => [`module.${tensor}`, 0])));
      assert.equal(dialect, 'SOLO');
      assert.deepEqual([...state.keys()].toSorted(), own.toSorted());
    });
  }

  test('a backbone of torchvision keeps its names', () => {
    assert.equal(
      recogniseState(new Map([['conv1.weight', 0]])).dialect,
      recogniseState(new Map([['fc.weight', 0]])).dialect,
    );
  });
});
