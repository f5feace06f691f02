// Work that began and could not be done to its end.

/**
 * Its message is the whole line that a person needs: what could not be done, what is kept and what to do. The command ends with exit
 * code 1; an InputError is for what is known before the work begins.
 */
export class RunFailure extends Error {
  override readonly name = 'RunFailure';
}

/** What a person's input, disk or memory did to work that had begun; other errors stay as they are. @param kept what there is nevertheless */
export function asRunFailure(error: unknown, kept?: string): unknown {
  if (!(error instanceof Error) || !EXPLAINED.has(error.name)) return error;
  return new RunFailure(kept === undefined ? error.message : `${error.message}; ${kept}`, { cause: error });
}

/** Errors whose message is a line for a person already. */
const EXPLAINED: ReadonlySet<string> = new Set([
  'InputError',
  'CheckpointError',
  'OutOfMemoryError',
  'DistributedError',
]);
