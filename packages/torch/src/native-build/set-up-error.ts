/** What ends a set-up: one line that says what to do, and the exit code, 2 for what a person must put in place. */
export class SetUpError extends Error {
  override readonly name = 'SetUpError';
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2) {
    super(message);
    this.exitCode = exitCode;
  }
}
