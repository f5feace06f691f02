// The Tensor: a handle to one of the engine's tensors, its elements and gradient. What computes a new tensor is an
// operator, and those are put on as methods by ops/methods.ts.
import { type DType, itemSize } from './dtype.js';
import { float32FromBfloat16, float32FromFloat16 } from './half-types.js';
import { TensorHandle, track } from './lifetime.js';
import { native } from './native.js';

export type MemoryFormat = 'contiguous_format' | 'channels_last' | 'preserve_format';

/** `'cpu'`, `'cuda'` or `'cuda:N'`. */
export type Device = string;

/** The typed array that holds a dtype's elements; half types are read as float32. */
export type TensorArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/**
 * Every operator whose first argument is `self` is a method too, with the same arguments (see ops/methods.ts). Tensors are
 * made by the functions of tensor/create.ts and by operators; the constructor is the binding's.
 */
export class Tensor extends TensorHandle {
  #shape: readonly number[] | undefined;
  #dtype: DType | undefined;

  /** Sides, outermost first; `[]` for a scalar. */
  get shape(): readonly number[] {
    this.#shape ??= Object.freeze(native.shape(this.id));
    return this.#shape;
  }

  /** Steps in elements from one index to the next, a side each. */
  get strides(): readonly number[] {
    return native.strides(this.id);
  }

  get dtype(): DType {
    this.#dtype ??= native.dtype(this.id) as DType;
    return this.#dtype;
  }

  get device(): Device {
    return native.device(this.id);
  }

  /** Number of dimensions. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get length(): number {
    let count = 1;
    for (const side of this.shape) count *= side;
    return count;
  }

  /** The length of dimension `dim`; negative ones count from the last. */
  size(dim: number): number {
    const side = this.shape.at(dim);
    if (side === undefined)
      throw new RangeError(`size: dimension ${dim} of a tensor of shape [${this.shape.join(', ')}]`);
    return side;
  }

  isContiguous(memoryFormat: MemoryFormat = 'contiguous_format'): boolean {
    return native.isContiguous(this.id, memoryFormat);
  }

  /** Whether both handles stand for one tensor. */
  is(other: Tensor): boolean {
    return native.sameTensor(this.id, other.id);
  }

  /** The one element of a tensor of one element. */
  item(): number {
    return native.item(this.id);
  }

  /** A copy of the elements in C order (last dimension fastest), in the typed array of the dtype. */
  toTypedArray(): TensorArray {
    const dtype = this.dtype;
    if (dtype === 'float16') return float32FromFloat16(this.#halves());
    if (dtype === 'bfloat16') return float32FromBfloat16(this.#halves());
    const array = arrayFor(dtype, this.length);
    native.readBytes(this.id, array);
    return array;
  }

  #halves(): Uint16Array {
    const bits = new Uint16Array(this.length);
    native.readBytes(this.id, bits);
    return bits;
  }

  /** The elements as float32, whatever the dtype. */
  toFloat32Array(): Float32Array {
    const array = this.toTypedArray();
    if (array instanceof Float32Array) return array;
    return array instanceof BigInt64Array ? Float32Array.from(array, Number) : new Float32Array(array);
  }

  /** The elements as plain numbers in C order, whatever the dtype. */
  toNumbers(): number[] {
    const array = this.toTypedArray();
    const numbers: number[] = [];
    // Array.from goes by the array's iterator, which takes ten times as long.
    for (let i = 0; i < array.length; i++) numbers.push(Number(array[i]));
    return numbers;
  }

  /** The raw bytes in C order, little endian: what checkpoint files hold. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.length * itemSize(this.dtype));
    native.readBytes(this.id, bytes);
    return bytes;
  }

  /** The gradient that backward() added up here, or undefined. */
  get grad(): Tensor | undefined {
    const id = native.gradientOf(this.id);
    return id === null ? undefined : track(new Tensor(id));
  }

  set grad(value: Tensor | undefined) {
    native.setGradient(this.id, value?.id);
  }

  get requiresGrad(): boolean {
    return native.requiresGrad(this.id);
  }

  set requiresGrad(flag: boolean) {
    native.setRequiresGrad(this.id, flag);
  }

  get isLeaf(): boolean {
    return native.isLeaf(this.id);
  }

  /** Adds the gradient of this tensor (a scalar, or with `gradient` of its shape) to the leaves' `grad`. */
  backward(options: { gradient?: Tensor; retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const { gradient, createGraph = false, retainGraph = createGraph } = options;
    native.backward([this.id], gradient ? [gradient.id] : undefined, retainGraph, createGraph);
  }

  override toString(): string {
    return `Tensor[${this.shape.join(', ')}] ${this.dtype} ${this.device}`;
  }

  /** What console.log shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const shown = this.length <= 64 ? ` ${this.toTypedArray().join(', ')}` : '';
    return `${this.toString()}${shown}`;
  }
}

function arrayFor(dtype: Exclude<DType, 'float16' | 'bfloat16'>, length: number): TensorArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length);
    case 'float64':
      return new Float64Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'int16':
      return new Int16Array(length);
    case 'int8':
      return new Int8Array(length);
    case 'uint8':
    case 'bool':
      return new Uint8Array(length);
  }
}
