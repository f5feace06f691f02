// Devices beyond the CPU: whether there are some, what they are, and why one cannot be used.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeFor, readCudaArchitectures } from '../libtorch/cuda-architectures.js';
import { findNvrtc } from '../libtorch/nvrtc.js';
import { cudaStart, libtorch, native } from './native.js';

/** Whether tensors can live on a CUDA device with this libtorch on this machine. */
export function cudaAvailable(): boolean {
  return cudaStart.state === 'ready' && native.hasCuda();
}

/** Makes sure that `device` can be used. @throws Error naming the device, and what is missing */
export function ensureDevice(device: string): void {
  if (device === 'cpu') return;
  const parts = /^cuda(?::(\d+))?$/.exec(device);
  if (!parts) throw new Error(`device '${device}': unknown: use 'cpu', 'cuda' or 'cuda:N'`);
  const problem = cudaProblem();
  if (problem !== undefined) throw new Error(`device '${device}': ${problem}`);
  const count = cudaStart.state === 'ready' ? cudaStart.devices : 0;
  if (Number(parts[1] ?? 0) >= count) {
    const names = count === 1 ? 'cuda:0 alone' : `cuda:0 to cuda:${count - 1}`;
    throw new Error(`device '${device}': there is ${names}${visibleDevices()}: use one of these`);
  }
}

/** Why there is no CUDA device here and what to do, in one line; undefined where there is one. */
export function cudaProblem(): string | undefined {
  switch (cudaStart.state) {
    case 'not built in':
      return `libtorch ${libtorch.version} in ${libtorch.libDir} has no CUDA: set LIBTORCH to one that has, or use 'cpu'`;
    case 'no driver':
      return `no NVIDIA driver on this machine (${cudaStart.problem}): install it, or use 'cpu'`;
    case 'hidden':
      return `CUDA_VISIBLE_DEVICES='${process.env.CUDA_VISIBLE_DEVICES ?? ''}' hides every CUDA device: unset it, or use 'cpu'`;
    case 'driver failed':
      return `NVIDIA's driver does not start (${cudaStart.problem}): mend its installation, or use 'cpu'`;
    case 'no device':
      return `NVIDIA's driver shows no device${visibleDevices()}: use 'cpu'`;
    case 'library failed':
      return `libtorch_cuda.so does not load (${cudaStart.problem}): put that beside it or into LD_LIBRARY_PATH, or use 'cpu'`;
    case 'ready':
      return native.hasCuda() ? undefined : refusedByLibtorch(cudaStart.driverVersion);
  }
}

/** From CUDA 11 on a driver serves all versions of its major number (CUDA Compatibility, minor version compatibility). */
function refusedByLibtorch(driver: number): string {
  const [library] = native.cudaLibraryVersions();
  const isTooOld = library >= 11000 ? Math.floor(driver / 1000) < Math.floor(library / 1000) : driver < library;
  if (!isTooOld)
    return `NVIDIA's driver shows a device, and libtorch ${libtorch.version} cannot use it: see \`goshawk doctor\`, or use 'cpu'`;
  return `NVIDIA's driver is for CUDA ${cudaVersion(driver)}, libtorch ${libtorch.version} for CUDA ${cudaVersion(library)}: install a newer driver, set LIBTORCH to a libtorch for CUDA ${Math.floor(driver / 1000)}, or use 'cpu'`;
}

function visibleDevices(): string {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  return visible === undefined ? '' : ` with CUDA_VISIBLE_DEVICES='${visible}'`;
}

/** 13000 is 13.0. */
function cudaVersion(number: number): string {
  return `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 10)}`;
}

/** What `goshawk doctor` tells of the cards, and what a report on them names. */
export interface CudaFacts {
  /** The newest CUDA that the driver is for, such as '13.0'. */
  readonly driver: string;
  /** The driver's own number, such as '580.159.04'; absent where the system does not tell. */
  readonly driverRelease?: string;
  /** CUDA that libtorch was built with. */
  readonly library: string;
  /** Such as '9.10.2'; absent in a libtorch without. */
  readonly cudnn?: string;
  /** File of the compiler for kernels that are made at run time; absent where none lies with libtorch. */
  readonly nvrtc?: string;
  readonly devices: readonly CudaDevice[];
}

export interface CudaDevice {
  /** Such as 'cuda:0'. */
  readonly device: string;
  readonly name: string;
  readonly bytes: number;
  /** Compute capability, such as '9.0'. */
  readonly capability: string;
  readonly multiprocessors: number;
  /** What libtorch has for it: code, code that the driver compiles at the first use, or nothing that it could run. */
  readonly code: 'machine' | 'ptx' | undefined;
}

/** undefined where the driver shows no device, or this libtorch has no CUDA. */
export function cudaFacts(): CudaFacts | undefined {
  if (cudaStart.state !== 'ready') return undefined;
  const [library, cudnn] = native.cudaLibraryVersions();
  const architectures = readCudaArchitectures(join(libtorch.libDir, 'libtorch_cuda.so'));
  const devices = native.cudaDeviceFacts().map(
    ([name, bytes, major, minor, multiprocessors], index): CudaDevice => ({
      device: `cuda:${index}`,
      name,
      bytes,
      capability: `${major}.${minor}`,
      multiprocessors,
      code: codeFor(major * 10 + minor, architectures),
    }),
  );
  return {
    driver: cudaVersion(cudaStart.driverVersion),
    driverRelease: driverRelease(),
    library: cudaVersion(library),
    ...(cudnn > 0 && { cudnn: cudnnVersion(cudnn) }),
    nvrtc: findNvrtc(libtorch),
    devices,
  };
}

function driverRelease(): string | undefined {
  const file = '/proc/driver/nvidia/version';
  return existsSync(file) ? /\s(\d+(?:\.\d+)+)\s/.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
}

/** From 9 on a minor number has two digits more: 8902 is 8.9.2, 91002 is 9.10.2. */
function cudnnVersion(number: number): string {
  const major = number >= 10000 ? 10000 : 1000;
  return `${Math.floor(number / major)}.${Math.floor((number % major) / 100)}.${number % 100}`;
}

/** Bytes of a card's memory. */
export interface DeviceMemory {
  /** Of the whole card, whoever uses it. */
  readonly free: number;
  readonly total: number;
  /** Of this process: what tensors take, what was taken from the card for them, and the most of both; NaN before libtorch 2.9. */
  readonly inUse: number;
  readonly reserved: number;
  readonly mostInUse: number;
  readonly mostReserved: number;
}

/** What is free and used on a CUDA device that this thread has worked on. @throws Error where it has not */
export function deviceMemory(device: string): DeviceMemory {
  const [free, total, inUse, reserved, mostInUse, mostReserved] = native.deviceMemory(indexOf(device)) as [
    ...[number, number, number, number, number, number],
  ];
  return { free, total, inUse, reserved, mostInUse, mostReserved };
}

/** Gives what tensors freed back to the card, and counts the most anew. @returns false where this libtorch (before 2.9) cannot */
export function releaseDeviceMemory(device: string): boolean {
  return native.releaseDeviceMemory(indexOf(device));
}

function indexOf(device: string): number {
  ensureDevice(device);
  return Number(/:(\d+)$/.exec(device)?.[1] ?? 0);
}
