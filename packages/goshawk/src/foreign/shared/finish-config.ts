// A translated config made complete.
import { type RunConfig, runConfigSchema, validateConfig } from '../../config/index.js';
import { applySetOption, parseSetOption } from '../../config/set-option.js';

/**
 * @param value what was translated from `file`
 * @param sets the `--set` options in this project's names
 * @throws InputError about the file, or about the options where the file alone is sound
 */
export function finishConfig(value: unknown, sets: readonly string[], file: string): RunConfig {
  // The translation is checked first: a mistake in the file is not one of a --set.
  if (!runConfigSchema.safeParse(value).success) validateConfig(value, `${file}, translated`);
  const changed = sets.reduce<unknown>((config, set) => applySetOption(config, parseSetOption(set)), value);
  return validateConfig(changed, sets.length > 0 ? `--set ${sets.join(' --set ')}` : file);
}
