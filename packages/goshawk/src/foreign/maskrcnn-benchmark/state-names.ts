// Names of tensors in maskrcnn-benchmark's checkpoints (its modeling/), with Res2Net's, which are its ResNet's but for the splits.
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';
import { savedTraining } from './saved-training.js';

export const maskrcnnStates: StateDialect = {
  name: 'maskrcnn-benchmark',
  recognises: (names) =>
    [...names].some((name) =>
      /^(backbone\.body\.stem\.|backbone\.fpn\.fpn_|rpn\.anchor_generator\.|rpn\.head\.cls_tower\.|roi_heads\.box\.)/.test(
        name,
      ),
    ),
  rename: (state) => {
    const names = new Set(state.keys());
    return { ...renameState(state, rulesFor(names)), norm: normOf(names) };
  },
  training: savedTraining,
};

function normOf(names: ReadonlySet<string>): 'batch' | 'group' | undefined {
  if (!names.has('backbone.body.stem.bn1.weight')) return undefined;
  return names.has('backbone.body.stem.bn1.running_var') ? 'batch' : 'group';
}

const HEADS: readonly (readonly [from: string, to: string])[] = [
  ['rpn\\.head\\.conv', 'rpn.head.conv.0.0'],
  ['roi_heads\\.box\\.predictor\\.(cls_score|bbox_pred)', 'roi_heads.box_predictor.'],
  ['roi_heads\\.mask\\.predictor\\.(conv5_mask|mask_fcn_logits)', 'roi_heads.mask_predictor.'],
  ['roi_heads\\.keypoint\\.predictor\\.(kps_score_lowres)', 'roi_heads.keypoint_predictor.'],
];

const ON_ROIS: readonly Renaming[] = [
  ...HEADS.map(([from, to]) => ({
    from: new RegExp(`^${from}\\.(weight|bias)$`),
    to: ([, ...parts]: RegExpExecArray) => (parts.length === 2 ? `${to}${parts[0]}.${parts[1]}` : `${to}.${parts[0]}`),
  })),
  {
    // Stage 5 of a C4 model; a mask head that shares it names it once more.
    from: /^roi_heads\.(box|mask)\.feature_extractor\.head\.(layer4\..+)$/,
    to: ([, head, rest]) => `roi_heads.${head}_head.${rest}`,
  },
  {
    // With group norm the layer and its norm have places.
    from: /^roi_heads\.box\.feature_extractor\.(fc[67])\.(?:([01])\.)?(weight|bias)$/,
    to: ([, layer, place, leaf]) => `roi_heads.box_head.${layer}.${place === undefined ? '' : `${place}.`}${leaf}`,
  },
  {
    from: /^roi_heads\.mask\.feature_extractor\.mask_fcn(\d+)\.(?:([01])\.)?(weight|bias)$/,
    to: ([, number, place = '0', leaf]) => `roi_heads.mask_head.${Number(number) - 1}.${place}.${leaf}`,
  },
  {
    from: /^roi_heads\.keypoint\.feature_extractor\.conv_fcn(\d+)\.(weight|bias)$/,
    to: ([, number, leaf]) => `roi_heads.keypoint_head.${Number(number) - 1}.0.${leaf}`,
  },
];

const TOWERS: Readonly<Record<string, string>> = { cls: 'classification_head', bbox: 'regression_head' };

/** A RetinaNet is the RPN there. */
const RETINANET: readonly Renaming[] = [
  {
    // Every second layer is an activation.
    from: /^rpn\.head\.(cls|bbox)_tower\.(\d+)\.(weight|bias)$/,
    to: ([, tower = '', place, leaf]) => `head.${TOWERS[tower]}.conv.${Number(place) / 2}.0.${leaf}`,
  },
  { from: /^rpn\.head\.cls_logits\.(weight|bias)$/, to: ([, leaf]) => `head.classification_head.cls_logits.${leaf}` },
  { from: /^rpn\.head\.bbox_pred\.(weight|bias)$/, to: ([, leaf]) => `head.regression_head.bbox_reg.${leaf}` },
];

function rulesFor(names: ReadonlySet<string>): readonly Renaming[] {
  const all = [...names];
  // A pyramid counts its levels from C2; a RetinaNet's begins with C3.
  const first = all.some((name) => name.startsWith('backbone.fpn.fpn_inner1.')) ? 1 : 2;
  const isRetinaNet = all.some((name) => name.startsWith('rpn.head.cls_tower.'));
  const hasSplits = all.some((name) => /\.convs\.1\./.test(name));
  // Of convolutions in a row, `conv, ReLU` or `conv, group norm, ReLU` count 2 or 3 places each.
  const stride = all.some((name) => name.startsWith('roi_heads.box.feature_extractor.xconvs.1.')) ? 3 : 2;
  return [
    // Constant: which boxes the anchors of a cell are.
    { from: /^rpn\.anchor_generator\./, to: () => undefined },
    { from: /^backbone\.body\.stem\.(.+)$/, to: ([, rest]) => `backbone.body.${rest}` },
    {
      from: /^(backbone\.body\.layer\d\.\d+)\.(conv|bn)s\.0\.(\w+)$/,
      to: ([name, block, kind, leaf]) => (hasSplits ? name : `${block}.${kind}2.${leaf}`),
    },
    {
      from: /^backbone\.fpn\.fpn_(inner|layer)(\d)\.(?:([01])\.)?(weight|bias)$/,
      to: ([, kind, level, place = '0', leaf]) =>
        `backbone.fpn.${kind}_blocks.${Number(level) - first}.${place}.${leaf}`,
    },
    {
      from: /^backbone\.fpn\.top_blocks\.(p[67])\.(weight|bias)$/,
      to: ([, level, leaf]) => `backbone.fpn.extra_blocks.${level}.${leaf}`,
    },
    {
      from: /^roi_heads\.box\.feature_extractor\.xconvs\.(\d+)\.(weight|bias)$/,
      to: ([, place, leaf]) =>
        `roi_heads.box_head.convs.${Math.floor(Number(place) / stride)}.${Number(place) % stride}.${leaf}`,
    },
    ...(isRetinaNet ? RETINANET : ON_ROIS),
  ];
}
