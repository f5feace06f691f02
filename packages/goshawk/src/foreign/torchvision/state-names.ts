// torchvision's names where ours are others: those of its releases before 0.13, which its published detection checkpoints
// carry, and those of layers that lie in one list with their activations there.
// Rules of the older names from the _load_from_state_dict methods of torchvision/ops/feature_pyramid_network.py (version 2),
// models/detection/rpn.py (RPNHead, version 2), models/detection/mask_rcnn.py (MaskRCNNHeads, version 2) and
// models/detection/retinanet.py (the two heads, version 2).

import type { StateDialect } from '../dialect.js';
import type { Renaming } from '../shared/rename-state.js';

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
    // KeypointRCNNHeads: every second layer is an activation.
    from: /^roi_heads\.keypoint_head\.(\d*[02468])\.(weight|bias)$/,
    to: ([, place, leaf]) => `roi_heads.keypoint_head.${Number(place) / 2}.0.${leaf}`,
  },
  {
    // FastRCNNConvFCHead: convolutions with their norms, then what flattens, and a linear layer.
    from: /^roi_heads\.box_head\.(\d+\.[01]\.\w+)$/,
    to: ([, rest]) => `roi_heads.box_head.convs.${rest}`,
  },
  {
    from: /^roi_heads\.box_head\.\d+\.(weight|bias)$/,
    to: ([, leaf]) => `roi_heads.box_head.fc6.${leaf}`,
  },
  {
    // Once the activations between the convolutions had numbers too.
    from: /^head\.(classification|regression)_head\.conv\.([0246])\.(weight|bias)$/,
    to: ([, head, place, leaf]) => `head.${head}_head.conv.${Number(place) / 2}.0.${leaf}`,
  },
];

/** The same tensors under our names; other names, and those of a further layer with a name that is taken, stay. */
export function torchvisionState<T>(state: ReadonlyMap<string, T>): Map<string, T> {
  const result = new Map<string, T>();
  for (const [name, value] of state) {
    const own = renamed(name);
    result.set(result.has(own) ? name : own, value);
  }
  return result;
}

/** Names by which the detectors of torchvision that have no counterpart here are known. */
const ABSENT: readonly { readonly name: RegExp; readonly what: string }[] = [
  { name: /^head\.regression_head\.bbox_ctrness\.weight$/, what: 'the detector FCOS' },
  { name: /^head\.classification_head\.module_list\.0\./, what: 'the detector SSD' },
];

/** Which part of torchvision a state of its names needs that is not here; undefined where none is. */
export function absentFromTorchvision(names: Iterable<string>): string | undefined {
  for (const name of names) {
    const found = ABSENT.find((part) => part.name.test(name));
    if (found) return found.what;
  }
  return undefined;
}

function renamed(name: string): string {
  for (const { from, to } of RENAMINGS) {
    const match = from.exec(name);
    const own = match && to(match);
    if (own) return own;
  }
  return name;
}

/** A ResNet by itself, as torchvision, the converters from Caffe and Res2Net name it: ImageNet weights. */
export const bareResnetState: StateDialect = {
  name: 'ResNet',
  // A deep stem is a list of layers.
  recognises: (names) =>
    (names.has('conv1.weight') || names.has('conv1.0.weight')) && names.has('layer1.0.conv1.weight'),
  rename: (state) => {
    const orphans = [...state.keys()].filter((name) => /^fc\.(weight|bias)$/.test(name));
    const rest = [...state].filter(([name]) => !orphans.includes(name));
    const renamed = new Map(rest.map(([name, value]) => [`backbone.body.${name}`, value]));
    return { state: renamed, orphans, norm: state.has('bn1.running_var') ? 'batch' : undefined };
  },
};

/** A MobileNet by itself, as torchvision names it: ImageNet weights. */
export const bareMobilenetState: StateDialect = {
  name: 'MobileNet',
  recognises: (names) =>
    names.has('features.0.0.weight') &&
    (names.has('features.1.conv.0.0.weight') || names.has('features.1.block.0.0.weight')),
  rename: (state) => {
    const orphans = [...state.keys()].filter((name) => name.startsWith('classifier.'));
    const rest = [...state].filter(([name]) => !orphans.includes(name));
    const renamed = new Map(rest.map(([name, value]) => [name.replace(/^features\./, 'backbone.body.'), value]));
    return { state: renamed, orphans, norm: state.has('features.0.1.running_var') ? 'batch' : undefined };
  },
};

/** Ours are torchvision's names of today; its files of before 0.13 have a few others. */
export const torchvisionDetectorState: StateDialect = {
  name: 'torchvision',
  recognises: () => true,
  rename: (state) => ({ state: torchvisionState(state), orphans: [] }),
};
