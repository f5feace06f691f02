// Tensors of a pickle: a typed view (offset, shape, strides) into a storage whose bytes stay in the file until needed.
import { type DType, itemSize } from '../tensor/dtype.js';
import { quoted } from './checkpoint-error.js';
import { elementCount, type FileRange, type LazyTensor, type TensorData } from './tensor-data.js';

/** A damaged or hostile file could ask for any size by strides of 0; real checkpoints hold no large expanded tensors. */
const maxExpandedBytes = 256 * 1024 * 1024;
const maxDimensions = 64;

/** Where a storage's bytes are. `read` gives `scratch`'s beginning, where it can, or a fresh array; ranges are whole elements. */
export interface StorageBytes {
  readonly byteLength: number;
  read(offset: number, length: number, scratch?: Uint8Array<ArrayBuffer>): Uint8Array;
  /** Absent where they are no part of a file as it lies there. */
  range?(offset: number, length: number): FileRange;
}

/** Where the bytes of a storage and of all views of it are: in the legacy format known only after the tensors. */
export interface StoragePlace {
  bytes: StorageBytes | undefined;
  bigEndian?: boolean;
}

/** A flat array of elements that tensors may share. */
export class PickledStorage {
  /** `undefined` for an element type that is not supported, which `typeName` names. */
  readonly dtype: DType | undefined;
  /** Class that the pickle names, such as `FloatStorage`. */
  readonly typeName: string;
  readonly key: string;
  /** Number of elements that the pickle claims. */
  readonly elements: number;
  readonly place: StoragePlace;
  private readonly byteOffset: number;
  private readonly retyped = new Map<DType, PickledStorage>();

  constructor(
    dtype: DType | undefined,
    typeName: string,
    key: string,
    elements: number,
    place: StoragePlace,
    byteOffset = 0,
  ) {
    this.dtype = dtype;
    this.typeName = typeName;
    this.key = key;
    this.elements = elements;
    this.place = place;
    this.byteOffset = byteOffset;
  }

  /** The same bytes as elements of another type; the same object each time. */
  as(dtype: DType): PickledStorage {
    if (dtype === this.dtype) return this;
    const bytes = this.elements * (this.dtype === undefined ? 1 : itemSize(this.dtype));
    const storage =
      this.retyped.get(dtype) ??
      new PickledStorage(
        dtype,
        this.typeName,
        this.key,
        Math.floor(bytes / itemSize(dtype)),
        this.place,
        this.byteOffset,
      );
    this.retyped.set(dtype, storage);
    return storage;
  }

  /** Elements `[offset, offset + elements)` as a storage of its own. */
  view(key: string, offset: number, elements: number): PickledStorage {
    const size = this.dtype === undefined ? 1 : itemSize(this.dtype);
    return new PickledStorage(this.dtype, this.typeName, key, elements, this.place, this.byteOffset + offset * size);
  }

  /** Bytes of a range, little endian for elements of `width` bytes; `undefined` when the file has none for this storage. */
  read(offset: number, length: number, width: number, scratch?: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
    const { bytes, bigEndian } = this.place;
    const read = bytes?.read(this.byteOffset + offset, length, scratch);
    if (read && bigEndian) swapBytes(read, width);
    return read;
  }

  /** Where the file has what `read` gives; undefined where it has none such. */
  range(offset: number, length: number): FileRange | undefined {
    const { bytes, bigEndian } = this.place;
    return bigEndian ? undefined : bytes?.range?.(this.byteOffset + offset, length);
  }
}

/** Reverses the bytes of each element in place. */
export function swapBytes(bytes: Uint8Array, width: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (width === 2) buffer.swap16();
  else if (width === 4) buffer.swap32();
  else if (width === 8) buffer.swap64();
}

/** What a tensor is made from; strides and offset in elements. */
export interface TensorView {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly storageOffset: number;
}

/** Makes an error about this tensor at its place in the file. */
export type Fail = (code: 'tensor-invalid' | 'too-large' | 'truncated', what: string) => Error;

/** A tensor in a checkpoint file. Names that share a storage have the same `storage` object. */
export class PickledTensor implements LazyTensor, TensorView {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly storageOffset: number;
  readonly storage: PickledStorage;
  private readonly fail: Fail;

