// How the engine computes on CUDA devices, for the whole process. The CPU's operators know none of it.
import { native } from './native.js';

export interface CudaMode {
  /**
   * Only kernels whose results are the same in every run; an operator that has none throws an Error naming it. cuBLAS keeps this
   * promise with a workspace of a fixed size alone, which it reads from CUBLAS_WORKSPACE_CONFIG at its first product: setting
   * this sets that variable where it is not set.
   */
  readonly deterministic: boolean;
  /** What is computed with operands rounded to TF32's 10 bits of fraction (compute capability 8.0 on). PyTorch's default: convolutions. */
  readonly tf32: 'convolutions' | 'all' | 'none';
  /**
   * Whether cuDNN measures its convolutions at each new shape and takes the fastest. Which one that is may differ from run to run,
   * and with it the last digits: off where `deterministic` is set.
   */
  readonly autotune: boolean;
}

// Eight buffers of 4 MiB: NVIDIA's own setting for reproducible results (cuBLAS, section 2.1.4).
const FIXED_WORKSPACE = ':4096:8';

/** Takes effect in all threads, with or without a CUDA device. */
export function setCudaMode({ deterministic, tf32, autotune }: CudaMode): void {
  if (deterministic) process.env.CUBLAS_WORKSPACE_CONFIG ??= FIXED_WORKSPACE;
  native.setCudaMode(deterministic, tf32 !== 'none', tf32 === 'all', autotune && !deterministic);
}

export function cudaMode(): CudaMode {
  const [deterministic, inConvolutions, inProducts, autotune] = native.cudaMode();
  return { deterministic, tf32: inProducts ? 'all' : inConvolutions ? 'convolutions' : 'none', autotune };
}

/** The operator that an error says has no kernel such as {@link CudaMode.deterministic} asks for; undefined for another error. */
export function notDeterministicIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /(\S+) does not have a deterministic implementation/.exec(error.message)?.[1];
}
