// One forward and backward pass, whose losses stay where the model is, and the one reading of what a step came to.
import { type GradScaler, keep, ops, scope, type Tensor } from '@goshawk/torch';
import type { Precision } from '../config/index.js';
import type { DeviceBatch } from '../infer/network-batch.js';
import { inDtypeOf, inPrecision } from '../infer/precision.js';
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

/** What a pass leaves, to be freed. */
export interface PassLosses {
  readonly names: readonly string[];
  /** [names] float32, on the model's device. */
  readonly values: Tensor;
}

/** Adds one batch's gradients to the model's parameters. Nothing is read back: on a card the work may not have begun. */
export function trainingPass(
  model: Detector,
  batch: DeviceBatch,
  { precision, device, divisor, scaler }: StepOptions,
): PassLosses {
  return keep(
    scope(() => {
      const losses = inPrecision(precision, device, () => model.loss(inDtypeOf(model, batch.images), batch.targets));
      const total = totalLoss(losses);
      const mean = divisor === 1 ? total : ops.div(total, divisor);
      (scaler?.scale(mean) ?? mean).backward();
      const terms = Object.values(losses).map((loss) => loss.detach().to('float32'));
      return { names: Object.keys(losses), values: ops.stack(terms) };
    }),
  );
}

export interface StepReadings {
  /** The losses of each pass by name. */
  readonly losses: readonly Readonly<Record<string, number>>[];
  /** As many as there were further scalars. */
  readonly scalars: readonly number[];
}

/** Losses and further float32 scalars of one element each, in one copy from the device, which waits for all that they depend on. */
export function readStep(passes: readonly PassLosses[], scalars: readonly Tensor[] = []): StepReadings {
  return scope(() => {
    const parts = [...passes.map(({ values }) => values), ...scalars.map((scalar) => scalar.reshape([1]))];
    const values = (parts.length === 1 ? parts[0]! : ops.cat(parts)).toFloat32Array();
    let at = 0;
    const losses = passes.map(({ names }) => Object.fromEntries(names.map((name) => [name, values[at++]!])));
    return { losses, scalars: [...values.subarray(at)] };
  });
}

/** Each loss's mean over the passes of a step. */
export function meansOf(passes: StepReadings['losses']): Record<string, number> {
  const means: Record<string, number> = {};
  for (const losses of passes)
    for (const [name, value] of Object.entries(losses)) means[name] = (means[name] ?? 0) + value / passes.length;
  return means;
}

/**
 * To be asked before the optimizer's turn: its step would spread what is not finite over all weights.
 * @param files of each pass
 * @throws NonFiniteLossError naming the terms and the pictures of the first pass with such a loss
 */
export function requireFinite(
  passes: readonly Readonly<Record<string, number>>[],
  files: readonly (readonly string[])[],
): void {
  for (const [index, losses] of passes.entries()) {
    if (Object.values(losses).every(Number.isFinite)) continue;
    const terms = Object.entries(losses).map(([name, value]) => `${name} ${value}`);
    throw new NonFiniteLossError(
      `the loss is not finite (${terms.join(', ')}) on ${files[index]!.join(', ')}: lower train.optimizer.lr, lengthen the warm-up, or look at these pictures' annotations`,
    );
  }
}