  /** Throws what `fail` makes when the view is not inside the storage. */
  constructor(storage: PickledStorage, view: TensorView, fail: Fail) {
    this.dtype = view.dtype;
    // Copies: the lists belong to the pickle, whose later opcodes may change them.
    this.shape = [...view.shape];
    this.strides = [...view.strides];
    this.storageOffset = view.storageOffset;
    this.storage = storage;
    this.fail = fail;
    this.check();
  }

  /** The bytes, contiguous, in `scratch` or in a fresh array. Throws `CheckpointError` when the file is closed or too short. */
  materialize(scratch?: Uint8Array<ArrayBuffer>): TensorData {
    const { dtype, shape, strides, storageOffset } = this;
    const size = itemSize(dtype);
    const count = elementCount(shape);
    if (count === 0) return { dtype, shape, data: new Uint8Array(0) };
    const source = this.storage.read(storageOffset * size, extent(shape, strides) * size, size, scratch);
    if (!source)
      throw this.fail('truncated', `storage ${quoted(this.storage.key)} is not in the file: the file is incomplete`);
    const data = isContiguous(shape, strides) ? source : gather(source, shape, strides, size);
    if (dtype === 'bool') for (let i = 0; i < data.length; i++) if (data[i]! > 1) data[i] = 1;
    return { dtype, shape, data };
  }

  range(): FileRange | undefined {
    const { dtype, shape, strides, storageOffset } = this;
    const size = itemSize(dtype);
    if (dtype === 'bool' || elementCount(shape) === 0 || !isContiguous(shape, strides)) return undefined;
    return this.storage.range(storageOffset * size, elementCount(shape) * size);
  }

  private check(): void {
    const { dtype, shape, strides, storageOffset, storage } = this;
    const describe = () =>
      `tensor of shape [${shape.join(', ')}], strides [${strides.join(', ')}], offset ${storageOffset}`;
    const whole = [...shape, ...strides, storageOffset].every((value) => Number.isSafeInteger(value) && value >= 0);
    if (!whole || shape.length !== strides.length || shape.length > maxDimensions) {
      throw this.fail(
        'tensor-invalid',
        `${describe()}: must be whole numbers, as many strides as sizes: the file is damaged`,
      );
    }
    const count = elementCount(shape);
    const span = count === 0 ? 0 : extent(shape, strides);
    if (
      !Number.isSafeInteger(count) ||
      !Number.isSafeInteger(span) ||
      (count > 0 && storageOffset + span > storage.elements)
    ) {
      throw this.fail(
        'tensor-invalid',
        `${describe()} does not fit its storage of ${storage.elements} elements: the file is damaged`,
      );
    }
    if (count > storage.elements && count * itemSize(dtype) > maxExpandedBytes) {
      throw this.fail(
        'too-large',
        `${describe()} repeats ${storage.elements} elements to ${count}: save it contiguous`,
      );
    }
  }
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= Math.max(shape[i]!, 1);
  }
  return strides;
}

/** Elements from the first to the last one that a non-empty view touches. */
function extent(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((sum, size, i) => sum + (size - 1) * strides[i]!, 1);
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = contiguousStrides(shape);
  return shape.every((size, i) => size === 1 || strides[i] === expected[i]);
}

/** Copies a strided view, whose first element is the first of `source`, into row-major order. */
function gather(source: Uint8Array, shape: readonly number[], strides: readonly number[], size: number): Uint8Array {
  // 8-byte elements go as pairs: a Float64Array would change the bits of those that look like NaN.
  if (size === 8) return gather(source, [...shape, 2], [...strides.map((stride) => stride * 2), 1], 4);
  const count = elementCount(shape);
  const from = elementsView(source, size);
  const to = elementsView(new Uint8Array(count * size), size);
  const last = shape.length - 1;
  const inner = shape[last]!;
  const innerStride = strides[last]!;
  const index = new Array<number>(shape.length).fill(0);
  let base = 0;
  for (let written = 0; written < count; written += inner) {
    for (let i = 0; i < inner; i++) to[written + i] = from[base + i * innerStride]!;
    // Steps the outer dimensions like an odometer.
    for (let d = last - 1; d >= 0; d--) {
      base += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      base -= shape[d]! * strides[d]!;
      index[d] = 0;
    }
  }
  return new Uint8Array(to.buffer);
}

function elementsView(bytes: Uint8Array, size: number): Uint8Array | Uint16Array | Uint32Array {
  if (size === 1) return bytes;
  const length = bytes.byteLength / size;
  return size === 2
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, length)
    : new Uint32Array(bytes.buffer, bytes.byteOffset, length);
}
