// The addon's exports, typed, and where it is loaded from.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { engineAddonPath, setLibraryVariables } from '../libtorch/addon-path.js';
import { explainDiscovery, type Libtorch } from '../libtorch/discover.js';
import { findNvrtc } from '../libtorch/nvrtc.js';
import { namedCapability } from '../libtorch/processor.js';
import { keptByDefault } from './kept-memory.js';
import { type CudaLoader, type CudaStart, startCuda } from './start-cuda.js';

/** A tensor's number on the native side. */
export type TensorId = number;
type NativeValue = number | boolean | string | null | NativeValue[];

export interface NativeOperator {
  readonly index: number;
  readonly schema: string;
  /** One letter an argument: t tensor, T list of tensors, v another value. */
  readonly arguments: string;
  /** One letter a result: t tensor, T list of tensors, v another value. */
  readonly results: string;
}

/** Processes that compute together; groups, stores, buckets and works are numbers. */
interface NativeGroups {
  hostStore(host: string, port: number): number;
  storePort(store: number): number;
  closeStore(store: number): void;
  openGroup(
    rank: number,
    size: number,
    host: string,
    port: number,
    timeoutMs: number,
    address: string,
    device: number,
  ): number;
  closeGroup(group: number): void;
  storeSet(group: number, key: string, value: Uint8Array): void;
  storeGet(group: number, key: string, timeoutMs: number): Uint8Array;
  storeAdd(group: number, key: string, amount: number): number;
  storeWait(group: number, keys: readonly string[], timeoutMs: number): void;
  broadcast(group: number, tensor: TensorId, root: number): void;
  allReduce(group: number, tensor: TensorId, reduction: number, name: string): number;
  waitForWork(work: number): void;
  allGather(group: number, tensor: TensorId): TensorId;
  barrier(group: number): void;
  agree(group: number, text: string): void;
  settle(group: number): void;
  groupSpent(group: number): [milliseconds: number, bytes: number];
  openBuckets(group: number, parameters: readonly TensorId[], bytes: number, name: string): number;
  beginBuckets(buckets: number): void;
  finishBuckets(buckets: number, factor: number): number[];
  closeBuckets(buckets: number): void;
}

