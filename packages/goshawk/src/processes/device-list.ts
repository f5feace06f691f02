// The devices of a run, one process each: `cpu:2`, `cuda`, `cuda:0,1`.
import { InputError } from '@goshawk/core';

/** More processes than this on one machine are a slip of the keyboard. */
export const MOST_PROCESSES = 256;

/**
 * The device of each process, as `runtime.device` has it: `cpu:2` is two processes on the processor, `cuda` one on every card, `cuda:0,1`
 * one on each of these cards.
 * @param cards how many there are; asked for `cuda` alone
 * @throws InputError naming the option
 */
export function parseDevices(text: string, cards: () => number): readonly string[] {
  const [, kind, rest] = /^(cpu|cuda)(?::([\d,]+))?$/.exec(text) ?? [];
  const wrong = (why: string): InputError =>
    new InputError('usage', `--devices ${text}: ${why}: use cpu:2 for two processes, cuda for every card, or cuda:0,1`);
  if (kind === undefined) throw wrong('expected cpu:N, cuda, or cuda: and the numbers of cards');
  if (kind === 'cpu') {
    const count = rest === undefined ? 1 : Number(rest);
    if (!(count >= 1 && count <= MOST_PROCESSES)) throw wrong(`expected 1 to ${MOST_PROCESSES} processes`);
    return Array.from({ length: count }, () => 'cpu');
  }
  if (rest === undefined) {
    const count = cards();
    if (count === 0) throw new InputError('usage', `--devices ${text}: there is no card here: see goshawk doctor`);
    return Array.from({ length: count }, (_, index) => `cuda:${index}`);
  }
  const numbers = rest.split(',').map((part) => (part === '' ? Number.NaN : Number(part)));
  if (!numbers.every((number) => number < 1000)) throw wrong('expected the numbers of cards with commas between');
  if (new Set(numbers).size < numbers.length) throw wrong('names a card twice');
  return numbers.map((number) => `cuda:${number}`);
}
