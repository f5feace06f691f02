// What the engine cannot do for want of memory or of a kernel, in one line for the person whose run it is.
import { InputError } from '@goshawk/core';
import { type MemoryShortage, memoryShortageOf, notDeterministicIn } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';

/** Its message says how much was wanted, what there is and what to lower. A command that fails with it ends with exit code 1. */
export class OutOfMemoryError extends Error {
  override readonly name = 'OutOfMemoryError';
}

/** What of a config decides how much memory its run takes. */
export type MemoryUse = {
  readonly kind: 'training' | 'prediction';
  readonly precision: RunConfig['train']['precision'];
  /** Pictures of one pass; not told while they are still to be chosen. */
  readonly batchSize?: RunConfig['train']['batchSize'];
};

/**
 * An error of the engine as that line: an OutOfMemoryError, or an InputError where an operator does not do what
 * runtime.deterministic asks for. All others as they are.
 */
export function explainEngineError(error: unknown, use: MemoryUse): unknown {
  if (error instanceof OutOfMemoryError || error instanceof InputError) return error;
  const shortage = memoryShortageOf(error);
  if (shortage !== undefined) return outOfMemory(shortage, use, error);
  const operator = notDeterministicIn(error);
  if (operator === undefined) return error;
  return new InputError(
    'config-invalid',
    `runtime.deterministic: this model needs ${operator}, which has no kernel on this device that does the same in every run: set it to false, or runtime.device to cpu`,
    { cause: error },
  );
}

function outOfMemory(shortage: MemoryShortage, use: MemoryUse, error: unknown): OutOfMemoryError {
  const { where, card, asked, total, free, used } = shortage;
  const ofCard = card === undefined ? "the card's memory" : `the memory of card ${card}`;
  const place = where === 'host' ? "the machine's memory" : ofCard;
  const facts = [
    ...(asked === undefined ? [] : [`${formatSize(asked)} asked for`]),
    ...(used === undefined ? [] : [`${formatSize(used)} in use by this process`]),
    ...(free === undefined ? [] : [`${formatSize(free)} free${total === undefined ? '' : ` of ${formatSize(total)}`}`]),
  ];
  return new OutOfMemoryError(
    `${place} is out${facts.length > 0 ? ` (${facts.join(', ')})` : ''}: lower ${remediesOf(use, where).join(', or ')}`,
    { cause: error },
  );
}

function remediesOf({ kind, precision, batchSize = 1 }: MemoryUse, where: 'card' | 'host'): string[] {
  const isTraining = kind === 'training';
  return [
    ...(isTraining && batchSize !== 'auto' && batchSize > 1
      ? [`train.batchSize (${batchSize}; train.accumulate makes up for it)`]
      : []),
    isTraining ? 'preprocess.resize.minSize, trainMinSizes and maxSize' : 'preprocess.resize.minSize and maxSize',
    ...(precision === 'fp32' && where === 'card' ? ['the precision by train.precision: bf16'] : []),
  ];
}

/** In the units that drivers and engines use for cards. */
function formatSize(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
