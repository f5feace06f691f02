// Names of mmdetection 1.x's RetinaNet, plain and with separate norms a level, on SpineNet (SpineNet-Pytorch) or on ResNet
// with FPN. SpineNet's own names are ours.

interface Renaming {
  readonly from: RegExp;
  readonly to: (match: RegExpExecArray) => string;
}

const TOWERS: Readonly<Record<string, string>> = { cls: 'classification_head', reg: 'regression_head' };
const EXTRA_LEVELS = ['p6', 'p7'];
/** Levels of the pyramid that have a lateral convolution: P3 to P5. */
const LATERAL_LEVELS = 3;

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

const PYRAMID: readonly Renaming[] = [
  { from: /^backbone\.(?!body\.|fpn\.)(.+)$/, to: ([, rest]) => `backbone.body.${rest}` },
  {
    from: /^neck\.lateral_convs\.(\d+)\.conv\.(weight|bias)$/,
    to: ([, level, leaf]) => `backbone.fpn.inner_blocks.${level}.0.${leaf}`,
  },
  {
    from: /^neck\.fpn_convs\.(\d+)\.conv\.(weight|bias)$/,
    to: ([, level, leaf]) => {
      const extra = EXTRA_LEVELS[Number(level) - LATERAL_LEVELS];
      return extra ? `backbone.fpn.extra_blocks.${extra}.${leaf}` : `backbone.fpn.layer_blocks.${level}.0.${leaf}`;
    },
  },
];

/** Whether a state is of an mmdetection 1.x RetinaNet. */
export function isMmdetectionRetinaNet(names: Iterable<string>): boolean {
  for (const name of names) if (/^(module\.)?bbox_head\.retina_(cls|reg)\./.test(name)) return true;
  return false;
}

/** The same tensors under our names; names that are not mmdetection's stay. Tied weights appear once. */
export function mmdetectionRetinaNetState<T>(state: ReadonlyMap<string, T>): Map<string, T> {
  const isSpineNet = [...state.keys()].some((name) => name.includes('backbone.scale_permuted_blocks.'));
  const rules = isSpineNet ? HEAD : [...HEAD, ...PYRAMID];
  return new Map([...state].map(([name, value]) => [renamed(name.replace(/^module\./, ''), rules), value]));
}

function renamed(name: string, rules: readonly Renaming[]): string {
  for (const { from, to } of rules) {
    const match = from.exec(name);
    if (match) return to(match);
  }
  return name;
}
