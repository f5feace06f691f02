// The engine's libraries take a fifth of a second to load, which one processor does while another reads modules.
import { existsSync } from 'node:fs';
import { type PixelAddon, pixelAddon } from '../pixels/index.js';
import { engineAddonPath, setLibraryVariables } from './addon-path.js';
import { discoverLibtorch } from './discover.js';

/**
 * Begins to load the engine in a thread of the system's. Whoever loads it meanwhile waits for that; a process that ends does too.
 * Does nothing where no addon is built, and where Python has to be asked for libtorch.
 */
export function loadEngineAhead(): void {
  if (!process.env.LIBTORCH && process.env.LIBTORCH_USE_PYTORCH === '1') return;
  const libtorch = discoverLibtorch();
  const loader: PixelAddon | undefined = libtorch && pixelAddon();
  if (libtorch === undefined || loader === undefined) return;
  const path = engineAddonPath(libtorch);
  if (!existsSync(path)) return;
  setLibraryVariables();
  loader.openLibrary(path);
  // Libraries that are still loaded while others end would meet them half taken down.
  process.once('exit', () => loader.awaitLibrary());
}
