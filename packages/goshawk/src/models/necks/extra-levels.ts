// Levels of a pyramid that are coarser than the backbone's.
import { Conv2d, Module, ops, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import { initialised } from './neck-layers.js';

export type ExtraLevels =
  /** One, every second cell of the coarsest: it exists for the anchors of its stride alone. */
  | { readonly kind: 'pool' }
  /**
   * By 3x3 convolutions of stride 2: the first from the coarsest features of the backbone, each further one from the positive part of
   * the one before (Detectron's EXTRA_CONV_LEVELS, detectron/modeling/FPN.py).
   */
  | { readonly kind: 'convolutions'; readonly count: number }
  /** Two by 3x3 convolutions of stride 2 (RetinaNet, Lin et al. 2017; torchvision's LastLevelP6P7). */
  | ({ readonly kind: 'p6p7' } & P6P7Options);

export interface P6P7Options {
  /** What P6 is made from: the pyramid's coarsest level, or the backbone's. */
  readonly extraLevelsFrom: 'p5' | 'c5';
  /** Whether P7 is made from the positive part of P6. mmdetection 1's FPN leaves that out. */
  readonly reluBeforeP7: boolean;
}

export function extraLevelsIn(extra: ExtraLevels | undefined): number {
  switch (extra?.kind) {
    case undefined:
      return 0;
    case 'pool':
      return 1;
    case 'convolutions':
      return extra.count;
    case 'p6p7':
      return 2;
  }
}

export function pooledLevel(coarsest: Tensor): Tensor {
  return ops.max_pool2d(coarsest, [1, 1], { stride: [2, 2] });
}

export function makeExtraConvolutions(count: number, inChannels: number, channels: number): Conv2d[] {
  return Array.from({ length: count }, (_, i) => halving(i === 0 ? inChannels : channels, channels));
}

export function convolvedLevels(convs: readonly Conv2d[], coarsest: Tensor): Tensor[] {
  const levels: Tensor[] = [];
  for (const conv of convs) {
    const before = levels.at(-1);
    levels.push(conv.forward(before ? ops.relu(before) : coarsest));
  }
  return levels;
}

/** Names `p6` and `p7`, as in torchvision. */
export class P6P7 extends Module {
  readonly p6: Conv2d;
  readonly p7: Conv2d;
  readonly #options: P6P7Options;

  constructor(inChannels: number, channels: number, options: P6P7Options) {
    super();
    this.p6 = halving(options.extraLevelsFrom === 'p5' ? channels : inChannels, channels);
    this.p7 = halving(channels, channels);
    this.#options = options;
  }

  /** @param levels of the pyramid; `features` are the backbone's */
  forward(levels: Features, features: Features): readonly [Tensor, Tensor] {
    return scope(() => {
      const sixth = this.p6.forward((this.#options.extraLevelsFrom === 'p5' ? levels : features).at(-1)!);
      return [sixth, this.p7.forward(this.#options.reluBeforeP7 ? ops.relu(sixth) : sixth)];
    });
  }
}

function halving(inChannels: number, channels: number): Conv2d {
  return initialised(new Conv2d(inChannels, channels, 3, { stride: 2, padding: 1 }));
}
