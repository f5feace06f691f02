// Devices beyond the CPU: their operators come with a library of their own, loaded when first asked for.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { libtorch, native } from './native.js';

let cudaLoaded = false;

/** Whether tensors can live on a CUDA device with this libtorch on this machine. */
export function cudaAvailable(): boolean {
  if (!libtorch.cuda) return false;
  loadCuda();
  return native.hasCuda();
}

/** Makes sure that `device` can be used. @throws Error naming the device, and what is missing */
export function ensureDevice(device: string): void {
  if (device === 'cpu') return;
  if (!/^cuda(:\d+)?$/.test(device)) throw new Error(`device '${device}': unknown: use 'cpu', 'cuda' or 'cuda:N'`);
  if (!libtorch.cuda)
    throw new Error(
      `device '${device}': libtorch ${libtorch.version} in ${libtorch.libDir} has no CUDA: set LIBTORCH to one that has`,
    );
  loadCuda();
  if (!native.hasCuda()) throw new Error(`device '${device}': no CUDA device or driver on this machine: use 'cpu'`);
}

function loadCuda(): void {
  if (cudaLoaded) return;
  const library = join(libtorch.libDir, 'libtorch_cuda.so');
  if (existsSync(library)) native.loadLibrary(library);
  cudaLoaded = true;
}
