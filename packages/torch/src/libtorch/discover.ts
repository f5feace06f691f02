// Finds libtorch. One order for the build, the addon and `goshawk doctor`:
// LIBTORCH (a folder), LIBTORCH_USE_PYTORCH=1 (the torch of the python on PATH), the system's (Debian's package, Homebrew's).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { capabilityEnding } from './processor.js';

export interface Libtorch {
  /** What led to it. */
  readonly source: 'LIBTORCH' | 'LIBTORCH_USE_PYTORCH' | 'system';
  /** The folder that was named; '/usr' for Debian's, Homebrew's own for that. */
  readonly root: string;
  readonly includeDirs: readonly string[];
  /** Folder of libtorch_cpu.so, on macOS libtorch_cpu.dylib. */
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

interface SystemPlace {
  readonly root: string;
  readonly libDirs: readonly string[];
}

const LINUX_PLACES: readonly SystemPlace[] = [
  {
    root: '/usr',
    libDirs: ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'],
  },
];
/** Homebrew's formula pytorch, on Apple's processors and Intel's. */
const MACOS_PLACES: readonly SystemPlace[] = ['/opt/homebrew', '/usr/local'].map((root) => ({
  root,
  libDirs: [`${root}/lib`],
}));

/** Its file name. */
function sharedLibrary(name: string, platform: NodeJS.Platform): string {
  return `lib${name}.${platform === 'darwin' ? 'dylib' : 'so'}`;
}

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

function inFolder(root: string, source: Libtorch['source'], platform: NodeJS.Platform): Libtorch | string {
  if (!existsSync(root)) return `${root} does not exist`;
  const folder = realpathSync(root);
  const include = join(folder, 'include');
  const libDir = join(folder, 'lib');
  const library = sharedLibrary('torch_cpu', platform);
  if (!existsSync(join(libDir, library))) return `no lib/${library} in ${root}`;
  const version = versionOf(include);
  if (!version) return `no headers (include/torch/...) in ${root}`;
  const includeDirs = [include, join(include, 'torch/csrc/api/include')];
  return { source, root: folder, includeDirs, libDir, version, cuda: existsSync(join(libDir, 'libtorch_cuda.so')) };
}

function ofPython(platform: NodeJS.Platform): Libtorch | string {
  try {
    const script = 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])';
    const folder = execFileSync('python3', ['-c', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return inFolder(folder, 'LIBTORCH_USE_PYTORCH', platform);
  } catch {
    return 'the python3 on PATH has no torch';
  }
}

function ofSystem(platform: NodeJS.Platform): Libtorch | string {
  const isApple = platform === 'darwin';
  const library = sharedLibrary('torch_cpu', platform);
  for (const { root, libDirs } of isApple ? MACOS_PLACES : LINUX_PLACES) {
    const libDir = libDirs.find((dir) => existsSync(join(dir, library)));
    if (!libDir) continue;
    const include = join(root, 'include');
    const version = versionOf(include);
    if (!version) return 'the library is there, its headers are not: install libtorch-dev';
    const includeDirs = [include, join(include, 'torch/csrc/api/include')];
    return { source: 'system', root, includeDirs, libDir, version, cuda: existsSync(join(libDir, 'libtorch_cuda.so')) };
  }
  return `not installed (${isApple ? "Homebrew's formula is pytorch" : "Debian's package is libtorch-dev"})`;
}

/** Every place in order with what was found there; looking stops at the first that the environment names. */
export function explainDiscovery(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): { found?: Libtorch; steps: DiscoveryStep[] } {
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
    const found = take(`LIBTORCH=${env.LIBTORCH}`, inFolder(env.LIBTORCH, 'LIBTORCH', platform));
    return found ? { found, steps } : { steps };
  }
  steps.push({ place: 'LIBTORCH', outcome: 'not set' });
  if (env.LIBTORCH_USE_PYTORCH === '1') {
    const found = take('LIBTORCH_USE_PYTORCH=1', ofPython(platform));
    return found ? { found, steps } : { steps };
  }
  steps.push({ place: 'LIBTORCH_USE_PYTORCH', outcome: 'not set' });
  const found = take('system', ofSystem(platform));
  return found ? { found, steps } : { steps };
}

export function discoverLibtorch(env: NodeJS.ProcessEnv = process.env): Libtorch | undefined {
  return explainDiscovery(env).found;
}

/** A short name for one libtorch and the instructions that are used, so that builds for several lie side by side. */
export function libtorchKey(libtorch: Pick<Libtorch, 'version' | 'libDir'>): string {
  const place = createHash('sha256').update(libtorch.libDir).digest('hex').slice(0, 8);
  return `${libtorch.version}-${place}${capabilityEnding()}`;
}
