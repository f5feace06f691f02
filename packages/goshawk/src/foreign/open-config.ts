// Opens a config of any system, told apart by its content.
import { type ConfigSource, parseConfig, type RunConfig, readConfigText } from '../config/index.js';
import { configDialects } from './dialects.js';

export interface OpenConfig {
  readonly config: RunConfig;
  readonly source: ConfigSource;
  /** The system that the file is from; `Goshawk` for ours. */
  readonly dialect: string;
  /** Lines for the person, to be shown once. */
  readonly notices: readonly string[];
}

/**
 * Reads a config file of this project or of a supported system, and applies `--set` options.
 * @param sets `key=value`, in the names of the file's system or in ours
 * @throws InputError (file-not-found, file-unreadable, config-invalid, usage), one line
 */
export function openConfig(file: string, sets: readonly string[] = []): OpenConfig {
  const text = readConfigText(file);
  const source = { file, text, sets };
  const found = configDialects.find(([, dialect]) => dialect.recognises(file, text));
  // What none of them recognises is one of ours.
  if (found === undefined)
    return { config: parseConfig(text, { file, sets }), source, dialect: 'Goshawk', notices: [] };
  const [system, dialect] = found;
  return { ...dialect.read(text, { file, sets }), source, dialect: system };
}
