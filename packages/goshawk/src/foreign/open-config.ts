// Opens a config of any system, told apart by its content.
import { type ConfigSource, parseConfig, type RunConfig, readConfigText } from '../config/index.js';
import { detectronDialect } from './detectron/config.js';
import type { ConfigDialect } from './dialect.js';
import { mmdetectionDialect } from './mmdetection/config.js';

/** Asked in this order; a config that none of them recognises is one of ours. */
const dialects: readonly ConfigDialect[] = [mmdetectionDialect, detectronDialect];

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
  const dialect = dialects.find((candidate) => candidate.recognises(file, text));
  if (dialect === undefined)
    return { config: parseConfig(text, { file, sets }), source, dialect: 'Goshawk', notices: [] };
  return { ...dialect.read(text, { file, sets }), source, dialect: dialect.name };
}
