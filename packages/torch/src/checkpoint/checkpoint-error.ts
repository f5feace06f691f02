// The one error class for checkpoint files that cannot be read or written.

/** Stable names for what can be wrong with a checkpoint file. */
export type CheckpointErrorCode =
  | 'file-not-found'
  | 'file-unreadable'
  | 'write-failed'
  | 'truncated'
  | 'format-unknown'
  | 'format-invalid'
  | 'pickle-invalid'
  | 'pickle-forbidden'
  | 'too-large'
  | 'tensor-invalid'
  | 'tensor-unsupported'
  | 'no-state-dict';

/**
 * A checkpoint file that cannot be read or written. The message is one line: `file: byte N: what is wrong: what to do`.
 * `offset` is the place in the file, where there is one.
 */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
  readonly code: CheckpointErrorCode;
  readonly file: string;
  readonly offset: number | undefined;

  constructor(
    code: CheckpointErrorCode,
    file: string,
    offset: number | undefined,
    what: string,
    options?: { readonly cause?: unknown },
  ) {
    super(`${file}: ${offset === undefined ? '' : `byte ${offset}: `}${what}`, options);
    this.code = code;
    this.file = file;
    this.offset = offset;
  }
}

/** A name out of a file, fit for one line of a message: at most 80 characters, no control characters. */
export function quoted(name: string): string {
  const short = name.length > 80 ? `${name.slice(0, 77)}...` : name;
  return JSON.stringify(short);
}

/** Turns a failed file operation of Node into a `CheckpointError`. */
export function fileError(error: unknown, file: string, doing: 'read' | 'write'): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
  if (doing === 'write')
    return new CheckpointError('write-failed', file, undefined, `cannot be written: ${reason}`, { cause: error });
  if (code === 'ENOENT') {
    return new CheckpointError('file-not-found', file, undefined, 'no such file: check the path');
  }
  return new CheckpointError('file-unreadable', file, undefined, `cannot be read: ${reason}`);
}
