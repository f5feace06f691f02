// The C++ compiler, and how the addons are compiled and linked with it on this machine.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Libtorch } from '../libtorch/discover.js';
import { capabilityNames, instructionFlags, type Machine, namedCapability } from '../libtorch/processor.js';
import { SetUpError } from './set-up-error.js';

export interface Compiler {
  readonly command: string;
  /** Its first line of `--version`: objects of another compiler are not taken for its own. */
  readonly version: string;
  readonly flags: readonly string[];
  /** Where headers lie: places, so no part of what an object file was made from. */
  readonly includes: readonly string[];
  readonly linkFlags: readonly string[];
}

/** The compiler that CXX names, else the first of these that is there. */
export function findCompiler(): string | undefined {
  const names = process.env.CXX ? [process.env.CXX] : ['g++', 'c++', 'clang++'];
  return names.find((name) => versionOf(name) !== undefined);
}

function versionOf(command: string): string | undefined {
  try {
    return execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0];
  } catch {
    return undefined;
  }
}

/**
 * @param nativeDir where the sources lie
 * @param libtorch of the addon that is compiled against it. Absent: of the other one
 * @throws SetUpError without a compiler, and for a GOSHAWK_CPU_CAPABILITY that this machine does not have
 */
export function compilerFor(nativeDir: string, libtorch?: Libtorch): Compiler {
  const command = findCompiler();
  if (command === undefined)
    throw new SetUpError(`no C++ compiler (${process.env.CXX ?? 'g++'}): install g++, or name one in CXX`, 1);
  const version = versionOf(command) ?? '';
  const openMp = libtorch ? openMpFor(process, libtorch) : { flags: [], includes: [], linkFlags: [] };
  const nodeHeaders = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  return {
    command,
    version,
    flags: [...compilerFlags(process, version, libtorch), ...openMp.flags],
    includes: [
      // In place of headers that the engine's own include and no package of it brings.
      ...(libtorch ? [`-I${join(nativeDir, 'distributed/gloo-names')}`] : []),
      `-I${nativeDir}`,
      ...[nodeHeaders, ...(libtorch?.includeDirs ?? []), ...openMp.includes].flatMap((dir) =>
        dir === '/usr/include' ? [] : ['-isystem', dir],
      ),
    ],
    linkFlags: [...linkFlags(process, libtorch), ...openMp.linkFlags],
  };
}

export function compilerFlags(machine: Machine, compilerVersion: string, libtorch?: Libtorch): string[] {
  const [major = 0, minor = 0] = libtorch?.version.split('.').map(Number) ?? [];
  const onlyEngine = (...flags: readonly string[]) => (libtorch ? flags : []);
  const capability = namedCapability();
  const instructions = instructionFlags(capability, machine);
  if (instructions === undefined) {
    const known = capabilityNames(machine).join(' or ') || 'unset';
    throw new SetUpError(
      `GOSHAWK_CPU_CAPABILITY=${capability}: must be ${known} on ${machine.arch}: unset it for all that this processor has`,
      2,
    );
  }
  const isClang = compilerVersion.includes('clang');
  return [
    // The engine's own headers ask for the newer language from 2.10 on.
    `-std=gnu++${major > 2 || (major === 2 && minor >= 9) ? 20 : 17}`,
    '-O3',
    '-fPIC',
    // The addon is built where it runs; without contraction the arithmetic is that of the definitions.
    ...instructions,
    '-ffp-contract=off',
    // By itself it halves vectors of 512 bits, which processors once slowed down for.
    ...(isClang && machine.arch === 'x64' ? ['-mprefer-vector-width=512'] : []),
    // A root is an instruction then, and loops with one are vectorised; the values are the same.
    '-fno-math-errno',
    '-Wall',
    '-Wextra',
    // Vectors longer than the processor's are taken apart; no function gives one to another file.
    '-Wno-psabi',
    // g++ 13 finds faults of this kind in the engine's headers, in std::vector<bool>, that are none.
    ...onlyEngine('-Wno-array-bounds'),
    '-DNAPI_VERSION=8',
    `-DNODE_GYP_MODULE_NAME=goshawk_${libtorch ? 'torch' : 'pixels'}`,
    ...onlyEngine('-D_GLIBCXX_USE_CXX11_ABI=1'),
  ];
}

export function linkFlags({ platform }: Machine, libtorch?: Libtorch): string[] {
  const isApple = platform === 'darwin';
  return [
    // Node's own functions are found in the program that loads the addon, which macOS has to be told.
    ...(isApple ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']),
    ...(libtorch
      ? [
          `-L${libtorch.libDir}`,
          `-Wl,-rpath,${libtorch.libDir}`,
          ...(isApple ? [] : ['-Wl,--no-as-needed']),
          '-ltorch_cpu',
          '-lc10',
        ]
      : []),
  ];
}

interface OpenMp {
  readonly flags: readonly string[];
  readonly includes: readonly string[];
  readonly linkFlags: readonly string[];
}

/** Where Homebrew's libomp lies, on Apple's processors and Intel's. */
const HOMEBREW_OPENMP = ['/opt/homebrew/opt/libomp', '/usr/local/opt/libomp'];

/**
 * Apple's compiler understands OpenMP and brings neither its header nor its library. The header is Homebrew's, the library that
 * beside libtorch, where there is one: two in a process would keep threads of their own. Without the header own kernels take one
 * thread.
 */
export function openMpFor({ platform }: Machine, { libDir }: Libtorch, places = HOMEBREW_OPENMP): OpenMp {
  if (platform !== 'darwin') return { flags: ['-fopenmp'], includes: [], linkFlags: ['-fopenmp'] };
  const place = places.find((folder) => existsSync(join(folder, 'include/omp.h')));
  if (place === undefined) return { flags: [], includes: [], linkFlags: [] };
  const library = existsSync(join(libDir, 'libomp.dylib')) ? [] : [`-L${place}/lib`, `-Wl,-rpath,${place}/lib`];
  return {
    flags: ['-Xpreprocessor', '-fopenmp'],
    includes: [join(place, 'include')],
    linkFlags: [...library, '-lomp'],
  };
}
