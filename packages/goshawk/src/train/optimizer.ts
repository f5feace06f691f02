// The optimizer of a config over a model's learning parameters.
import { AdamW, type Module, SGD } from '@goshawk/torch';
import type { OptimizerConfig } from '../config/index.js';

export type DetectorOptimizer = SGD | AdamW;

export function buildOptimizer(model: Module, config: OptimizerConfig): DetectorOptimizer {
  const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  switch (config.type) {
    case 'sgd':
      return new SGD(learning, {
        lr: config.lr,
        momentum: config.momentum,
        weightDecay: config.weightDecay,
        nesterov: config.nesterov,
      });
    case 'adamw':
      return new AdamW(learning, {
        lr: config.lr,
        betas: config.betas,
        eps: config.eps,
        weightDecay: config.weightDecay,
      });
  }
}
