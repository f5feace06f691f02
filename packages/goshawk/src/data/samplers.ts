// In which order pictures come, and which share a batch. Every order is a function of a seed and a position, so that a
// stopped run continues with exactly the batches that it would have seen.
import { createRandom, InputError, randomPermutation } from '@goshawk/core';

/** One picture's turn: `position` counts turns from the start of training and seeds what is drawn for it. */
export interface Draw {
  readonly index: number;
  readonly position: number;
}

/** Where a sampler stands, as plain JSON. */
export interface SamplerState {
  readonly seed: number;
  /** Pictures in the dataset that the state belongs to. */
  readonly count: number;
  /** The next position to draw. */
  readonly position: number;
  /** Positions drawn whose batch is not full yet, in order. */
  readonly pending: readonly number[];
}

export interface BatchSampler {
  /** The next batch, or undefined where a pass has ended. */
  next(): readonly Draw[] | undefined;
  /** What continues after the batches given out so far. */
  state(): SamplerState;
}

export interface ShuffledBatchesOptions {
  /** Pictures in the dataset. */
  readonly count: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Group number of each picture: batches hold one group only. Default: all one group. */
  readonly groups?: ArrayLike<number>;
  /** Continue from here; its seed is taken instead of `seed`. */
  readonly startAt?: SamplerState;
}

/** Which part of each batch one of several processes takes. */
export interface BatchShare {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

/**
 * The places of a batch that a share holds, as `[first, the one behind the last]`: the shares, one behind the other, are the batch, and
 * differ by one picture at most.
 */
export function shareOf(batchSize: number, { index, count }: BatchShare): readonly [number, number] {
  const end = (of: number): number => Math.floor((batchSize * of) / count);
  return [end(index), end(index + 1)];
}

/**
 * Full batches without end. Each pass over the dataset has an order of its own; a group's batch is given out when it is
 * full, across passes where need be (as detectron2 groups wide and tall pictures).
 */
export function shuffledBatches(options: ShuffledBatchesOptions): BatchSampler {
  const { count, batchSize, groups, startAt } = options;
  requireMatchingState(startAt, count);
  const seed = startAt?.seed ?? options.seed;
  let position = startAt?.position ?? 0;
  let pass = -1;
  let order: Uint32Array = new Uint32Array(0);
  const indexAt = (at: number) => {
    const wanted = Math.floor(at / count);
    if (wanted !== pass) {
      pass = wanted;
      order = randomPermutation(count, createRandom(seed, orderStream, pass));
    }
    return order[at % count]!;
  };
  const waiting = new Map<number, Draw[]>();
  const add = (at: number): Draw[] => {
    const index = indexAt(at);
    const group = groups?.[index] ?? 0;
    const draws = waiting.get(group) ?? [];
    draws.push({ index, position: at });
    waiting.set(group, draws);
    return draws;
  };
  for (const at of startAt?.pending ?? []) add(at);
  /** The group that is full for longest; a state of larger batches may leave several. */
  const full = (): Draw[] | undefined =>
    [...waiting.values()]
      .filter((draws) => draws.length >= batchSize)
      .sort((a, b) => a[batchSize - 1]!.position - b[batchSize - 1]!.position)[0];
  let isFirst = true;

  return {
    next() {
      let draws = isFirst ? full() : undefined;
      isFirst = draws !== undefined;
      while (draws === undefined || draws.length < batchSize) {
        draws = add(position);
        position++;
      }
      return draws.splice(0, batchSize);
    },
    state: () => ({
      seed,
      count,
      position,
      pending: [...waiting.values()]
        .flat()
        .map((draw) => draw.position)
        .sort((a, b) => a - b),
    }),
  };
}

/** One pass in file order; the last batch may be smaller. */
export function sequentialBatches(options: {
  readonly count: number;
  readonly batchSize: number;
  readonly seed?: number;
  readonly startAt?: SamplerState;
}): BatchSampler {
  const { count, batchSize, seed = 0, startAt } = options;
  requireMatchingState(startAt, count);
  let position = startAt?.position ?? 0;
  return {
    next() {
      if (position >= count) return undefined;
      const size = Math.min(batchSize, count - position);
      const draws = Array.from({ length: size }, (_, i) => ({ index: position + i, position: position + i }));
      position += size;
      return draws;
    },
    state: () => ({ seed, count, position, pending: [] }),
  };
}

/** Batches that wait for their last picture may be so many batches behind. */
const EVEN_WINDOW = 16;

/**
 * One pass in which the pictures of a batch have the same `kind`, in file order among themselves. A batch is smaller where the
 * file has no further picture of its kind near enough: what comes may be `16 * batchSize` pictures ahead of what waits.
 * @param kindOf a picture by its index
 */
export function evenBatches(options: {
  readonly count: number;
  readonly batchSize: number;
  readonly kindOf: (index: number) => string;
}): BatchSampler {
  const { count, batchSize, kindOf } = options;
  // In the order of their first pictures: a map keeps the order in which its keys came.
  const waiting = new Map<string, Draw[]>();
  let position = 0;
  const take = (kind: string): readonly Draw[] => {
    const draws = waiting.get(kind)!;
    waiting.delete(kind);
    return draws;
  };
  return {
    next() {
      for (;;) {
        const oldest = waiting.entries().next().value;
        const isLate = oldest && position - oldest[1][0]!.position >= EVEN_WINDOW * batchSize;
        if (oldest && (isLate || position >= count)) return take(oldest[0]);
        if (position >= count) return undefined;
        const kind = kindOf(position);
        const draws = waiting.get(kind) ?? [];
        waiting.set(kind, draws);
        draws.push({ index: position, position });
        position++;
        if (draws.length === batchSize) return take(kind);
      }
    },
    state: () => ({
      seed: 0,
      count,
      position,
      pending: [...waiting.values()].flat().map((draw) => draw.position),
    }),
  };
}

/**
 * A picture's aspect group: the number of `boundaries` (rising) at or below width / height. The default boundary 1
 * parts tall pictures (0) from wide and square ones (1).
 */
export function aspectGroup(
  image: { readonly width: number; readonly height: number },
  boundaries: readonly number[] = [1],
): number {
  const aspect = image.width / image.height;
  return boundaries.filter((boundary) => boundary <= aspect).length;
}

/** torchvision's boundaries for `--aspect-ratio-group-factor k`: 2k + 1 steps from 1/2 to 2, even in the logarithm. */
export function torchvisionAspectBoundaries(k = 3): number[] {
  return Array.from({ length: 2 * k + 1 }, (_, i) => 2 ** (i / k - 1));
}

/** Random streams of a seed: the order of a pass, and what is drawn for one position: its view, and its steps. */
const orderStream = 0;
export const augmentStream = 1;
export const stepsStream = 2;

function requireMatchingState(state: SamplerState | undefined, count: number): void {
  if (state !== undefined && state.count !== count) {
    throw new InputError(
      'checkpoint-invalid',
      `sampler: the saved state is of a dataset of ${state.count} pictures, this one has ${count}: ` +
        'resume with the same data, or start from the weights alone',
    );
  }
}
