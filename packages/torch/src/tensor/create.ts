// Tensors made from JavaScript values.

import { convert } from './convert.js';
import { ensureDevice } from './device.js';
import { callTensorOp } from './dispatch.js';
import type { DType } from './dtype.js';
import { track } from './lifetime.js';
import { native } from './native.js';
import { type Device, type MemoryFormat, Tensor } from './tensor.js';

export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

export type NestedNumbers = number | readonly NestedNumbers[];

export interface CreateOptions {
  /** Default float32 for numbers, the array's own for a typed array. */
  readonly dtype?: DType;
  /** Default 'cpu'. */
  readonly device?: Device;
}

/**
 * A tensor with a copy of the values: nested arrays of numbers, or a typed array (flat, unless `shape` is given).
 * A typed array's elements are taken bit for bit where `dtype` has the same size (uint16 as bfloat16, for example).
 */
export function tensor(
  values: NestedNumbers | TypedArray,
  options: CreateOptions & { shape?: readonly number[] } = {},
): Tensor {
  const { device = 'cpu' } = options;
  let made: Tensor;
  if (ArrayBuffer.isView(values)) {
    const array = values as TypedArray;
    made = track(new Tensor(native.fromBytes(array, options.shape ?? [array.length], options.dtype ?? dtypeOf(array))));
  } else {
    const flat: number[] = [];
    const shape = flatten(values as NestedNumbers, flat);
    made = fromNumbers(flat, options.shape ?? shape, options.dtype ?? 'float32');
  }
  return device === 'cpu' ? made : convert(made, { device });
}

/** A tensor over the memory of `array` itself: no copy; writes on either side show on the other. Works over SharedArrayBuffers. */
export function tensorOver(
  array: TypedArray,
  shape: readonly number[],
  options: { strides?: readonly number[]; dtype?: DType } = {},
): Tensor {
  return track(new Tensor(native.borrowBytes(array, shape, options.strides, options.dtype ?? dtypeOf(array))));
}

export function zeros(shape: readonly number[], options: CreateOptions = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: readonly number[], options: CreateOptions = {}): Tensor {
  return full(shape, 1, options);
}

export function full(
  shape: readonly number[],
  value: number,
  { dtype = 'float32', device = 'cpu' }: CreateOptions = {},
): Tensor {
  ensureDevice(device);
  return callTensorOp('aten::full', shape, value, dtype, undefined, device);
}

/** Uninitialised memory. */
export function empty(
  shape: readonly number[],
  { dtype = 'float32', device = 'cpu', memoryFormat }: CreateOptions & { memoryFormat?: MemoryFormat } = {},
): Tensor {
  ensureDevice(device);
  return callTensorOp('aten::empty.memory_format', shape, dtype, undefined, device, undefined, memoryFormat);
}

/** start, start + 1, ... below end. */
export function arange(start: number, end: number, { dtype = 'float32', device = 'cpu' }: CreateOptions = {}): Tensor {
  ensureDevice(device);
  return callTensorOp('aten::arange.start', start, end, dtype, undefined, device);
}

/** Normally distributed, mean 0, variance 1, from the engine's generator (see manualSeed). */
export function randn(shape: readonly number[], { dtype = 'float32', device = 'cpu' }: CreateOptions = {}): Tensor {
  ensureDevice(device);
  return callTensorOp('aten::randn', shape, dtype, undefined, device);
}

/** Uniform in [0, 1), from the engine's generator. */
export function rand(shape: readonly number[], { dtype = 'float32', device = 'cpu' }: CreateOptions = {}): Tensor {
  ensureDevice(device);
  return callTensorOp('aten::rand', shape, dtype, undefined, device);
}

/** A random order of 0..count-1, int64, from the engine's generator. */
export function randperm(count: number): Tensor {
  return callTensorOp('aten::randperm', count, 'int64');
}

/** Whole numbers from `low` to below `high`, each drawn on its own, int64, from the engine's generator. */
export function randint(low: number, high: number, shape: readonly number[]): Tensor {
  return callTensorOp('aten::randint.low', low, high, shape, 'int64');
}

/** The element type that an array of JavaScript stands for; those without a sign stand for their bits. */
export function dtypeOf(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Float64Array) return 'float64';
  if (array instanceof BigInt64Array) return 'int64';
  if (array instanceof Int32Array || array instanceof Uint32Array) return 'int32';
  if (array instanceof Int16Array || array instanceof Uint16Array) return 'int16';
  return array instanceof Int8Array ? 'int8' : 'uint8';
}

function fromNumbers(flat: readonly number[], shape: readonly number[], dtype: DType): Tensor {
  const direct = (array: TypedArray): Tensor => track(new Tensor(native.fromBytes(array, shape, dtype)));
  switch (dtype) {
    case 'float32':
      return direct(Float32Array.from(flat));
    case 'float64':
      return direct(Float64Array.from(flat));
    case 'int64':
      return direct(BigInt64Array.from(flat, (value) => BigInt(value)));
    case 'int32':
      return direct(Int32Array.from(flat));
    case 'int16':
      return direct(Int16Array.from(flat));
    case 'int8':
      return direct(Int8Array.from(flat));
    case 'uint8':
      return direct(Uint8Array.from(flat));
    case 'bool':
      return direct(Uint8Array.from(flat, (value) => (value ? 1 : 0)));
    case 'float16':
    case 'bfloat16': {
      using single = track(new Tensor(native.fromBytes(Float32Array.from(flat), shape, 'float32')));
      return convert(single, dtype);
    }
  }
}

function flatten(values: NestedNumbers, into: number[]): number[] {
  if (typeof values === 'number') {
    into.push(values);
    return [];
  }
  let inner: number[] | undefined;
  for (const item of values) {
    const shape = flatten(item, into);
    if (inner && inner.join() !== shape.join())
      throw new TypeError(`tensor: rows of different shapes ([${inner}] and [${shape}])`);
    inner = shape;
  }
  return [values.length, ...(inner ?? [])];
}
