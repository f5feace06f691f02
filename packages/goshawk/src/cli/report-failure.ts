// What a person reads when a command fails: one line that says what to do, no stack unless asked for.
import { CommanderError } from 'commander';

/** Names of the errors that say what is wrong with the input or the machine, and what to do. They are told apart by
 * name, so that reporting one loads neither the engine nor core. */
const inputErrors: ReadonlySet<string> = new Set(['InputError', 'CheckpointError', 'EngineMissingError']);

/**
 * @param options.debug adds the stack
 * @returns exit code 2 for wrong usage and wrong input, 1 for everything else
 */
export function reportFailure(
  error: unknown,
  options: { readonly debug: boolean },
): { readonly message: string; readonly exitCode: 1 | 2 } {
  const { message, exitCode } = describe(error);
  const stack = error instanceof Error && options.debug ? `\n${error.stack}${causes(error)}` : '';
  return { message: `goshawk: ${message}${stack}`, exitCode };
}

/** Whether an error says no more than that another process of the run is not there any more. */
export function isConsequence(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'DistributedError' || error.name === 'PeerFailure' || isConsequence(error.cause);
}

/** The ranks where an error says that the failure lies. */
export function blamesOf(error: unknown): readonly number[] {
  if (!(error instanceof Error)) return [];
  if (error.name === 'DistributedError' && 'ranks' in error && Array.isArray(error.ranks))
    return error.ranks as number[];
  return blamesOf(error.cause);
}

function describe(error: unknown): { message: string; exitCode: 1 | 2 } {
  if (error instanceof CommanderError) return { message: usageLine(error.message), exitCode: 2 };
  if (!(error instanceof Error)) return { message: oneLine(String(error)), exitCode: 1 };
  if (error.name === 'RunFailure' || error.name === 'OutOfMemoryError' || error.name === 'DistributedError')
    return { message: oneLine(error.message), exitCode: 1 };
  if (inputErrors.has(error.name)) return { message: oneLine(error.message), exitCode: 2 };
  if (error.name === 'SetUpError')
    return { message: oneLine(error.message), exitCode: 'exitCode' in error && error.exitCode === 2 ? 2 : 1 };
  const kind = error.name === 'Error' || error.message.startsWith('internal:') ? '' : `${error.name}: `;
  return { message: `${kind}${oneLine(error.message)} (--debug shows where)`, exitCode: 1 };
}

/** Commander's `error: unknown option '--x'`, its suggestion on a second line. */
function usageLine(message: string): string {
  return oneLine(message.replace(/^error: /, '').replace(/\n\(Did you mean (.*?)\?\)/, ': did you mean $1?'));
}

function oneLine(message: string): string {
  return message.trim().replace(/\s*\n\s*/g, ' ');
}

function causes(error: Error): string {
  const { cause } = error;
  return cause instanceof Error ? `\ncaused by ${cause.stack}${causes(cause)}` : '';
}
