// Names of tensors in the checkpoints of liangheming/sparse_rcnnv1: dicts of `model` and `ema`, which it validates and exports with.
import type { StateDialect } from '../dialect.js';
import { type Renaming, renameState } from '../shared/rename-state.js';

export const sparseRcnnStates: StateDialect = {
  name: 'sparse_rcnnv1',
  recognises: (names) => names.has('init_proposal_boxes.weight') && names.has('head.heads.0.class_logits.bias'),
  rename: (state) => ({ ...renameState(state, RENAMINGS), norm: 'batch' }),
  prefer: ['ema'],
};

const STAGE = '^head\\.heads\\.(\\d+)\\.';

const RENAMINGS: readonly Renaming[] = [
  { from: /^backbones\.(.+)$/, to: ([, rest]) => `backbone.body.${rest}` },
  {
    // Lateral convolutions c2_to_f2 to c5_to_f5.
    from: /^fpn\.c(\d)_to_f\d\.weight$/,
    to: ([, level]) => `backbone.fpn.inner_blocks.${Number(level) - 2}.0.weight`,
  },
  {
    from: /^fpn\.p(\d)_out\.weight$/,
    to: ([, level]) => `backbone.fpn.layer_blocks.${Number(level) - 2}.0.weight`,
  },
  {
    // Linear, ReLU, dropout, linear.
    from: new RegExp(`${STAGE}feed_forward\\.([03])\\.(weight|bias)$`),
    to: ([, stage, place, leaf]) => `head.stages.${stage}.feed_forward.${Number(place) / 3}.${leaf}`,
  },
  {
    // Linear, norm, ReLU by turns.
    from: new RegExp(`${STAGE}(cls|reg)_tower\\.(\\d+)\\.(weight|bias)$`),
    to: ([, stage, tower, place, leaf]) =>
      `head.stages.${stage}.${tower}_tower.${Math.floor(Number(place) / 3)}.${Number(place) % 3}.${leaf}`,
  },
  { from: new RegExp(`${STAGE}(.+)$`), to: ([, stage, rest]) => `head.stages.${stage}.${rest}` },
];
