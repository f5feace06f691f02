// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), with the updates of torch.optim.
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Entry, Optimizer, type Params } from './optimizer.js';

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
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { ...defaults, ...options });
  }

  protected override update(entry: Entry, gradient: Tensor, options: AdamOptions): void {
    const { weightDecay } = options;
    if (weightDecay === 0) {
      this.adapt(entry, gradient, options, 1);
    } else {
      using decayed = callTensorOp('aten::add.Tensor', gradient, entry.parameter, weightDecay);
      this.adapt(entry, decayed, options, 1);
    }
  }

  /** The step of the parameter times `kept` along the corrected mean over the root of the corrected mean square. */
  protected adapt(entry: Entry, gradient: Tensor, options: AdamOptions, kept: number): void {
    const { lr, betas, eps, amsgrad } = options;
    const [beta1, beta2] = betas;
    const mean = this.slot(entry, 'exp_avg');
    const meanSquare = this.slot(entry, 'exp_avg_sq');
    const stepSize = lr / (1 - beta1 ** entry.steps);
    const correction = Math.sqrt(1 - beta2 ** entry.steps);
    if (!amsgrad) {
      const step = [kept, beta1, beta2, eps, stepSize, correction];
      callOp('goshawk::adam_step_', entry.parameter, gradient, mean, meanSquare, ...step);
      return;
    }
    if (kept !== 1) callOp('aten::mul_.Scalar', entry.parameter, kept);
    callOp('aten::lerp_.Scalar', mean, gradient, 1 - beta1);
    callOp('aten::mul_.Scalar', meanSquare, beta2);
    callOp('aten::addcmul_', meanSquare, gradient, gradient, 1 - beta2);
    const largest = this.slot(entry, 'max_exp_avg_sq');
    callOp('aten::maximum.out', largest, meanSquare, largest);
    using root = callTensorOp('aten::sqrt', largest);
    callOp('aten::div_.Scalar', root, correction);
    callOp('aten::add_.Scalar', root, eps);
    callOp('aten::addcdiv_', entry.parameter, mean, root, -stepSize);
  }

  protected override stateNames(): readonly string[] {
    return ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'];
  }
}

/** Weight decay apart from the gradient. */
export class AdamW extends Adam {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { weightDecay: 1e-2, ...options });
  }

  protected override update(entry: Entry, gradient: Tensor, options: AdamOptions): void {
    const { lr, weightDecay } = options;
    this.adapt(entry, gradient, options, 1 - lr * weightDecay);
  }
}
