// `--set a.b=c`: one value of a config, given on the command line.
import { InputError } from '@goshawk/core';
import { parseYaml } from './parse-yaml.js';
import { type ConfigPath, isRecord } from './schema-node.js';

export interface SetOption {
  /** As it was typed. */
  readonly text: string;
  readonly path: ConfigPath;
  readonly value: unknown;
}

/**
 * Reads `a.b=c` or `a.list[0]=c`; the value is YAML (a number, true, text, `[1, 2]`, `{x: 1}`), null takes the key away.
 * @throws InputError when it has no `=`, no key or a value that is no YAML
 */
export function parseSetOption(text: string): SetOption {
  const equals = text.indexOf('=');
  if (equals <= 0) {
    throw new InputError('usage', `--set ${text}: expected KEY=VALUE: write for example --set train.batchSize=4`);
  }
  const path = text
    .slice(0, equals)
    .trim()
    .replace(/\[(\d+)\]/g, '.$1')
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  if (path.some((part) => part === '' || part === '__proto__')) {
    throw new InputError('usage', `--set ${text}: a part of the key is empty: write it as in train.optimizer.lr`);
  }
  const document = parseYaml(text.slice(equals + 1));
  const error = document.errors[0];
  if (error !== undefined) {
    throw new InputError('usage', `--set ${text}: the value is not valid YAML (${firstLine(error.message)}): quote it`);
  }
  try {
    // One value has nothing to refer to but itself.
    return { text, path, value: document.toJS({ maxAliasCount: 0 }) };
  } catch (cause) {
    throw new InputError('usage', `--set ${text}: the value refers to an anchor: write it out`, { cause });
  }
}

/**
 * `value` with the option's value at its path, groups on the way made where they are missing; `value` stays as it is.
 * @throws InputError when the path leads through something that is no group or list
 */
export function applySetOption(value: unknown, option: SetOption): unknown {
  return setAt(value, option.path, option);
}

function setAt(value: unknown, path: ConfigPath, option: SetOption): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return option.value;
  if (Array.isArray(value)) {
    if (typeof key !== 'number' || key > value.length) {
      throw new InputError('usage', `--set ${option.text}: the list has no place '${key}': take 0 to ${value.length}`);
    }
    return value.with(...([key, setAt(value[key], rest, option)] as const));
  }
  if (value !== undefined && value !== null && !isRecord(value)) {
    const group = option.path.slice(0, option.path.length - path.length).join('.');
    throw new InputError('usage', `--set ${option.text}: ${group} is a single value, not a group: set it as a whole`);
  }
  const { [key]: old, ...others } = (value ?? {}) as Record<string | number, unknown>;
  const changed = setAt(old, rest, option);
  return rest.length === 0 && changed === null ? others : { ...others, [key]: changed };
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line .*$/, '');
}
