// Puts the engine in place: a libtorch that is found, or that is said how to get, and the addons compiled for it.
import { resolve } from 'node:path';
import { explainDiscovery, type Libtorch } from '../libtorch/discover.js';
import { buildAddons } from './build-addon.js';
import { findCompiler } from './compiler.js';
import { SetUpError } from './set-up-error.js';
import { installAdvice, installPackages, missingPackages } from './system-packages.js';

export interface SetUpOptions {
  /** Folder of a libtorch; else the one that the environment leads to (libtorch/discover.ts). */
  readonly libtorch?: string;
  /** Installs what is missing from Debian's packages, where this user may; never asked for by itself. */
  readonly installLibtorch?: boolean;
  /** Is told a line at a time what happens; nothing where all is in place already. */
  readonly report: (line: string) => void;
}

/**
 * @returns the libtorch that the addons stand for now, and whether one was built by this call
 * @throws SetUpError that says what is missing and how to get it (exitCode 2), or what failed (1)
 */
export async function setUpEngine(
  options: SetUpOptions,
): Promise<{ readonly libtorch: Libtorch; readonly built: boolean }> {
  const env = options.libtorch ? { ...process.env, LIBTORCH: resolve(options.libtorch) } : process.env;
  const libtorch = await provideLibtorch(env, options);
  const built = await buildAddons(libtorch, options.report);
  return { libtorch, built };
}

async function provideLibtorch(env: NodeJS.ProcessEnv, options: SetUpOptions): Promise<Libtorch> {
  const { found, steps } = explainDiscovery(env);
  const looked = steps.map(({ place, outcome }) => `${place}: ${outcome}`).join('; ');
  if (found === undefined && (env.LIBTORCH || env.LIBTORCH_USE_PYTORCH === '1'))
    throw new SetUpError(`no libtorch: ${looked}: name another, or none to use the system's`, 2);
  const missing = missingPackages(found, findCompiler() !== undefined);
  if (missing.length === 0 && found) return found;
  const onlySlow = found !== undefined && !missing.includes('g++');
  if (options.installLibtorch && (await installPackages(missing, options.report))) {
    const installed = explainDiscovery(env).found;
    if (installed) return installed;
    throw new SetUpError('libtorch is still not found after installing libtorch-dev: run `npx goshawk doctor`', 1);
  }
  if (onlySlow) {
    // A clone's tests begin here each time, and `goshawk doctor` tells of it too.
    if (!options.installLibtorch)
      options.report(`without a fast BLAS matrices are multiplied slowly: ${installAdvice(missing)}`);
    return found;
  }
  const what = found === undefined ? `no libtorch (${looked})` : `no C++ compiler (${process.env.CXX ?? 'g++'})`;
  const byItself = options.installLibtorch ? '' : ', or let `npx goshawk setup --install-libtorch` do it';
  const advice = installAdvice(missing);
  throw new SetUpError(`${what}: ${advice}${advice.startsWith('run `') ? byItself : ''}`, 2);
}
