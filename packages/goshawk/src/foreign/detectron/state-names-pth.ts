// Names of Detectron.pytorch's own checkpoints (its state dicts), from lib/modeling.
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

export const detectronPthState: StateDialect = {
  name: 'Detectron.pytorch',
  recognises: (names) =>
    [...names].some((name) => /^(Conv_Body\.(conv_body\.)?res\d\.|Box_Outs\.cls_score\.)/.test(name)),
  rename: (state) => {
    const names = [...state.keys()];
    const usesGroupNorm = names.some((name) => /\.res\d\.(\d+\.)?gn\d\./.test(name));
    return { ...renameState(state, rulesFor(new Set(names))), norm: usesGroupNorm ? 'group' : 'affine' };
  },
};

/** Of convolutions in a row, `conv, ReLU` or `conv, group norm, ReLU` count 2 or 3 places each. */
function rowRule(names: ReadonlySet<string>, from: string, to: string): Renaming {
  const stride = names.has(`${from}.1.weight`) ? 3 : 2;
  return {
    from: new RegExp(`^${from.replace('.', '\\.')}\\.(\\d+)\\.(weight|bias)$`),
    to: ([, place, leaf]) => `${to}.${Math.floor(Number(place) / stride)}.${Number(place) % stride}.${leaf}`,
  };
}

const PARTS: readonly (readonly [from: string, to: string])[] = [
  ['RPN\\.(?:FPN_)?RPN_conv', 'rpn.head.conv.0.0'],
  ['RPN\\.(?:FPN_)?RPN_cls_score', 'rpn.head.cls_logits'],
  ['RPN\\.(?:FPN_)?RPN_bbox_pred', 'rpn.head.bbox_pred'],
  ['Box_Head\\.fc1', 'roi_heads.box_head.fc6'],
  ['Box_Head\\.fc2', 'roi_heads.box_head.fc7'],
  ['Box_Head\\.fc', 'roi_heads.box_head.fc6'],
  ['Box_Outs\\.cls_score', 'roi_heads.box_predictor.cls_score'],
  ['Box_Outs\\.bbox_pred', 'roi_heads.box_predictor.bbox_pred'],
  ['Mask_Head\\.upconv5?', 'roi_heads.mask_predictor.conv5_mask'],
  ['Mask_Outs\\.classify', 'roi_heads.mask_predictor.mask_fcn_logits'],
  ['Mask_Outs\\.upsample\\.upconv', 'roi_heads.mask_predictor.upsample'],
  ['Keypoint_Outs\\.deconv', 'roi_heads.keypoint_predictor.kps_deconv'],
  ['Keypoint_Outs\\.classify', 'roi_heads.keypoint_predictor.kps_score_lowres'],
  ['Keypoint_Outs\\.upsample\\.upconv', 'roi_heads.keypoint_predictor.upsample'],
];

const STAGE5: Readonly<Record<string, string>> = { Box: 'roi_heads.box_head', Mask: 'roi_heads.mask_head' };

const BODY: readonly Renaming[] = [
  {
    from: /^Conv_Body\.(?:conv_body\.)?res1\.(conv|bn|gn)1\.(weight|bias)$/,
    to: ([, kind, leaf]) => `backbone.body.${kind === 'conv' ? 'conv1' : 'bn1'}.${leaf}`,
  },
  {
    from: /^Conv_Body\.(?:conv_body\.)?res([2-5])\.(\d+)\.(.+)$/,
    to: ([, stage, block, part = '']) => `backbone.body.layer${Number(stage) - 1}.${block}.${blockPart(part)}`,
  },
  {
    from: /^(Box|Mask)_Head\.res5\.(\d+)\.(.+)$/,
    to: ([, head = '', block, part = '']) => `${STAGE5[head]}.layer4.${block}.${blockPart(part)}`,
  },
];

// Detectron lists its levels from the coarsest, ours begin with the finest, which is stage 2.
const PYRAMID: readonly Renaming[] = [
  {
    from: /^Conv_Body\.conv_top(?:\.([01]))?\.(weight|bias)$/,
    to: ([, part = '0', leaf]) => `backbone.fpn.inner_blocks.3.${part}.${leaf}`,
  },
  {
    from: /^Conv_Body\.topdown_lateral_modules\.([0-2])\.conv_lateral(?:\.([01]))?\.(weight|bias)$/,
    to: ([, index, part = '0', leaf]) => `backbone.fpn.inner_blocks.${2 - Number(index)}.${part}.${leaf}`,
  },
  {
    from: /^Conv_Body\.posthoc_modules\.([0-3])(?:\.([01]))?\.(weight|bias)$/,
    to: ([, index, part = '0', leaf]) => `backbone.fpn.layer_blocks.${3 - Number(index)}.${part}.${leaf}`,
  },
  {
    from: /^Conv_Body\.extra_pyramid_modules\.(\d)\.(weight|bias)$/,
    to: ([, index, leaf]) => `backbone.fpn.extra_convs.${index}.${leaf}`,
  },
];

function rulesFor(names: ReadonlySet<string>): readonly Renaming[] {
  return [
    ...BODY,
    ...PYRAMID,
    ...PARTS.map(([from, to]) => ({
      from: new RegExp(`^${from}\\.(weight|bias)$`),
      to: ([, leaf]: RegExpExecArray) => `${to}.${leaf}`,
    })),
    rowRule(names, 'Box_Head.convs', 'roi_heads.box_head.convs'),
    rowRule(names, 'Mask_Head.conv_fcn', 'roi_heads.mask_head'),
    rowRule(names, 'Keypoint_Head.conv_fcn', 'roi_heads.keypoint_head'),
  ];
}

function blockPart(part: string): string {
  return part.replace(/^gn/, 'bn');
}
