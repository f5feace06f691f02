// Which instructions the addons are compiled for and the engine's libraries may use: those of this processor, or the fewer that
// GOSHAWK_CPU_CAPABILITY names, as libtorch's own ATEN_CPU_CAPABILITY does for libtorch alone.

export interface Machine {
  readonly platform: NodeJS.Platform;
  /** As process.arch. */
  readonly arch: string;
}

interface Capability {
  readonly compilerFlags: readonly string[];
  /** What hides the other instructions from the libraries that choose by themselves: libtorch, oneDNN, MKL, OpenBLAS. */
  readonly libraries: Readonly<Record<string, string>>;
}

const CAPABILITIES: Readonly<Record<string, Readonly<Record<string, Capability>>>> = {
  x64: {
    // Intel since Haswell (2013), AMD since Excavator (2015): AVX2, fused products.
    avx2: {
      compilerFlags: ['-march=x86-64-v3'],
      libraries: {
        ATEN_CPU_CAPABILITY: 'avx2',
        ONEDNN_MAX_CPU_ISA: 'AVX2',
        MKL_ENABLE_INSTRUCTIONS: 'AVX2',
        OPENBLAS_CORETYPE: 'Haswell',
      },
    },
    default: {
      compilerFlags: ['-march=x86-64'],
      libraries: {
        ATEN_CPU_CAPABILITY: 'default',
        ONEDNN_MAX_CPU_ISA: 'SSE41',
        MKL_ENABLE_INSTRUCTIONS: 'SSE4_2',
        OPENBLAS_CORETYPE: 'Nehalem',
      },
    },
  },
  arm64: {
    default: { compilerFlags: ['-march=armv8-a'], libraries: { ATEN_CPU_CAPABILITY: 'default' } },
  },
};

/** '' where nothing is said: all that the processor has. */
export function namedCapability(env: NodeJS.ProcessEnv = process.env): string {
  return env.GOSHAWK_CPU_CAPABILITY ?? '';
}

/** Those that can be named on such a machine. */
export function capabilityNames({ arch }: Pick<Machine, 'arch'> = process): string[] {
  return Object.keys(CAPABILITIES[arch] ?? {});
}

/** The compiler's flags, undefined where this machine has no such capability. */
export function instructionFlags(name: string, { platform, arch }: Machine = process): readonly string[] | undefined {
  if (name !== '') return CAPABILITIES[arch]?.[name]?.compilerFlags;
  if (arch !== 'arm64') return ['-march=native'];
  // Apple's first; later ones run it, and its compilers know no `native` before version 15.
  return [platform === 'darwin' ? '-mcpu=apple-m1' : '-mcpu=native'];
}

/** Of a folder that holds what was compiled: for each capability there is one. */
export function capabilityEnding(env: NodeJS.ProcessEnv = process.env): string {
  const name = namedCapability(env);
  return name === '' ? '' : `-${name}`;
}

/** Hides the other instructions from libraries that are not loaded yet. Variables of theirs that are set stay. */
export function limitLibraries(env: NodeJS.ProcessEnv = process.env): void {
  const { libraries = {} } = CAPABILITIES[process.arch]?.[namedCapability(env)] ?? {};
  for (const [name, value] of Object.entries(libraries)) env[name] ??= value;
}
