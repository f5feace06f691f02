// The addon's exports, typed, and where it is loaded from.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { explainDiscovery, type Libtorch, libtorchKey } from '../libtorch/discover.js';

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

interface Native {
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
  readBytes(id: TensorId, into: ArrayBufferView): void;
  item(id: TensorId): number;
  shape(id: TensorId): number[];
  strides(id: TensorId): number[];
  dtype(id: TensorId): string;
  device(id: TensorId): string;
  sameTensor(a: TensorId, b: TensorId): boolean;
  isContiguous(id: TensorId, memoryFormat?: string): boolean;
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
  setThreads(count: number): void;
  getThreads(): number;
  seed(seed: number | bigint): void;
  randomState(): TensorId;
  setRandomState(id: TensorId): void;
  setAutocast(deviceType: string, dtype: string | undefined): void;
  clearAutocastCache(): void;
  loadLibrary(path: string): void;
  hasCuda(): boolean;
  trimMemory(): void;
  keepFreedMemory(bytes: number): void;
}

/** Thrown when libtorch or the addon is missing; the message says what to run. */
export class EngineMissingError extends Error {
  override readonly name = 'EngineMissingError';
  readonly code = 'engine-missing';
}

/** Which libtorch this process uses. */
export const libtorch: Libtorch = findLibtorch();
export const native: Native = load();

function findLibtorch(): Libtorch {
  const { found, steps } = explainDiscovery();
  if (found) return found;
  const looked = steps.map((step) => `${step.place}: ${step.outcome}`).join('; ');
  throw new EngineMissingError(`libtorch not found (${looked}): run \`npm run setup\`, or set LIBTORCH to its folder`);
}

function load(): Native {
  const buildDir = fileURLToPath(new URL('../../build/', import.meta.url));
  const path = join(buildDir, libtorchKey(libtorch), 'goshawk_torch.node');
  if (!existsSync(path)) {
    throw new EngineMissingError(
      `the addon is not built for libtorch ${libtorch.version} in ${libtorch.libDir}: run \`npm run build:libtorch -- ${libtorch.root}\``,
    );
  }
  // Where other programs want the processors too, a thread that waits in a loop keeps off the one that it waits for: steps
  // took 10 times as long. Asleep it costs little elsewhere. Must be set before the addon brings OpenMP in.
  process.env.OMP_WAIT_POLICY ??= 'passive';
  const loaded = createRequire(import.meta.url)(path) as Native;
  // OpenMP's own default may be one thread, or, in a container, all of the host's.
  const wanted = Number(process.env.GOSHAWK_THREADS ?? process.env.OMP_NUM_THREADS ?? 0);
  loaded.setThreads(isMainThread ? (wanted > 0 ? wanted : availableParallelism()) : 1);
  return loaded;
}
