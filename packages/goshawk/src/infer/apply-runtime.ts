// What a config's `runtime` sets in the engine, for the whole process.
import { type CudaMode, setCudaMode, setExactConvolutions, setThreads } from '@goshawk/torch';
import type { RuntimeConfig } from '../config/index.js';

/** What a run does with its model. */
export type RunPurpose = { readonly kind: 'training'; readonly iterations: number } | { readonly kind: 'prediction' };

/**
 * A new size costs some seconds of measuring, and a training has up to some hundred sizes of batches: those of its short side, by
 * steps of the padding along the long one.
 */
const ITERATIONS_THAT_REPAY = 1000;

/** To be called where a run starts, before its model is made. */
export function applyRuntime(runtime: RuntimeConfig, purpose: RunPurpose): void {
  if (runtime.threads > 0) setThreads(runtime.threads);
  setExactConvolutions(runtime.exact);
  if (runtime.device !== 'cpu') setCudaMode(cudaModeOf(runtime, purpose));
}

export function cudaModeOf({ deterministic, tf32, autotune }: RuntimeConfig, purpose: RunPurpose): CudaMode {
  return {
    deterministic,
    tf32,
    autotune: !deterministic && (autotune === 'auto' ? repaysTuning(purpose) : autotune === 'on'),
  };
}

/** The heads of a detector that predicts see another number of objects in every picture: each would be a size of its own. */
function repaysTuning(purpose: RunPurpose): boolean {
  return purpose.kind === 'training' && purpose.iterations >= ITERATIONS_THAT_REPAY;
}
