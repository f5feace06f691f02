// The config of a command: of any system, with what there is to know about it on stderr.
import { type OpenConfig, openConfig } from '../foreign/open-config.js';

/** Reads a config and shows its notices. @throws InputError as `openConfig` does */
export function openCommandConfig(file: string, sets?: readonly string[]): OpenConfig {
  const opened = openConfig(file, sets);
  for (const notice of opened.notices) console.error(`notice: ${notice}`);
  return opened;
}
