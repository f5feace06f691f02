// Finds libtorch. One order for the build, the addon and `goshawk doctor`:
// LIBTORCH (a folder), LIBTORCH_USE_PYTORCH=1 (the torch of the python on PATH), the system's (Debian's package).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export interface Libtorch {
  /** What led to it. */
  readonly source: 'LIBTORCH' | 'LIBTORCH_USE_PYTORCH' | 'system';
  /** The folder that was named; '/usr' for the system's. */
  readonly root: string;
  readonly includeDirs: readonly string[];
  /** Folder of libtorch_cpu.so. */
  readonly libDir: string;
  /** Such as '2.14.1', read from the headers (the patch level is the headers', some packages leave it 0). */
  readonly version: string;
  /** Whether the library brings the CUDA operators. */
  readonly cuda: boolean;
}

/** One line a place that was looked at, for people who wonder why theirs was not taken. */
export interface DiscoveryStep {
  readonly place: string;
  readonly outcome: string;
}

const SYSTEM_LIB_DIRS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'];

function versionOf(includeDir: string): string | undefined {
  const file = join(includeDir, 'torch/csrc/api/include/torch/version.h');
  // Newer headers moved the numbers into torch/headeronly/version.h.
  for (const path of [join(includeDir, 'torch/headeronly/version.h'), file]) {
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8');
    const part = (name: string) => new RegExp(`define TORCH_VERSION_${name} (\\d+)`).exec(text)?.[1];
    if (part('MAJOR')) return `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
  }
  return undefined;
}

function inFolder(root: string, source: Libtorch['source']): Libtorch | string {
  if (!existsSync(root)) return `${root} does not exist`;
  const folder = realpathSync(root);
  const include = join(folder, 'include');
  const libDir = join(folder, 'lib');
  if (!existsSync(join(libDir, 'libtorch_cpu.so'))) return `no lib/libtorch_cpu.so in ${root}`;
  const version = versionOf(include);
  if (!version) return `no headers (include/torch/...) in ${root}`;
  const includeDirs = [include, join(include, 'torch/csrc/api/include')];
  return { source, root: folder, includeDirs, libDir, version, cuda: existsSync(join(libDir, 'libtorch_cuda.so')) };
}

function ofPython(): Libtorch | string {
  try {
    const script = 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])';
    const folder = execFileSync('python3', ['-c', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return inFolder(folder, 'LIBTORCH_USE_PYTORCH');
  } catch {
    return 'the python3 on PATH has no torch';
  }
}

function ofSystem(): Libtorch | string {
  const libDir = SYSTEM_LIB_DIRS.find((dir) => existsSync(join(dir, 'libtorch_cpu.so')));
  if (!libDir) return "not installed (Debian's package is libtorch-dev)";
  const version = versionOf('/usr/include');
  if (!version) return 'the library is there, its headers are not: install libtorch-dev';
  const includeDirs = ['/usr/include', '/usr/include/torch/csrc/api/include'];
  return {
    source: 'system',
    root: '/usr',
    includeDirs,
    libDir,
    version,
    cuda: existsSync(join(libDir, 'libtorch_cuda.so')),
  };
}

/** Every place in order with what was found there; looking stops at the first that the environment names. */
export function explainDiscovery(env: NodeJS.ProcessEnv = process.env): { found?: Libtorch; steps: DiscoveryStep[] } {
  const steps: DiscoveryStep[] = [];
  const take = (place: string, result: Libtorch | string) => {
    steps.push({
      place,
      outcome: typeof result === 'string' ? result : `libtorch ${result.version} in ${result.libDir}`,
    });
    return typeof result === 'string' ? undefined : result;
  };
  if (env.LIBTORCH) {
    // A folder that was named and does not fit is a mistake to show, not to pass over.
    const found = take(`LIBTORCH=${env.LIBTORCH}`, inFolder(env.LIBTORCH, 'LIBTORCH'));
    return found ? { found, steps } : { steps };
  }
  steps.push({ place: 'LIBTORCH', outcome: 'not set' });
  if (env.LIBTORCH_USE_PYTORCH === '1') {
    const found = take('LIBTORCH_USE_PYTORCH=1', ofPython());
    return found ? { found, steps } : { steps };
  }
  steps.push({ place: 'LIBTORCH_USE_PYTORCH', outcome: 'not set' });
  const found = take('system', ofSystem());
  return found ? { found, steps } : { steps };
}

export function discoverLibtorch(env: NodeJS.ProcessEnv = process.env): Libtorch | undefined {
  return explainDiscovery(env).found;
}

/** A short name for one libtorch, so that builds against several lie side by side. */
export function libtorchKey(libtorch: Libtorch): string {
  const place = createHash('sha256').update(libtorch.libDir).digest('hex').slice(0, 8);
  return `${libtorch.version}-${place}`;
}
