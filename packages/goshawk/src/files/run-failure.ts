// Work that began and could not be done to its end.

/**
 * Its message is the whole line that a person needs: what could not be done, what is kept and what to do. The command ends with exit
 * code 1; an InputError is for what is known before the work begins.
 */
export class RunFailure extends Error {
  override readonly name = 'RunFailure';
}

/** What a person's input did to work that had begun; other errors stay as they are. */
export function asRunFailure(error: unknown): unknown {
  if (!(error instanceof Error) || !INPUT_ERRORS.has(error.name)) return error;
  return new RunFailure(error.message, { cause: error });
}

const INPUT_ERRORS: ReadonlySet<string> = new Set(['InputError', 'CheckpointError']);
