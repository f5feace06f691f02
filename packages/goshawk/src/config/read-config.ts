// From a config's text to a checked value with every default, or to one line that says what is wrong and where.
import { existsSync, readFileSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { missingRemedy } from '../files/read-file.js';
import { type ConfigOrigin, describeIssues } from './config-problem.js';
import type { ConfigSource } from './config-source.js';
import { type RunConfig, type RunConfigInput, runConfigSchema } from './run-config.js';
import { isRecord } from './schema-node.js';
import { applySetOption, parseSetOption } from './set-option.js';
import { shippedConfig } from './shipped-configs.js';
import { readYaml } from './yaml-document.js';

/** No config of a person is that long; what is was meant for something else. */
const maximumBytes = 4 * 1024 * 1024;
/** Lines and entries of lists. The longest of published configs has some 300, a list of classes up to 13,000. */
const maximumEntries = 30_000;

/**
 * Reads a YAML (or JSON) config file and applies `--set` options in their order.
 * Relative paths inside are left as they are: they start from the folder in which the command runs.
 * @throws InputError (file-not-found, file-unreadable, config-invalid, usage), one line
 */
export function loadConfig(file: string, sets: readonly string[] = []): { config: RunConfig; source: ConfigSource } {
  const text = readConfigText(file);
  return { config: parseConfig(text, { file, sets }), source: { file, text, sets } };
}

/**
 * Reads a config's text.
 * @param options.file the name that messages give
 * @throws InputError (config-invalid, usage), one line
 */
export function parseConfig(
  text: string,
  options: { readonly file: string; readonly sets?: readonly string[] },
): RunConfig {
  const { file } = options;
  const sets = (options.sets ?? []).map(parseSetOption);
  let value: unknown;
  let origin: ConfigOrigin;
  try {
    const { document, lines, error } = readYaml(text);
    if (error !== undefined)
      throw new InputError('config-invalid', `${file}:${error.line}: not valid YAML: ${error.message}: correct it`);
    value = document.toJS();
    origin = { file, document, lines, sets };
  } catch (error) {
    if (error instanceof InputError) throw error;
    // The YAML reader refuses alias bombs and runs out of stack on absurd nesting.
    const reason = error instanceof RangeError ? 'nested too deeply' : lowerFirst(String((error as Error).message));
    throw new InputError('config-invalid', `${file}: not valid YAML: ${reason}`, { cause: error });
  }
  if (value === null && sets.length === 0) {
    throw new InputError('config-invalid', `${file}: is empty: start from a file in configs/`);
  }
  if (value !== null && !isRecord(value)) {
    const got = Array.isArray(value) ? 'a list' : 'a single value';
    throw new InputError(
      'config-invalid',
      `${file}: got ${got}, expected keys such as model and train: is it a config?`,
    );
  }
  for (const set of sets) value = applySetOption(value, set);
  return check(value, origin);
}

/**
 * Checks a config that is already a value, such as the one in a checkpoint.
 * @param where the name that messages give
 */
export function validateConfig(value: unknown, where: string): RunConfig {
  return check(value, { file: where, sets: [] });
}

/**
 * A config written in a program, with every default.
 * @throws InputError for values that do not go together, or are out of bounds, as for a file
 */
export function defineConfig(config: RunConfigInput): RunConfig {
  return check(config, { file: 'the config', sets: [] });
}

/** What is wrong with a value as a config: the places of all problems, and a line on the first without a file; undefined if nothing. */
export function validationProblem(
  value: unknown,
): { readonly places: readonly string[]; readonly message: string } | undefined {
  const result = runConfigSchema.safeParse(value);
  if (result.success) return undefined;
  const { issues } = result.error;
  const message = describeIssues(issues, value, { file: '', sets: [] });
  return { places: issues.map(({ path }) => path.join('.')), message: message.replace(/^: /, '') };
}

function check(value: unknown, origin: ConfigOrigin): RunConfig {
  const result = runConfigSchema.safeParse(value);
  if (result.success) return result.data;
  throw new InputError('config-invalid', describeIssues(result.error.issues, value, origin));
}

/**
 * A config file as text, of any system. A name below `configs/` that does not exist where the command runs is that of
 * a config of this package.
 * @throws InputError (file-not-found, file-unreadable, config-invalid)
 */
export function readConfigText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(existsSync(file) ? file : (shippedConfig(file) ?? file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new InputError('file-not-found', `${file}: no such config file: ${missingRemedy(file)}`);
    if (code === 'EISDIR') throw new InputError('file-unreadable', `${file}: is a folder: name a config file in it`);
    throw new InputError('file-unreadable', `${file}: cannot be read (${code}): check its permissions`, {
      cause: error,
    });
  }
  if (bytes.length > maximumBytes) {
    throw new InputError(
      'config-invalid',
      `${file}: has ${bytes.length} bytes, a config at most ${maximumBytes}: is it one?`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InputError('config-invalid', `${file}: is not text in UTF-8: is it a config?`);
  }
  const entries = countEntries(bytes);
  if (entries > maximumEntries) {
    throw new InputError(
      'config-invalid',
      `${file}: has ${entries} lines and entries, a config at most ${maximumEntries}: is it one?`,
    );
  }
  return text;
}

function countEntries(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x0a) count++;
  return count;
}

function lowerFirst(message: string): string {
  const line = message.split('\n')[0]!;
  return line.charAt(0).toLowerCase() + line.slice(1);
}
