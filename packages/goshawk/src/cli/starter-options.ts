// What a person can ask of a first config.
import { InputError } from '@goshawk/core';
import type { ModelKind, NetworkSize, Wishes } from '../starter/rules.js';

export interface StarterCommandOptions {
  readonly images?: string;
  readonly model?: ModelKind;
  readonly size?: NetworkSize;
  readonly minutes?: string;
}

const DEFAULT_MINUTES = 10;
const MOST_MINUTES = 100_000;

/** @throws InputError where --minutes is no time */
export function wishesOf({ model, size, minutes }: StarterCommandOptions): Wishes {
  const given = minutes === undefined ? DEFAULT_MINUTES : Number(minutes);
  if (!(given > 0 && given <= MOST_MINUTES))
    throw new InputError('usage', `--minutes ${minutes}: expected a number of minutes, such as 10`);
  return { ...(model && { model }), ...(size && { size }), minutes: given };
}
