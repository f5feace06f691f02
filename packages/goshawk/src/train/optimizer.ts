// The optimizer of a config over a model's learning parameters.
import { Adam, AdamW, type Module, noGrad, ops, type Parameter, SGD } from '@goshawk/torch';
import type { OptimizerConfig } from '../config/index.js';
import { learningParameters, parametersByName } from './parameter-groups.js';

export type DetectorOptimizer = SGD | Adam;

export function buildOptimizer(model: Module, config: OptimizerConfig): DetectorOptimizer {
  switch (config.type) {
    case 'sgd':
      return new SGD(groupsOf(model, config), {
        lr: config.lr,
        momentum: config.momentum,
        weightDecay: config.weightDecay,
        nesterov: config.nesterov,
      });
    case 'adam':
      return new Adam(groupsOf(model, config), {
        lr: config.lr,
        betas: config.betas,
        eps: config.eps,
        weightDecay: config.weightDecay,
      });
    case 'adamw':
      return new AdamW(groupsOf(model, config), {
        lr: config.lr,
        betas: config.betas,
        eps: config.eps,
        weightDecay: config.weightDecay,
      });
  }
}

/**
 * Multiplies SGD's velocity where the learning rate changes by more than a tenth and was above 1e-7: Detectron's
 * SCALE_MOMENTUM (lib/utils/net.py), meant for a velocity that holds the rate. Ours and PyTorch's does not, so that this
 * brakes or speeds up more than the rate does; it is there to train as Detectron.pytorch does.
 */
export function correctMomentum(optimizer: DetectorOptimizer, change: { from: number; to: number }): void {
  const { from, to } = change;
  if (from <= 1e-7 || Math.max(to / from, from / to) <= 1.1) return;
  noGrad(() => {
    for (const [name, tensor] of optimizer.stateDict().tensors)
      if (name.endsWith('.momentum_buffer')) ops.mul_(tensor, to / from);
  });
}

interface Group {
  readonly params: readonly (readonly [string, Parameter])[];
  readonly lrMultiplier: number;
  readonly lr: number;
  readonly weightDecay: number;
}

/** Parameters of one kind each; all in one group where no rule tells them apart. */
function groupsOf(model: Module, config: OptimizerConfig): Group[] {
  const { lr, weightDecay, biasLrFactor, biasWeightDecay = weightDecay, normWeightDecay = weightDecay } = config;
  const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const named = parametersByName(learning, config.groups);
  const byName = named.map(([rule, params]) => ({
    params,
    lrMultiplier: rule.lrFactor,
    lr: lr * rule.lrFactor,
    weightDecay: rule.weightDecay ?? weightDecay,
  }));
  const except = new Set(named.flatMap(([, params]) => params.map(([, parameter]) => parameter)));
  const kinds = learningParameters(model, { except });
  const rules = {
    weight: { lrMultiplier: 1, lr, weightDecay },
    bias: { lrMultiplier: biasLrFactor, lr: lr * biasLrFactor, weightDecay: biasWeightDecay },
    norm: { lrMultiplier: 1, lr, weightDecay: normWeightDecay },
  };
  if (biasLrFactor === 1 && biasWeightDecay === weightDecay && normWeightDecay === weightDecay)
    return [...(kinds.size > 0 ? [{ params: [...kinds.values()].flat(), ...rules.weight }] : []), ...byName];
  return [...Array.from(kinds, ([kind, params]) => ({ params, ...rules[kind] })), ...byName];
}
