// What goes wrong between processes that compute together.

/** Another process, or the way to it, failed. The message says in which operation, after what time, and whose fault it seems. */
export class DistributedError extends Error {
  override readonly name = 'DistributedError';
  readonly code = 'distributed';
  /** The processes where the failure lies, as far as this one can tell; none where it cannot. */
  readonly ranks: readonly number[];

  constructor(message: string, ranks: readonly number[] = [], options?: ErrorOptions) {
    super(message, options);
    this.ranks = ranks;
  }
}

/**
 * The failure between processes that an error tells of: backward() and operators pass it on as the engine's. undefined where it
 * tells of another.
 */
export function distributedErrorOf(error: unknown): DistributedError | undefined {
  if (error instanceof DistributedError) return error;
  if (!(error instanceof Error) || (error as { code?: unknown }).code !== 'GOSHAWK_GROUP') return undefined;
  return new DistributedError(error.message, (error as Error & { ranks: number[] }).ranks, { cause: error });
}

/** Runs `body`; what fails in it between processes is thrown as a DistributedError. */
export function amongProcesses<Result>(body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    throw distributedErrorOf(error) ?? error;
  }
}
