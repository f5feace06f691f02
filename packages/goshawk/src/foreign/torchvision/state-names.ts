// torchvision's own renamings between its releases: its published detection checkpoints carry the older names.
// Rules from the _load_from_state_dict methods of torchvision/ops/feature_pyramid_network.py (version 2),
// models/detection/rpn.py (RPNHead, version 2), models/detection/mask_rcnn.py (MaskRCNNHeads, version 2) and
// models/detection/retinanet.py (the two heads, version 2).

import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

const RENAMINGS: readonly Renaming[] = [
  {
    from: /^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$/,
    to: ([, block, leaf]) => `${block}.0.${leaf}`,
  },
  { from: /^rpn\.head\.conv\.(weight|bias)$/, to: ([, leaf]) => `rpn.head.conv.0.0.${leaf}` },
  {
    from: /^roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)$/,
    to: ([, number, leaf]) => `roi_heads.mask_head.${Number(number) - 1}.0.${leaf}`,
  },
  {
    // Once the activations between the convolutions had numbers too.
    from: /^head\.(classification|regression)_head\.conv\.([0246])\.(weight|bias)$/,
    to: ([, head, place, leaf]) => `head.${head}_head.conv.${Number(place) / 2}.0.${leaf}`,
  },
];

/** The same tensors under the names of torchvision 0.13 and later; other names stay. */
export function torchvisionState<T>(state: ReadonlyMap<string, T>): Map<string, T> {
  return renameState(state, RENAMINGS).state;
}

/** A ResNet by itself, as torchvision and the converters from Caffe name it: ImageNet weights. */
export const bareResnetState: StateDialect = {
  name: 'ResNet',
  recognises: (names) => names.has('conv1.weight') && names.has('layer1.0.conv1.weight'),
  rename: (state) => {
    const orphans = [...state.keys()].filter((name) => /^fc\.(weight|bias)$/.test(name));
    const rest = [...state].filter(([name]) => !orphans.includes(name));
    const renamed = new Map(rest.map(([name, value]) => [`backbone.body.${name}`, value]));
    return { state: renamed, orphans, norm: state.has('bn1.running_var') ? 'batch' : undefined };
  },
};

/** Ours are torchvision's names of today; its files of before 0.13 have a few others. */
export const torchvisionDetectorState: StateDialect = {
  name: 'torchvision',
  recognises: () => true,
  rename: (state) => ({ state: torchvisionState(state), orphans: [] }),
};