interface Native extends CudaLoader, NativeGroups {
  findOperator(name: string, overload: string): NativeOperator | undefined;
  operatorNames(): string[];
  callOperator(index: number, ...args: unknown[]): NativeValue;
  fromBytes(data: ArrayBufferView, shape: readonly number[], dtype: string): TensorId;
  borrowBytes(
    data: ArrayBufferView,
    shape: readonly number[],
    strides: readonly number[] | undefined,
    dtype: string,
  ): TensorId;
  /** The file's own memory from `offset` on; the file may be closed. */
  mapFile(fd: number, offset: number, shape: readonly number[], dtype: string): TensorId;
  readBytes(id: TensorId, into: ArrayBufferView): void;
  item(id: TensorId): number;
  shape(id: TensorId): number[];
  strides(id: TensorId): number[];
  dtype(id: TensorId): string;
  device(id: TensorId): string;
  sameTensor(a: TensorId, b: TensorId): boolean;
  isContiguous(id: TensorId, memoryFormat?: string): boolean;
  leaveToCollector(id: TensorId): void;
  release(ids: readonly TensorId[]): void;
  liveTensors(): number;
  backward(
    tensors: readonly TensorId[],
    gradients: readonly TensorId[] | undefined,
    retainGraph: boolean,
    createGraph: boolean,
  ): void;
  grad(
    outputs: readonly TensorId[],
    inputs: readonly TensorId[],
    gradients: readonly TensorId[] | undefined,
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (TensorId | null)[];
  gradientOf(id: TensorId): TensorId | null;
  setGradient(id: TensorId, gradient: TensorId | undefined): void;
  requiresGrad(id: TensorId): boolean;
  setRequiresGrad(id: TensorId, flag: boolean): void;
  isLeaf(id: TensorId): boolean;
  setGradEnabled(flag: boolean): boolean;
  isGradEnabled(): boolean;
  version(): string;
  configuration(): string;
  /** Than the engine's convolution, with the instructions that the addon is compiled for. */
  isWinogradFaster(): boolean;
  /** Whether convolutions in bfloat16 have a kernel of their own, with weights in float32: the processor has matrix tiles (AMX). */
  convolvesHalves(): boolean;
  /** Whether the processor has products of a half type that the addon is compiled for; elsewhere they are computed in float32. */
  multiplies(dtype: 'bfloat16' | 'float16'): boolean;
  setThreads(count: number): void;
  getThreads(): number;
  seed(seed: number | bigint): void;
  randomState(device: string): TensorId;
  setRandomState(id: TensorId, device: string): void;
  setCudaMode(deterministic: boolean, tf32InConvolutions: boolean, tf32InProducts: boolean, autotune: boolean): void;
  cudaMode(): [deterministic: boolean, tf32InConvolutions: boolean, tf32InProducts: boolean, autotune: boolean];
  setAutocast(deviceType: string, dtype: string | undefined): void;
  clearAutocastCache(): void;
  hasCuda(): boolean;
  /** Name, bytes, compute capability (major, minor), multiprocessors of each device that the driver shows. */
  cudaDeviceFacts(): [name: string, bytes: number, major: number, minor: number, multiprocessors: number][];
  /** CUDA and cuDNN that libtorch_cuda.so was built with; 0 where unknown. */
  cudaLibraryVersions(): [cuda: number, cudnn: number];
  /** Of the card: free and all bytes; of this process: in use, reserved, the most of both, or NaN. */
  deviceMemory(index: number): number[];
  releaseDeviceMemory(index: number): boolean;
  trimMemory(): void;
  keepFreedMemory(bytes: number, idleMilliseconds: number): void;
  limitFreedMemory(bytes: number): void;
  keepInMalloc(largestBlock: number, bytes: number): void;
  hostMemory():
    | [inUse: number, reserved: number, mostInUse: number, mostReserved: number, mostKept: number]
    | undefined;
  dataAddress(id: TensorId): number;
  setDeviceCode(sources: string, compiler: string, cache: string): void;
  compileDeviceCode(name: string, dtype: string, architecture: number): TensorId;
  emulateCard(library: string): void;
  startRecording(): void;
  stopRecording(): (string | number)[];
}

/** Thrown when libtorch or the addon is missing; the message says what to run. */
export class EngineMissingError extends Error {
  override readonly name = 'EngineMissingError';
  readonly code = 'engine-missing';
}

const mallocVariables = ['MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TOP_PAD_', 'GLIBC_TUNABLES'];

/** Which libtorch this process uses. */
export const libtorch: Libtorch = findLibtorch();
export const native: Native = loadAddon();
/** Before any other call of the addon. */
export const cudaStart: CudaStart = startCuda(native, libtorch);
prepare();

function findLibtorch(): Libtorch {
  const { found, steps } = explainDiscovery();
  if (found) return found;
  const looked = steps.map((step) => `${step.place}: ${step.outcome}`).join('; ');
  throw new EngineMissingError(
    `libtorch not found (${looked}): run \`${setUpCommand()}\`, or set LIBTORCH to its folder`,
  );
}

/** Programs that use this package without goshawk have its own command. */
function setUpCommand(): string {
  try {
    createRequire(import.meta.url).resolve('goshawk');
    return 'npx goshawk setup';
  } catch {
    return 'npx goshawk-torch-setup';
  }
}

function loadAddon(): Native {
  const path = engineAddonPath(libtorch);
  if (!existsSync(path)) {
    const capability = namedCapability();
    const named = capability === '' ? '' : ` with GOSHAWK_CPU_CAPABILITY=${capability}`;
    throw new EngineMissingError(
      `the addon is not built for libtorch ${libtorch.version} in ${libtorch.libDir}${named}: run \`${setUpCommand()}\``,
    );
  }
  setLibraryVariables();
  return createRequire(import.meta.url)(path) as Native;
}

function prepare(): void {
  native.limitFreedMemory(keptByDefault());
  // Who sets malloc up in the environment keeps that.
  if (isMainThread && !mallocVariables.some((name) => process.env[name])) keepInMalloc();
  // OpenMP's own default may be one thread, or, in a container, all of the host's.
  const wanted = Number(process.env.GOSHAWK_THREADS ?? process.env.OMP_NUM_THREADS ?? 0);
  native.setThreads(isMainThread ? (wanted > 0 ? wanted : availableParallelism()) : 1);
  if (cudaStart.state === 'ready') prepareDeviceCode();
}

/**
 * Networks take and free the same memory at every picture: given back to the system each time, it is made of zeros again, a page
 * at a time. Beside tensors malloc has scratch memory of the engine's libraries and decoded pictures, tens of megabytes each;
 * where it has the tensors too, it keeps as much as its setting holds.
 */
function keepInMalloc(): void {
  if (native.hostMemory()) native.keepInMalloc(2 ** 26, Math.min(2 ** 28, keptByDefault()));
  else native.keepInMalloc(2 ** 30, Math.min(2 ** 31 - 1, keptByDefault()));
}

/** Own kernels are compiled at their first use on a card, and kept where programs keep what can be made again. */
function prepareDeviceCode(): void {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'goshawk/device-code');
  native.setDeviceCode(fileURLToPath(new URL('../../native', import.meta.url)), findNvrtc(libtorch) ?? '', cache);
}
