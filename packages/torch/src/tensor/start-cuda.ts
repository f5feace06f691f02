// Whether this process has CUDA: libtorch decides it once, at the first call of any kind that asks, and keeps the answer.
// So the library with the CUDA operators is loaded before the first call, where there is a card that it could use.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dependencyFolders } from '../libtorch/dependency-folders.js';
import type { Libtorch } from '../libtorch/discover.js';

/** What of the addon is needed for it. */
export interface CudaLoader {
  /** State, problem, CUDA version of the driver (13000 is 13.0), devices that it shows. */
  cudaDriver(): [state: string, problem: string, version: number, devices: number];
  loadLibrary(path: string): void;
}

export type CudaStart =
  /** This libtorch is one for the CPU. */
  | { readonly state: 'not built in' }
  | { readonly state: 'no driver'; readonly problem: string }
  /** CUDA_VISIBLE_DEVICES names none. */
  | { readonly state: 'hidden' }
  | { readonly state: 'driver failed' | 'library failed'; readonly problem: string }
  | { readonly state: 'no device' }
  | {
      readonly state: 'ready';
      /** That the driver shows to this process. */
      readonly devices: number;
      /** The newest CUDA that the driver is for: 13000 is 13.0. */
      readonly driverVersion: number;
    };

/** Loads libtorch_cuda.so where the driver shows a device; without a driver nothing is loaded. */
export function startCuda(addon: CudaLoader, { cuda, libDir }: Libtorch): CudaStart {
  if (!cuda) return { state: 'not built in' };
  const [state, problem, driverVersion, devices] = addon.cudaDriver();
  switch (state) {
    case 'hidden':
      return { state: 'hidden' };
    case 'no device':
      return { state: 'no device' };
    case 'absent':
      return { state: 'no driver', problem };
    case 'ready':
      break;
    default:
      return { state: 'driver failed', problem };
  }
  try {
    loadWithDependencies(addon, join(libDir, 'libtorch_cuda.so'), libDir);
  } catch (error) {
    return { state: 'library failed', problem: error instanceof Error ? error.message : String(error) };
  }
  return { state: 'ready', devices, driverVersion };
}

/** More than a libtorch_cuda.so needs; each is found once. */
const MOST_DEPENDENCIES = 40;

/**
 * The archives have CUDA's own libraries beside libtorch, Python's packages in folders that libtorch_cuda.so names from
 * where it lies. Where those are elsewhere (packages in several site-packages), the linker names one that it lacks; PyTorch
 * itself then looks in the `nvidia` folders, and so is it done here, with those beside libtorch and in LD_LIBRARY_PATH's place.
 */
function loadWithDependencies(addon: CudaLoader, library: string, libDir: string): void {
  for (let found = 0; ; found++) {
    try {
      addon.loadLibrary(library);
      return;
    } catch (error) {
      const missing = /(lib[^\s:/]+\.so[.\d]*): cannot open shared object file/.exec(String(error))?.[1];
      const file = missing === undefined ? undefined : findDependency(missing, libDir);
      if (file === undefined || found === MOST_DEPENDENCIES) throw error;
      addon.loadLibrary(file);
    }
  }
}

function findDependency(name: string, libDir: string): string | undefined {
  return dependencyFolders(libDir)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}
