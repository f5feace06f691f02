// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), with the updates of torch.optim.
import { callOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { Optimizer, type Params, type StepOperators, type Stepping } from './optimizer.js';

export interface AdamOptions {
  /** Default 0.001. */
  readonly lr: number;
  /** Share of the former mean and of the former mean square that stays. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Added to the root of the mean square. Default 1e-8. */
  readonly eps: number;
  /** Adam (default 0) adds it times p to the gradient; AdamW (default 0.01) takes lr times it times p off p. */
  readonly weightDecay: number;
  /** Divides by the largest mean square so far (Reddi et al. 2018). Default false. */
  readonly amsgrad: boolean;
}

const defaults: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false };

/** Weight decay as part of the gradient. */
export class Adam extends Optimizer<AdamOptions> {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}, operators?: StepOperators) {
    super(params, { ...defaults, ...options }, operators);
  }

  /** Whether weight decay stays apart from the gradient. */
  protected isDecoupled(): boolean {
    return false;
  }

  /** Along the corrected mean over the root of the corrected mean square. */
  protected override update({ entries, parameters, gradients, engine }: Stepping, options: AdamOptions): void {
    const { lr, betas, eps, weightDecay, amsgrad } = options;
    const [beta1, beta2] = betas;
    const slots = (what: string): Tensor[] => entries.map((entry) => this.slot(entry, what));
    const lists = [
      parameters,
      gradients,
      slots('exp_avg'),
      slots('exp_avg_sq'),
      amsgrad ? slots('max_exp_avg_sq') : [],
    ];
    const isDecoupled = this.isDecoupled();
    if (engine === undefined) {
      const stepSizes = entries.map(({ steps }) => lr / (1 - beta1 ** steps));
      const corrections = entries.map(({ steps }) => Math.sqrt(1 - beta2 ** steps));
      const [kept, decay] = isDecoupled ? [1 - lr * weightDecay, 0] : [1, weightDecay];
      callOp('goshawk::adam_steps_', ...lists, stepSizes, corrections, kept, decay, beta1, beta2, eps);
    } else {
      const rule = [lr, beta1, beta2, eps, weightDecay, isDecoupled];
      callOp('goshawk::adam_steps_by_engine_', ...lists, engine.counts, ...rule, engine.skipIf);
    }
  }

  protected override countsOnDevice(): boolean {
    return true;
  }

  protected override stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'];
  }
}

/** Weight decay apart from the gradient. */
export class AdamW extends Adam {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}, operators?: StepOperators) {
    super(params, { weightDecay: 1e-2, ...options }, operators);
  }

  protected override isDecoupled(): boolean {
    return true;
  }
}
