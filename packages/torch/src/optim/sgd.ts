// Stochastic gradient descent, with the update of torch.optim.SGD.
import { callOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Entry, Optimizer, type Params } from './optimizer.js';

export interface SgdOptions {
  readonly lr: number;
  /** Share of the former velocity that stays: v = momentum v + (1 - dampening) g. Default 0. */
  readonly momentum: number;
  /** Default 0. */
  readonly dampening: number;
  /** g = gradient + weightDecay p. Default 0. */
  readonly weightDecay: number;
  /** Steps along g + momentum v instead of v. Default false. */
  readonly nesterov: boolean;
}

/** p = p - lr v. The velocity is PyTorch's, which holds no lr: it keeps its meaning when the rate changes. */
export class SGD extends Optimizer<SgdOptions> {
  constructor(params: Params<SgdOptions>, options: Pick<SgdOptions, 'lr'> & Partial<SgdOptions>) {
    super(params, { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, ...options });
    for (const { nesterov, momentum, dampening } of this.groups)
      if (nesterov && (momentum <= 0 || dampening !== 0))
        throw new RangeError(
          `SGD: nesterov needs a momentum above 0 and no dampening, got ${momentum} and ${dampening}`,
        );
  }

  protected override update(entry: Entry, gradient: Tensor, options: SgdOptions): void {
    const { lr, momentum, dampening, weightDecay, nesterov } = options;
    const { parameter } = entry;
    if (momentum === 0) {
      // p - lr (g + wd p), without a copy of the gradient.
      if (weightDecay !== 0) callOp('aten::mul_.Scalar', parameter, 1 - lr * weightDecay);
      callOp('aten::add_.Tensor', parameter, gradient, -lr);
      return;
    }
    const first = !entry.tensors.has(velocityName);
    const velocity = this.slot(entry, velocityName);
    // The first velocity is g itself, whatever the dampening (torch/optim/sgd.py).
    const share = first ? 1 : 1 - dampening;
    if (share === 1) {
      callOp('aten::add.out', gradient, velocity, momentum, velocity);
    } else {
      callOp('aten::mul_.Scalar', velocity, momentum);
      callOp('aten::add_.Tensor', velocity, gradient, share);
    }
    if (weightDecay !== 0) callOp('aten::add_.Tensor', velocity, parameter, weightDecay * share);
    if (nesterov) {
      if (weightDecay !== 0) callOp('aten::mul_.Scalar', parameter, 1 - lr * weightDecay);
      callOp('aten::add_.Tensor', parameter, gradient, -lr);
    }
    callOp('aten::add_.Tensor', parameter, velocity, nesterov ? -lr * momentum : -lr);
  }

  protected override stateNames(): readonly string[] {
    return [velocityName];
  }
}

const velocityName = 'momentum_buffer';
