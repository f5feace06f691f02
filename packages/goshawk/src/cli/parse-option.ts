// Values of options that commands read alike.
import { InputError } from '@goshawk/core';

/** @throws InputError naming the option, where `text` is no whole number from `least` to `most` */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new InputError('usage', `${option} ${text}: expected a whole number ${range}: correct it`);
}
