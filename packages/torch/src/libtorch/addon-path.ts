// Where set-up puts the engine's addon, and what its libraries read from the environment when they are loaded.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Libtorch, libtorchKey } from './discover.js';
import { limitLibraries } from './processor.js';

const build = fileURLToPath(new URL('../../build/', import.meta.url));

export function engineAddonPath(libtorch: Libtorch): string {
  return join(build, libtorchKey(libtorch), 'goshawk_torch.node');
}

/** Must come before the addon, which brings OpenMP in. */
export function setLibraryVariables(): void {
  // Where other programs want the processors too, a thread that waits in a loop keeps off the one that it waits for: steps
  // took 10 times as long. Asleep it costs little elsewhere.
  process.env.OMP_WAIT_POLICY ??= 'passive';
  limitLibraries();
}
