// Names of the blobs in Detectron's .pkl files, of whole models and of ImageNet backbones (detectron/utils/c2.py and
// detectron/modeling; the detectron_weight_mapping methods of Detectron.pytorch).
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

export const detectronPklState: StateDialect = {
  name: 'Detectron',
  recognises: (names) => names.has('conv1_w') || [...names].some((name) => /^res\d_\d+_branch[12][abc]?_w$/.test(name)),
  rename: (state) => {
    const isGroup = [...state.keys()].some((name) => /_branch2a_gn_s$|^conv1_gn_s$/.test(name));
    return { ...renameState(state, RULES), norm: isGroup ? 'group' : 'affine' };
  },
};

// What a blob's ending says: a weight, a bias, and scale and offset of a norm.
const LEAF: Readonly<Record<string, string>> = { w: '0.weight', b: '0.bias', gn_s: '1.weight', gn_b: '1.bias' };
const PLAIN: Readonly<Record<string, string>> = { w: 'weight', b: 'bias', s: 'weight' };

const CONV: Readonly<Record<string, string>> = { a: '1', b: '2', c: '3' };

/** `res4_5_branch2a_bn_s`, in the body or, with a prefix, in a head. */
function stageRule(prefix: string, target: (stage: number) => string): Renaming {
  return {
    from: new RegExp(`^${prefix}res([2-5])_(\\d+)_branch(1|2[abc])_(w|b|bn_s|bn_b|gn_s|gn_b)$`),
    to: ([, stage, block, branch = '', ending = '']) => {
      // A norm follows, so the originals' networks have no such biases.
      if (ending === 'b') return undefined;
      const place = `${target(Number(stage))}.${block}`;
      const leaf = PLAIN[ending.slice(-1)];
      if (branch === '1') return `${place}.downsample.${ending === 'w' ? 0 : 1}.${leaf}`;
      return `${place}.${ending === 'w' ? 'conv' : 'bn'}${CONV[branch.slice(1)]}.${leaf}`;
    },
  };
}

const HEADS: readonly (readonly [from: string, to: string])[] = [
  ['conv_rpn(?:_fpn2)?', 'rpn.head.conv.0.0'],
  ['rpn_cls_logits(?:_fpn2)?', 'rpn.head.cls_logits'],
  ['rpn_bbox_pred(?:_fpn2)?', 'rpn.head.bbox_pred'],
  ['fc6', 'roi_heads.box_head.fc6'],
  ['fc7', 'roi_heads.box_head.fc7'],
  ['cls_score', 'roi_heads.box_predictor.cls_score'],
  ['bbox_pred', 'roi_heads.box_predictor.bbox_pred'],
  ['conv5_mask', 'roi_heads.mask_predictor.conv5_mask'],
  ['mask_fcn_logits', 'roi_heads.mask_predictor.mask_fcn_logits'],
  ['kps_deconv', 'roi_heads.keypoint_predictor.kps_deconv'],
  ['kps_score(?:_lowres)?', 'roi_heads.keypoint_predictor.kps_score_lowres'],
];

const ROWS: readonly (readonly [from: string, to: string])[] = [
  ['head_conv', 'roi_heads.box_head.convs'],
  ['(?:_\\[mask\\]_fcn|_mask_fcn)', 'roi_heads.mask_head'],
  ['conv_fcn', 'roi_heads.keypoint_head'],
];

const RULES: readonly Renaming[] = [
  // Momentum, the ImageNet classifier, statistics that are folded into scale and offset, and idle biases.
  { from: /_momentum$|^(fc1000|pred)_[wb]$|_bn_(rm|riv)$|^conv1_b$|^lr$|^weight_order$/, to: () => undefined },
  { from: /^conv1_w$/, to: () => 'backbone.body.conv1.weight' },
  { from: /^(?:res_conv1_bn|conv1_gn)_([sb])$/, to: ([, leaf = '']) => `backbone.body.bn1.${PLAIN[leaf]}` },
  // Where stage 5 belongs to a head, it is found there by the model it is loaded into.
  stageRule('', (stage) => `backbone.body.layer${stage - 1}`),
  stageRule('_\\[mask\\]_', () => 'roi_heads.mask_head.layer4'),
  {
    // Stage 2 is the finest level. The number of the stage's last block stands between.
    from: /^fpn_inner_res([2-5])_\d+_sum(?:_lateral)?_(w|b|gn_s|gn_b)$/,
    to: ([, stage, ending = '']) => `backbone.fpn.inner_blocks.${Number(stage) - 2}.${LEAF[ending]}`,
  },
  {
    from: /^fpn_res([2-5])_\d+_sum_(w|b|gn_s|gn_b)$/,
    to: ([, stage, ending = '']) => `backbone.fpn.layer_blocks.${Number(stage) - 2}.${LEAF[ending]}`,
  },
  {
    // The first extra level is 6.
    from: /^fpn_([6-9])_([wb])$/,
    to: ([, level, leaf = '']) => `backbone.fpn.extra_convs.${Number(level) - 6}.${PLAIN[leaf]}`,
  },
  ...ROWS.map(([from, to]) => ({
    from: new RegExp(`^${from}(\\d+)_(w|b|gn_s|gn_b)$`),
    to: ([, number, ending = '']: RegExpExecArray) => `${to}.${Number(number) - 1}.${LEAF[ending]}`,
  })),
  ...HEADS.map(([from, to]) => ({
    from: new RegExp(`^${from}_([wb])$`),
    to: ([, leaf = '']: RegExpExecArray) => `${to}.${PLAIN[leaf]}`,
  })),
];
