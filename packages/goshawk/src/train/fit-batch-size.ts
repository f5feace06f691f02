// The largest batch that fits into memory, from what steps of small ones take.
import { formatBytes } from '../terminal/progress-line.js';

export interface BatchSizeFacts {
  /** Bytes that the process has before the first step, and what it could have beside them. */
  readonly used: number;
  readonly free: number;
  /** Bytes that every step takes at least, whatever its batch: weights, gradients, moments. */
  readonly fixed: number;
  /** A larger batch is not wanted. */
  readonly most: number;
  /** The most bytes that the process has in steps of so many pictures; undefined where they did not fit. */
  measure(batchSize: number): Promise<number | undefined>;
}

export interface FittedBatchSize {
  /** A power of two. */
  readonly batchSize: number;
  /** What it was chosen by, in a line. */
  readonly why: string;
}

/** Of what is free: other pictures have more objects, and an evaluation and other programs take some too. */
const SHARE = 0.8;

const MEASURED = [1, 2, 4];

/** Measures 1, 2 and 4 pictures, as far as they can be expected to fit, and goes on from there in proportion. */
export async function fitBatchSize({ used, free, fixed, most, measure }: BatchSizeFacts): Promise<FittedBatchSize> {
  const limit = used + SHARE * free;
  const measured: Measured[] = [];
  /** Of the last two sizes the line through both; of one the most that it can be. */
  const expected = (batchSize: number): number => {
    const [before = { batchSize: 0, bytes: used + fixed }, last] = [measured.at(-2), measured.at(-1)!];
    const perPicture = (last.bytes - before.bytes) / (last.batchSize - before.batchSize);
    return last.bytes + Math.max(0, perPicture) * (batchSize - last.batchSize);
  };
  const fits = (batchSize: number): boolean => batchSize <= most && expected(batchSize) <= limit;
  let refused = Number.POSITIVE_INFINITY;
  for (const batchSize of MEASURED) {
    if (measured.length > 0 && !fits(batchSize)) break;
    const bytes = await measure(batchSize);
    if (bytes !== undefined) measured.push({ batchSize, bytes });
    if (bytes === undefined || bytes > limit) {
      refused = batchSize;
      break;
    }
  }
  let batchSize = 1;
  while (measured.length > 0 && 2 * batchSize < refused && fits(2 * batchSize)) batchSize *= 2;
  return { batchSize, why: reason(measured, { used, free, most, batchSize }) };
}

interface Measured {
  readonly batchSize: number;
  /** The most that the process had. */
  readonly bytes: number;
}

function reason(
  measured: readonly Measured[],
  { used, free, most, batchSize }: Pick<BatchSizeFacts, 'used' | 'free' | 'most'> & { readonly batchSize: number },
): string {
  const steps = measured.map((one) => `${formatBytes(Math.max(0, one.bytes - used))} with ${one.batchSize}`);
  const taken = steps.length === 0 ? 'not even one picture fits' : `a step takes ${steps.join(', ')}`;
  const bound = 2 * batchSize > most ? `; more than ${most} are not tried` : '';
  return `${taken} of the ${formatBytes(free)} that are free${bound}`;
}
