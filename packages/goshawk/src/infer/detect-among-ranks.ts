// A detector's way through a data set that several processes share. What is found in a picture does not depend
// on those that share its batch, and so not on how many processes there are.
import { type Detection, InputError, type InputErrorCode } from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import { type DetectEachOptions, detectEach } from './detect-each.js';
import { gatherOutcomes } from './gather-outcomes.js';
import type { Predictor } from './predictor.js';

export interface DetectAmongRanksOptions extends Omit<DetectEachOptions, 'onUnusable'> {
  readonly group: ProcessGroup;
  readonly isStopped?: () => boolean;
  /** Is told that one of this process's own pictures is done. */
  readonly onOwn?: () => void;
  /** What was found in each picture of the data set, by its place; in every process. */
  readonly onFound: (place: number, detections: readonly Detection[]) => void;
  /** Instead of that, of a picture that cannot be used. Absent: it ends the way in all processes. */
  readonly onUnusable?: (place: number, error: InputError) => void;
}

type Outcome =
  | { readonly detections: readonly Detection[] }
  | { readonly error: { readonly code: InputErrorCode; readonly message: string } };

/** @returns whether all pictures are done: not where a process was stopped */
export async function detectAmongRanks(predictor: Predictor, options: DetectAmongRanksOptions): Promise<boolean> {
  const { group, dataset, isStopped, onFound, onUnusable } = options;
  const own = ownOutcomes(predictor, options);
  try {
    return await gatherOutcomes<Outcome>({
      group,
      total: dataset.samples.length,
      own,
      isStopped,
      onOutcome(place, outcome) {
        if ('detections' in outcome) onFound(place, outcome.detections);
        else onUnusable?.(place, new InputError(outcome.error.code, outcome.error.message));
      },
    });
  } finally {
    await own.return();
  }
}

async function* ownOutcomes(
  predictor: Predictor,
  { group: { rank, size }, dataset, preprocess, batchSize, workers, onOwn, onUnusable }: DetectAmongRanksOptions,
): AsyncGenerator<Outcome, void, void> {
  const samples = dataset.samples.filter((_, place) => place % size === rank);
  if (samples.length === 0) return;
  const unusable = new Map<number, InputError>();
  const found = detectEach(predictor, {
    dataset: { ...dataset, samples },
    preprocess,
    batchSize,
    workers,
    ...(onUnusable && { onUnusable: (place: number, error: InputError) => unusable.set(place, error) }),
  });
  let place = 0;
  for await (const detections of found) {
    const error = unusable.get(place);
    place += 1;
    onOwn?.();
    yield error ? { error: { code: error.code, message: error.message } } : { detections };
  }
}
