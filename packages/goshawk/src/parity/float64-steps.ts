// Training steps in float64, in which they do not depend on the order of sums: by the parts that train() is made of, on the first
// batch of a config again and again.
import { clipGradNorm, ops, scope, type Tensor } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader } from '../data/index.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { trainingBatches } from '../infer/split-options.js';
import { type Detector, totalLoss } from '../models/index.js';
import { effectiveSchedule } from '../train/effective-schedule.js';
import { learningRateFactor } from '../train/lr-schedule.js';
import { buildOptimizer } from '../train/optimizer.js';
import { openSplit } from '../train/training-data.js';

export interface Float64Step {
  readonly learningRate: number;
  /** By name, and their `total`. */
  readonly losses: Readonly<Record<string, number>>;
  /** Of all gradients, before they are clipped. */
  readonly gradientNorm: number;
}

/** One after another, each when it is asked for. @param model in float64 and training mode; each step changes it */
export async function* float64Steps(config: RunConfig, model: Detector): AsyncGenerator<Float64Step> {
  const dataset = openSplit(config, 'train', { purpose: 'training' });
  const optimizer = buildOptimizer(model, config.train.optimizer);
  const { learningRate, schedule } = effectiveSchedule(config.train, dataset.samples.length);
  const loader = createLoader({ ...trainingBatches(config), shuffle: false, dataset });
  try {
    const { value: batch } = await loader.next();
    if (batch === undefined) throw new Error('internal: no batch');
    const images = imageBatchOf(batch);
    const wide = { ...images, pixels: images.pixels.to('float64') };
    const targets = targetsOf(batch);
    for (let iteration = 0; ; iteration++) {
      const rate = learningRate * learningRateFactor(iteration, schedule);
      const losses = scope(() => {
        const terms = model.loss(wide, targets);
        const total = totalLoss(terms);
        total.backward();
        return Object.fromEntries(
          [...Object.entries(terms), ['total', total] as const].map(([name, value]) => [name, value.item()]),
        );
      });
      const gradientNorm = normOfGradients(model);
      const { clipGradNorm: limit } = config.train;
      if (limit !== undefined) scope(() => clipGradNorm(model.parameters(), limit));
      optimizer.setLearningRate(rate);
      optimizer.step();
      optimizer.zeroGrad();
      yield { learningRate: rate, losses, gradientNorm };
    }
  } finally {
    await loader.close();
  }
}

function normOfGradients(model: Detector): number {
  const squares = (gradient: Tensor): number => scope(() => ops.sum(ops.mul(gradient, gradient)).item());
  const sum = [...model.parameters()].reduce((total, { grad }) => total + (grad ? squares(grad) : 0), 0);
  return Math.sqrt(sum);
}
