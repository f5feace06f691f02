// Where the engine's addon is, and loading it: nothing else, so that a thread can do that ahead (ahead/).
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explainDiscovery, type Libtorch, libtorchKey } from '../libtorch/discover.js';
import { limitLibraries, namedCapability } from '../libtorch/processor.js';

/** Thrown when libtorch or the addon is missing; the message says what to run. */
export class EngineMissingError extends Error {
  override readonly name = 'EngineMissingError';
  readonly code = 'engine-missing';
}

let libtorch: Libtorch | undefined;

/** Which libtorch this process uses. @throws EngineMissingError */
export function findLibtorch(): Libtorch {
  libtorch ??= discovered();
  return libtorch;
}

function discovered(): Libtorch {
  const { found, steps } = explainDiscovery();
  if (found) return found;
  const looked = steps.map((step) => `${step.place}: ${step.outcome}`).join('; ');
  throw new EngineMissingError(
    `libtorch not found (${looked}): run \`${setUpCommand()}\`, or set LIBTORCH to its folder`,
  );
}

/** Programs that use this package without goshawk have its own command. */
function setUpCommand(): string {
  try {
    createRequire(import.meta.url).resolve('goshawk');
    return 'npx goshawk setup';
  } catch {
    return 'npx goshawk-torch-setup';
  }
}

/** The addon's file, when the environment is as the engine's libraries shall read it. @throws EngineMissingError */
export function readyAddonFile(): string {
  const { libDir, version } = findLibtorch();
  const buildDir = fileURLToPath(new URL('../../build/', import.meta.url));
  const path = join(buildDir, libtorchKey({ libDir, version }), 'goshawk_torch.node');
  if (!existsSync(path)) {
    const capability = namedCapability();
    const named = capability === '' ? '' : ` with GOSHAWK_CPU_CAPABILITY=${capability}`;
    throw new EngineMissingError(
      `the addon is not built for libtorch ${version} in ${libDir}${named}: run \`${setUpCommand()}\``,
    );
  }
  // Where other programs want the processors too, a thread that waits in a loop keeps off the one that it waits for: steps
  // took 10 times as long. Asleep it costs little elsewhere. Must be set before the addon brings OpenMP in.
  process.env.OMP_WAIT_POLICY ??= 'passive';
  limitLibraries();
  return path;
}

/** @throws EngineMissingError */
export function loadAddon(): unknown {
  return createRequire(import.meta.url)(readyAddonFile());
}
