// Stochastic gradient descent, with the update of torch.optim.SGD.
import { callOp } from '../tensor/dispatch.js';
import { type Entry, Optimizer, type Params, type StepOperators, type Stepping } from './optimizer.js';

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
  constructor(
    params: Params<SgdOptions>,
    options: Pick<SgdOptions, 'lr'> & Partial<SgdOptions>,
    operators?: StepOperators,
  ) {
    super(params, { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, ...options }, operators);
    for (const { nesterov, momentum, dampening } of this.groups)
      if (nesterov && (momentum <= 0 || dampening !== 0))
        throw new RangeError(
          `SGD: nesterov needs a momentum above 0 and no dampening, got ${momentum} and ${dampening}`,
        );
  }

  protected override update(stepping: Stepping, options: SgdOptions): void {
    if (options.momentum === 0 || options.dampening === 0) {
      this.#stepAlike(stepping, options, { first: false });
      return;
    }
    const isNew = stepping.entries.map((entry) => !entry.tensors.has(velocityName));
    for (const first of [true, false]) {
      const some = <T>(list: readonly T[]): readonly T[] => list.filter((_, i) => isNew[i] === first);
      const { entries, parameters, gradients, engine } = stepping;
      const lists = { entries: some(entries), parameters: some(parameters), gradients: some(gradients) };
      if (lists.entries.length > 0) this.#stepAlike({ ...lists, engine }, options, { first });
    }
  }

  /** @param first whether the velocities are new: then they are g itself, whatever the dampening (torch/optim/sgd.py) */
  #stepAlike({ entries, parameters, gradients, engine }: Stepping, options: SgdOptions, { first }: { first: boolean }) {
    const { lr, momentum, dampening, weightDecay, nesterov } = options;
    const velocities = momentum === 0 ? [] : entries.map((entry: Entry) => this.slot(entry, velocityName));
    const lists = [parameters, gradients, velocities];
    if (engine === undefined) {
      const share = first ? 1 : 1 - dampening;
      callOp('goshawk::sgd_steps_', ...lists, lr, momentum, share, weightDecay, nesterov);
    } else {
      const rule = [lr, momentum, dampening, weightDecay, nesterov, first];
      callOp('goshawk::sgd_steps_by_engine_', ...lists, ...rule, engine.skipIf);
    }
  }

  protected override skipsOnDevice(): boolean {
    // Whether velocities are new would have to be known of a step that may have been left out.
    return this.groups.every(({ dampening }) => dampening === 0);
  }

  protected override stateNames(): readonly string[] {
    return [velocityName];
  }
}

const velocityName = 'momentum_buffer';
