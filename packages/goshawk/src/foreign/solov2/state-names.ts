// Names of SOLOv2 in pytorch_solov2, whose states have no wrapper and no names of modules inside a convolution's unit, and of
// SOLOv2 and decoupled SOLO in the authors' repository (WXinlong/SOLO), which follow mmdetection 1. Classes stand alike there and
// here: none for the background.
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

/** Convolution, then norm: by number, or by name. */
const part = (name: string | undefined): number => (name === '0' || name === 'conv' ? 0 : 1);

const TOWERS: Readonly<Record<string, string>> = {
  cate_convs: 'category_convs',
  kernel_convs: 'kernel_convs',
  ins_convs_x: 'column_convs',
  ins_convs_y: 'row_convs',
};
const OUTPUTS: Readonly<Record<string, string>> = {
  solo_cate: 'categories',
  dsolo_cate: 'categories',
  solo_kernel: 'kernels',
};
const AXES: Readonly<Record<string, string>> = { x: 'columns', y: 'rows' };

const RULES: readonly Renaming[] = [
  { from: /^backbone\.(?!body\.|fpn\.)(.+)$/, to: ([, rest]) => `backbone.body.${rest}` },
  {
    from: /^(?:fpn|neck)\.(lateral|fpn)_convs\.(\d+)\.(?:conv\.)?(weight|bias)$/,
    to: ([, kind, level, leaf]) => `backbone.fpn.${kind === 'lateral' ? 'inner' : 'layer'}_blocks.${level}.0.${leaf}`,
  },
  {
    from: /^mask_feat_head\.convs_all_levels\.(\d+)\.conv(\d+)\.(0|1|conv|gn)\.(weight|bias)$/,
    to: ([, level, conv, kind, leaf]) => `mask_features.levels.${level}.${conv}.${part(kind)}.${leaf}`,
  },
  {
    from: /^mask_feat_head\.conv_pred\.(?:0\.)?(0|1|conv|gn)\.(weight|bias)$/,
    to: ([, kind, leaf]) => `mask_features.output.${part(kind)}.${leaf}`,
  },
  {
    from: /^bbox_head\.(cate_convs|kernel_convs|ins_convs_x|ins_convs_y)\.(\d+)\.(0|1|conv|gn)\.(weight|bias)$/,
    to: ([, tower = '', conv, kind, leaf]) => `head.${TOWERS[tower]}.${conv}.${part(kind)}.${leaf}`,
  },
  {
    from: /^bbox_head\.(d?solo_cate|solo_kernel)\.(weight|bias)$/,
    to: ([, output = '', leaf]) => `head.${OUTPUTS[output]}.${leaf}`,
  },
  {
    from: /^bbox_head\.dsolo_ins_list_([xy])\.(\d+)\.(weight|bias)$/,
    to: ([, axis = '', level, leaf]) => `head.${AXES[axis]}.${level}.${leaf}`,
  },
];

export const solov2States: StateDialect = {
  name: 'SOLO',
  recognises: (names) => [...names].some((name) => /^(module\.)?bbox_head\.d?solo_cate\./.test(name)),
  rename: (state) => ({ state: solov2State(state), orphans: [], norm: 'batch' }),
};

/** The same tensors under our names; names that are not SOLO's stay. */
export function solov2State<T>(state: ReadonlyMap<string, T>): Map<string, T> {
  const plain = new Map([...state].map(([name, value]) => [name.replace(/^module\./, ''), value]));
  return renameState(plain, RULES).state;
}
