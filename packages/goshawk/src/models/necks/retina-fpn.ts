// RetinaNet's pyramid (Lin et al. 2017): a feature pyramid without its finest level, and two coarser ones by strided
// convolutions (torchvision's LastLevelP6P7).
import { Conv2d, Module, ops, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import { Fpn, initialised } from './fpn.js';

export interface RetinaFpnOptions {
  readonly inChannels: readonly number[];
  readonly channels: number;
  /** What P6 is made from: the pyramid's coarsest level, or the backbone's. */
  readonly extraLevelsFrom: 'p5' | 'c5';
  /** Whether P7 is made from the positive part of P6. mmdetection 1's FPN leaves that out. */
  readonly reluBeforeP7: boolean;
}

class ExtraBlocks extends Module {
  readonly p6: Conv2d;
  readonly p7: Conv2d;

  constructor(inChannels: number, channels: number) {
    super();
    this.p6 = initialised(new Conv2d(inChannels, channels, 3, { stride: 2, padding: 1 }));
    this.p7 = initialised(new Conv2d(channels, channels, 3, { stride: 2, padding: 1 }));
  }
}

export class RetinaFpn extends Fpn {
  readonly extraBlocks: ExtraBlocks;
  readonly #options: RetinaFpnOptions;

  constructor(options: RetinaFpnOptions) {
    const { inChannels, channels, extraLevelsFrom } = options;
    super({ inChannels, channels, extraLevel: false });
    this.#options = options;
    this.extraBlocks = new ExtraBlocks(
      extraLevelsFrom === 'p5' ? channels : inChannels[inChannels.length - 1]!,
      channels,
    );
  }

  /** C3, C4, C5 -> P3 to P7. */
  override forward(features: Features): Features {
    const levels = super.forward(features);
    const [p6, p7] = scope(() => {
      const source: Tensor = (this.#options.extraLevelsFrom === 'p5' ? levels : features)[levels.length - 1]!;
      const sixth = this.extraBlocks.p6.forward(source);
      return [sixth, this.extraBlocks.p7.forward(this.#options.reluBeforeP7 ? ops.relu(sixth) : sixth)] as const;
    });
    return [...levels, p6, p7];
  }
}
