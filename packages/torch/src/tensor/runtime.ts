// The engine as a whole: what it is, its threads, its random numbers.

import { ensureDevice } from './device.js';
import { track } from './lifetime.js';
import { libtorch, native } from './native.js';
import { type Device, Tensor } from './tensor.js';

export interface EngineInfo {
  /** Version the addon was compiled against. */
  readonly version: string;
  readonly libDir: string;
  readonly source: string;
  readonly cuda: boolean;
  readonly threads: number;
  /** The engine's own lines on its build: BLAS, oneDNN, OpenMP, vector instructions. */
  readonly configuration: string;
}

export function engineInfo(): EngineInfo {
  return {
    version: native.version(),
    libDir: libtorch.libDir,
    source: libtorch.source,
    cuda: libtorch.cuda,
    threads: native.getThreads(),
    configuration: native.configuration(),
  };
}

/** Threads inside one operator, in this thread of JavaScript. */
export function setThreads(count: number): void {
  native.setThreads(count);
}

export function getThreads(): number {
  return native.getThreads();
}

/** Seeds the engine's generators on every device. */
export function manualSeed(seed: number | bigint): void {
  native.seed(seed);
}

/**
 * The state of a device's generator, uint8 on the CPU: setRandomState() makes it go on from there. That of a card is read
 * without waiting for the card.
 */
export function randomState(device: Device = 'cpu'): Tensor {
  ensureDevice(device);
  return track(new Tensor(native.randomState(device)));
}

/** @throws Error where the state is not one of such a device's */
export function setRandomState(state: Tensor, device: Device = 'cpu'): void {
  ensureDevice(device);
  native.setRandomState(state.id, device);
}
