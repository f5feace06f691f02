// Names of mmdetection 1.x's RetinaNet, plain and with separate norms a level, and of its Faster and Mask R-CNN, on SpineNet
// (SpineNet-Pytorch) or on ResNet with FPN. SpineNet's own names are ours. Classes stand alike there and here: RetinaNet has
// none for the background, the others have it first.
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

const TOWERS: Readonly<Record<string, string>> = { cls: 'classification_head', reg: 'regression_head' };
const EXTRA_LEVELS = ['p6', 'p7'];

const HEAD: readonly Renaming[] = [
  {
    // Every level names the same tied weight.
    from: /^bbox_head\.(cls|reg)_convs\.\d+\.(\d+)\.conv\.(weight|bias)$/,
    to: ([, tower = '', conv, leaf]) => `head.${TOWERS[tower]}.conv.${conv}.0.${leaf}`,
  },
  {
    from: /^bbox_head\.(cls|reg)_convs\.(\d+)\.(\d+)\.bn\.(\w+)$/,
    to: ([, tower = '', level, conv, leaf]) => `head.${TOWERS[tower]}.norm.${level}.${conv}.${leaf}`,
  },
  {
    from: /^bbox_head\.(cls|reg)_convs\.(\d+)\.(conv|gn)\.(weight|bias)$/,
    to: ([, tower = '', conv, kind, leaf]) => `head.${TOWERS[tower]}.conv.${conv}.${kind === 'conv' ? 0 : 1}.${leaf}`,
  },
  {
    from: /^bbox_head\.retina_cls\.(weight|bias)$/,
    to: ([, leaf]) => `head.classification_head.cls_logits.${leaf}`,
  },
  { from: /^bbox_head\.retina_reg\.(weight|bias)$/, to: ([, leaf]) => `head.regression_head.bbox_reg.${leaf}` },
];

const ON_ROIS: readonly Renaming[] = [
  { from: /^rpn_head\.rpn_conv\.(weight|bias)$/, to: ([, leaf]) => `rpn.head.conv.0.0.${leaf}` },
  { from: /^rpn_head\.rpn_cls\.(weight|bias)$/, to: ([, leaf]) => `rpn.head.cls_logits.${leaf}` },
  { from: /^rpn_head\.rpn_reg\.(weight|bias)$/, to: ([, leaf]) => `rpn.head.bbox_pred.${leaf}` },
  {
    from: /^bbox_head\.shared_convs\.(\d+)\.(conv|bn|gn)\.(\w+)$/,
    to: ([, conv, kind, leaf]) => `roi_heads.box_head.convs.${conv}.${kind === 'conv' ? 0 : 1}.${leaf}`,
  },
  {
    from: /^bbox_head\.shared_fcs\.(\d+)\.(weight|bias)$/,
    to: ([, layer, leaf]) => `roi_heads.box_head.fc${6 + Number(layer)}.${leaf}`,
  },
  { from: /^bbox_head\.fc_cls\.(weight|bias)$/, to: ([, leaf]) => `roi_heads.box_predictor.cls_score.${leaf}` },
  { from: /^bbox_head\.fc_reg\.(weight|bias)$/, to: ([, leaf]) => `roi_heads.box_predictor.bbox_pred.${leaf}` },
  {
    from: /^mask_head\.convs\.(\d+)\.(conv|bn|gn)\.(\w+)$/,
    to: ([, conv, kind, leaf]) => `roi_heads.mask_head.${conv}.${kind === 'conv' ? 0 : 1}.${leaf}`,
  },
  {
    from: /^mask_head\.upsample\.(weight|bias)$/,
    to: ([, leaf]) => `roi_heads.mask_predictor.conv5_mask.${leaf}`,
  },
  {
    from: /^mask_head\.conv_logits\.(weight|bias)$/,
    to: ([, leaf]) => `roi_heads.mask_predictor.mask_fcn_logits.${leaf}`,
  },
];

/** @param levels with a lateral convolution; what comes after them are RetinaNet's levels of its own convolutions */
function pyramid(levels: number): readonly Renaming[] {
  return [
    { from: /^backbone\.(?!body\.|fpn\.)(.+)$/, to: ([, rest]) => `backbone.body.${rest}` },
    {
      from: /^neck\.lateral_convs\.(\d+)\.(conv|gn)\.(weight|bias)$/,
      to: ([, level, kind, leaf]) => `backbone.fpn.inner_blocks.${level}.${kind === 'conv' ? 0 : 1}.${leaf}`,
    },
    {
      from: /^neck\.fpn_convs\.(\d+)\.(conv|gn)\.(weight|bias)$/,
      to: ([, level, kind, leaf]) => {
        const extra = EXTRA_LEVELS[Number(level) - levels];
        if (extra) return `backbone.fpn.extra_blocks.${extra}.${leaf}`;
        return `backbone.fpn.layer_blocks.${level}.${kind === 'conv' ? 0 : 1}.${leaf}`;
      },
    },
  ];
}

export const mmdetectionStates: StateDialect = {
  name: 'mmdetection',
  recognises: isMmdetectionState,
  rename: (state) => ({ state: mmdetectionState(state), orphans: [] }),
};

/** Whether a state is of an mmdetection 1.x detector that is read here. */
export function isMmdetectionState(names: Iterable<string>): boolean {
  for (const name of names) {
    if (/^(module\.)?(bbox_head\.(retina_(cls|reg)|fc_cls|fc_reg)|rpn_head\.rpn_(cls|reg))\./.test(name)) return true;
  }
  return false;
}

/** The same tensors under our names; names that are not mmdetection's stay. Tied weights appear once. */
export function mmdetectionState<T>(state: ReadonlyMap<string, T>): Map<string, T> {
  const plain = new Map([...state].map(([name, value]) => [name.replace(/^module\./, ''), value]));
  const names = [...plain.keys()];
  const isSpineNet = names.some((name) => name.startsWith('backbone.scale_permuted_blocks.'));
  const laterals = new Set(names.map((name) => /^neck\.lateral_convs\.(\d+)\./.exec(name)?.[1]));
  laterals.delete(undefined);
  return renameState(plain, [...HEAD, ...ON_ROIS, ...(isSpineNet ? [] : pyramid(laterals.size))]).state;
}
