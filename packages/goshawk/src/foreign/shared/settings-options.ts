// `--set` options in the names of systems whose keys are in capitals; ours begin with a small letter.
import { InputError } from '@goshawk/core';
import { type KeyTree, keysOf } from './key-kinds.js';
import type { SettingsOption, YamlSettings } from './yaml-settings.js';

export function isSettingsOption(set: string): boolean {
  return /^[A-Z]/.test(set);
}

/** @throws InputError (usage) where it has no value */
export function parseSettingsOption(set: string): SettingsOption {
  const equals = set.indexOf('=');
  if (equals < 0) {
    throw new InputError('usage', `--set ${set}: has no value: write --set ${set} VALUE or --set ${set}=VALUE`);
  }
  return { path: set.slice(0, equals).trim().split('.'), text: set.slice(equals + 1) };
}

/** The keys that are given: numbers and lists are likelier to be out of bounds than what a flag turns on. */
export function numbersFirst(tree: KeyTree, { given }: YamlSettings<unknown>): string[] {
  const kinds = new Map(keysOf(tree).map(([path, { kind }]) => [path, kind]));
  const isNumber = (path: string): boolean => /^(int|float)s?$/.test(kinds.get(path) ?? '');
  return [...given.keys()].sort((a, b) => Number(isNumber(b)) - Number(isNumber(a)));
}
