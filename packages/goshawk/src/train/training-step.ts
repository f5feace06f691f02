// One forward and backward pass.
import { type GradScaler, ops, scope } from '@goshawk/torch';
import type { Precision } from '../config/index.js';
import type { Batch } from '../data/index.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { inPrecision } from '../infer/predictor.js';
import { type Detector, totalLoss } from '../models/index.js';

/** A loss became NaN or infinite: training cannot go on from here. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';
}

export interface StepOptions {
  readonly precision: Precision;
  readonly device: string;
  /** The gradients are divided by this: where those of several steps are averaged, their number. */
  readonly divisor: number;
  /** Multiplies the loss before its gradients are taken; it has to undo that before they are used. */
  readonly scaler?: GradScaler;
}

/** Adds one batch's gradients to the model's parameters; returns its losses by name. */
export function trainingStep(
  model: Detector,
  batch: Batch,
  { precision, device, divisor, scaler }: StepOptions,
): Record<string, number> {
  return scope(() => {
    const targets = targetsOf(batch, device);
    const losses = inPrecision(precision, device, () => model.loss(imageBatchOf(batch, device), targets));
    const values = Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.item()]));
    if (!Object.values(values).every(Number.isFinite)) {
      const terms = Object.entries(values).map(([name, value]) => `${name} ${value}`);
      const files = batch.images.map((image) => image.fileName);
      throw new NonFiniteLossError(
        `the loss is not finite (${terms.join(', ')}) on ${files.join(', ')}: lower train.optimizer.lr, lengthen the warm-up, or look at these pictures' annotations`,
      );
    }
    const total = totalLoss(losses);
    const mean = divisor === 1 ? total : ops.div(total, divisor);
    (scaler?.scale(mean) ?? mean).backward();
    return values;
  });
}
