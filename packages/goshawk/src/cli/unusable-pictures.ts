// What a command says of pictures that it could not use, when all others are done.
import { InputError } from '@goshawk/core';
import { RunFailure } from '../files/run-failure.js';

/** Names them, a line each, and says with what the command ends. @param others what became of the others @param noun what they are */
export function someUnusable(
  problems: readonly InputError[],
  others: string,
  noun: 'picture' | 'video' | 'file' = 'picture',
): RunFailure {
  for (const { message } of problems) console.error(message);
  const count = problems.length === 1 ? `one ${noun}` : `${problems.length} ${noun}s`;
  return new RunFailure(`${count} could not be used, named above: ${others}`);
}

/** Where nothing at all could be done: the input is wrong. */
export function noneUsable(problems: readonly InputError[]): InputError {
  const [first, ...others] = problems;
  if (first === undefined) throw new Error('internal: no picture, and none that is unusable');
  if (others.length === 0) return first;
  return new InputError(first.code, `${first.message} (and ${others.length} others cannot be used either)`);
}
