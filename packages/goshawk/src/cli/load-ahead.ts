// What a command can begin before its own modules are read. bin/goshawk.js asks for it first, so that it imports little.
import { loadEngineAhead } from '@goshawk/torch/libtorch';

/** @param argv the process's words, which may ask for no more than help */
export function loadAhead(argv: readonly string[]): void {
  if (!argv.includes('--help') && !argv.includes('-h')) loadEngineAhead();
}
