// torchvision's own renamings between its releases: its published detection checkpoints carry the older names.
// Rules from the _load_from_state_dict methods of torchvision/ops/feature_pyramid_network.py (version 2),
// models/detection/rpn.py (RPNHead, version 2), models/detection/mask_rcnn.py (MaskRCNNHeads, version 2) and
// models/detection/retinanet.py (the two heads, version 2).

interface Renaming {
  readonly from: RegExp;
  readonly to: (match: RegExpExecArray) => string;
}

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
  return new Map([...state].map(([name, value]) => [renamed(name), value]));
}

function renamed(name: string): string {
  for (const { from, to } of RENAMINGS) {
    const match = from.exec(name);
    if (match) return to(match);
  }
  return name;
}
