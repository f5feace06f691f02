// How mmcv's configs, and those that follow them, say what a training does.
import type { ConfigPart } from '../dialect.js';
import type { Section } from './python-section.js';

/** `optimizer`. */
export function readOptimizer(config: Section): ConfigPart {
  const optimizer = config.section('optimizer');
  const type = optimizer.choice('type', ['SGD', 'Adam', 'AdamW']);
  const decay = optimizer.number('weight_decay', 0);
  const options = optimizer.optionalSection('paramwise_options');
  const factors = {
    ...(options?.isGiven('bias_lr_mult') ? { biasLrFactor: options.number('bias_lr_mult') } : {}),
    ...(options?.isGiven('bias_decay_mult') ? { biasWeightDecay: decay * options.number('bias_decay_mult') } : {}),
    ...(options?.isGiven('norm_decay_mult') ? { normWeightDecay: decay * options.number('norm_decay_mult') } : {}),
  };
  if (type === 'AdamW' && Object.keys(factors).length > 0)
    throw optimizer.wrong('paramwise_options', 'AdamW with them is not supported: remove them');
  options?.finish();
  const part = {
    type: type.toLowerCase(),
    lr: optimizer.number('lr'),
    weightDecay: decay,
    ...(type === 'SGD'
      ? { momentum: optimizer.number('momentum', 0), nesterov: optimizer.flag('nesterov', false) }
      : { betas: [...optimizer.numbers('betas', [0.9, 0.999])], eps: optimizer.number('eps', 1e-8) }),
    ...factors,
  };
  optimizer.finish();
  return part;
}

/** `optimizer_config`: the largest norm of the gradients. */
export function readClip(config: Section): number | undefined {
  const clip = config.optionalSection('optimizer_config');
  const bounds = clip?.optionalSection('grad_clip');
  bounds?.fixed('norm_type', 2);
  const most = bounds?.number('max_norm');
  bounds?.finish();
  clip?.finish();
  return most;
}

const WARMUPS = { linear: 'linear', constant: 'constant', exp: 'exponential' } as const;
// mmcv's: lr_updater.py.
const STANDARD_GAMMA = 0.1;
const STANDARD_WARMUP_RATIO = 0.1;

/** `lr_config`, whose steps are epochs, counted from 0. */
export function readSchedule(config: Section): ConfigPart & { readonly steps: readonly number[] } {
  const schedule = config.section('lr_config');
  schedule.choice('policy', ['step']);
  schedule.fixed('by_epoch', true);
  const warmup = schedule.isGiven('warmup')
    ? {
        warmup: WARMUPS[schedule.choice('warmup', ['linear', 'constant', 'exp'])],
        warmupIterations: schedule.count('warmup_iters', 0, 0),
        warmupFactor: schedule.number('warmup_ratio', STANDARD_WARMUP_RATIO),
      }
    : { warmupIterations: 0 };
  schedule.passOver('warmup_iters', 'warmup_ratio');
  const part = {
    ...warmup,
    steps: [...schedule.numbers('step')],
    stepUnit: 'epoch',
    gamma: schedule.number('gamma', STANDARD_GAMMA),
  };
  schedule.finish();
  return part;
}
