// The one error class for wrong data or wrong usage: a person can mend what it names.
import { oneLine } from './one-line.js';

/** Stable names for the kinds of mistakes, for programs that react to them. */
export type InputErrorCode =
  | 'file-not-found'
  | 'file-unreadable'
  | 'image-invalid'
  | 'json-invalid'
  | 'annotation-invalid'
  | 'results-invalid'
  | 'config-invalid'
  | 'checkpoint-invalid'
  | 'usage'
  | 'engine-missing'
  | 'ffmpeg-missing'
  | 'video-invalid';

/**
 * Wrong input. The message is one line of the form `where: what is wrong (expected, got): what to do`.
 * The command line prints it without a stack and exits with 2.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code: InputErrorCode;

  constructor(code: InputErrorCode, message: string, options?: { cause?: unknown }) {
    super(oneLine(message), options);
    this.code = code;
  }
}
