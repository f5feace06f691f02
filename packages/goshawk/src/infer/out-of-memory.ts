// Memory that is out, in one line for the person whose card or machine it is: how much was wanted, what there is, what to lower.
import { memoryShortageOf } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';

/** Its message is that line. A command that fails with it ends with exit code 1. */
export class OutOfMemoryError extends Error {
  override readonly name = 'OutOfMemoryError';
}

/** What of a config decides how much memory its run takes. */
export type MemoryUse = {
  readonly kind: 'training' | 'prediction';
  readonly precision: RunConfig['train']['precision'];
  /** Pictures of one pass. */
  readonly batchSize?: number;
};

/** @returns `error` itself where it is about something else */
export function asOutOfMemory(error: unknown, use: MemoryUse): unknown {
  if (error instanceof OutOfMemoryError) return error;
  const shortage = memoryShortageOf(error);
  if (shortage === undefined) return error;
  const { where, card, asked, total, free, used } = shortage;
  const place = where === 'host' ? "the machine's memory" : `the memory of card ${card ?? ''}`.trimEnd();
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
    ...(isTraining && batchSize > 1 ? [`train.batchSize (${batchSize}; train.accumulate makes up for it)`] : []),
    isTraining ? 'preprocess.resize.minSize, trainMinSizes and maxSize' : 'preprocess.resize.minSize and maxSize',
    ...(precision === 'fp32' && where === 'card' ? ['the precision by train.precision: bf16'] : []),
  ];
}

/** In the units that drivers and engines use for cards. */
function formatSize(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
