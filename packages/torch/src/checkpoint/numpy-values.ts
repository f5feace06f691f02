// numpy's arrays and scalars in pickles, rebuilt from what `ndarray.__reduce__` writes (numpy/_core/src/multiarray/methods.c,
// array_reduce and array_setstate). Other byte orders and unsigned types that the engine lacks are converted when read.
import { type DType, itemSize } from '../tensor/dtype.js';
import { float16ToNumber } from '../tensor/half-types.js';
import { bytesOf, NumpyArray, NumpyDtype, OpaqueObject, type PickleValue } from './pickle-values.js';
import type { PickledBytes } from './pickled-bytes.js';
import {
  contiguousStrides,
  type Fail,
  PickledStorage,
  PickledTensor,
  type StorageBytes,
  swapBytes,
} from './pickled-tensor.js';
import { elementCount } from './tensor-data.js';

interface Numeric {
  readonly dtype: DType;
  /** Bytes of an element in the file, where it is read into a wider type. */
  readonly narrow?: number;
  /** Values from 2^63 do not fit the engine's int64. */
  readonly unsigned64?: boolean;
}

/** numpy's kinds and widths that become tensors. */
const numerics: ReadonlyMap<string, Numeric> = new Map([
  ['f2', { dtype: 'float16' }],
  ['f4', { dtype: 'float32' }],
  ['f8', { dtype: 'float64' }],
  ['i1', { dtype: 'int8' }],
  ['i2', { dtype: 'int16' }],
  ['i4', { dtype: 'int32' }],
  ['i8', { dtype: 'int64' }],
  ['u1', { dtype: 'uint8' }],
  ['u2', { dtype: 'int32', narrow: 2 }],
  ['u4', { dtype: 'int64', narrow: 4 }],
  ['u8', { dtype: 'int64', unsigned64: true }],
  ['b1', { dtype: 'bool' }],
] as const);

function numericOf(dtype: NumpyDtype): Numeric | undefined {
  return dtype.structured ? undefined : numerics.get(dtype.code);
}

/** Takes `(version, order, subarray, names, fields, size, alignment, flags)`. */
export function setDtypeState(dtype: NumpyDtype, state: PickleValue, fail: Fail): void {
  if (!Array.isArray(state) || typeof state[1] !== 'string')
    throw fail('tensor-invalid', 'state of numpy.dtype must be a tuple: the file is damaged');
  dtype.bigEndian = state[1] === '>';
  dtype.structured = [state[2], state[3], state[4]].some((part) => part !== null && part !== undefined);
}

/** Takes `(version, shape, dtype, is_fortran, data)`; old files leave the version out. */
export function setArrayState(array: NumpyArray, state: PickleValue, fail: Fail): void {
  const parts = Array.isArray(state) ? (state.length === 4 ? [1, ...state] : state) : [];
  const [, shape, dtype, fortran, data] = parts;
  if (parts.length !== 5 || !isShape(shape) || !(dtype instanceof NumpyDtype)) {
    throw fail(
      'tensor-invalid',
      'state of numpy.ndarray must be (version, shape, dtype, is_fortran, data): the file is damaged',
    );
  }
  fill(array, { shape, dtype, fortran: fortran === true || fortran === 1, data: data ?? null }, fail);
}

interface ArrayContents {
  readonly shape: readonly number[];
  readonly dtype: NumpyDtype;
  /** Column-major order. */
  readonly fortran: boolean;
  readonly data: PickleValue;
}

function fill(array: NumpyArray, { shape, dtype, fortran, data }: ArrayContents, fail: Fail): void {
  array.shape = [...shape];
  array.dtypeCode = dtype.code;
  array.tensor = undefined;
  array.objects = undefined;
  const count = elementCount(shape);
  const describe = () => `numpy array of ${JSON.stringify(dtype.code.slice(0, 20))} [${shape.join(', ')}]`;
  if (dtype.code.startsWith('O')) {
    const objects = Array.isArray(data) ? data : [];
    if (objects.length !== count)
      throw fail('tensor-invalid', `${describe()} has ${objects.length} objects: the file is damaged`);
    array.objects = objects;
    return;
  }
  const numeric = numericOf(dtype);
  if (!numeric) return;
  const bytes = bytesOf(data);
  const width = numeric.narrow ?? itemSize(numeric.dtype);
  if (!bytes || bytes.byteLength !== count * width) {
    throw fail(
      'tensor-invalid',
      `${describe()} takes ${count * width} bytes, got ${bytes?.byteLength ?? 'none'}: the file is damaged`,
    );
  }
  const place = { bytes: storageBytes(bytes, numeric, dtype.bigEndian, fail) };
  const storage = new PickledStorage(numeric.dtype, dtype.code, '', count, place);
  const strides = fortran ? contiguousStrides([...shape].reverse()).reverse() : contiguousStrides(shape);
  array.tensor = new PickledTensor(storage, { dtype: numeric.dtype, shape, strides, storageOffset: 0 }, fail);
}

/** `numpy._core.numeric._frombuffer(buffer, dtype, shape, order, axis_order)`, which protocol 5 uses. */
export function arrayFromBuffer(args: readonly PickleValue[], fail: Fail): NumpyArray {
  const [buffer = null, dtype, shape, order, axisOrder] = args;
  if (!(dtype instanceof NumpyDtype) || !isShape(shape)) {
    throw fail('tensor-invalid', 'numpy._frombuffer takes (buffer, dtype, shape, order): the file is damaged');
  }
  const array = new NumpyArray();
  fill(array, { shape, dtype, fortran: order === 'F', data: buffer }, fail);
  if (order !== 'K' || !array.tensor || !Array.isArray(axisOrder)) return array;
  const axes = axisOrder.map((axis) => (typeof axis === 'number' ? axis : -1));
  if (
    axes.length !== shape.length ||
    axes.some((axis, i) => !(axis >= 0 && axis < shape.length) || axes.indexOf(axis) !== i)
  ) {
    throw fail(
      'tensor-invalid',
      'numpy._frombuffer: axis order must be a permutation of the axes: the file is damaged',
    );
  }
  const { dtype: elements, strides, storage, storageOffset } = array.tensor;
  array.shape = axes.map((axis) => shape[axis]!);
  array.tensor = new PickledTensor(
    storage,
    { dtype: elements, shape: array.shape, strides: axes.map((axis) => strides[axis]!), storageOffset },
    fail,
  );
  return array;
}

/** `numpy._core.multiarray.scalar(dtype, bytes)`: a number, boolean or bigint; other kinds stay opaque. */
export function numpyScalar(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [dtype, data = null] = args;
  if (!(dtype instanceof NumpyDtype))
    throw fail('tensor-invalid', 'numpy scalar takes (dtype, bytes): the file is damaged');
  if (dtype.code.startsWith('O')) return data;
  if (!numericOf(dtype)) return new OpaqueObject('numpy', `scalar of ${dtype.code.slice(0, 20)}`, data);
  const array = new NumpyArray();
  fill(array, { shape: [], dtype, fortran: false, data }, fail);
  const { dtype: type, data: bytes } = array.tensor!.materialize();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  switch (type) {
    case 'float32':
      return view.getFloat32(0, true);
    case 'float64':
      return view.getFloat64(0, true);
    // numpy itself has no bfloat16.
    case 'float16':
    case 'bfloat16':
      return float16ToNumber(view.getUint16(0, true));
    case 'int64': {
      const value = view.getBigInt64(0, true);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
    case 'int32':
      return view.getInt32(0, true);
    case 'int16':
      return view.getInt16(0, true);
    case 'int8':
      return view.getInt8(0);
    case 'uint8':
      return view.getUint8(0);
    case 'bool':
      return view.getUint8(0) !== 0;
  }
}

function isShape(value: PickleValue | undefined): value is number[] {
  return (
    Array.isArray(value) &&
    value.length <= 64 &&
    value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0) &&
    Number.isSafeInteger(elementCount(value as number[]))
  );
}

function storageBytes(bytes: PickledBytes, numeric: Numeric, bigEndian: boolean, fail: Fail): StorageBytes {
  const width = itemSize(numeric.dtype);
  const fileWidth = numeric.narrow ?? width;
  return {
    byteLength: (bytes.byteLength / fileWidth) * width,
    read: (offset, length) => {
      const raw = bytes.read((offset / width) * fileWidth, (length / width) * fileWidth);
      if (bigEndian) swapBytes(raw, fileWidth);
      if (numeric.unsigned64 && hasTopBit(raw))
        throw fail('tensor-invalid', 'a uint64 value does not fit int64: save the array as int64');
      return fileWidth === width ? raw : widen(raw, fileWidth, width);
    },
  };
}

function hasTopBit(bytes: Uint8Array): boolean {
  for (let i = 7; i < bytes.length; i += 8) if (bytes[i]! & 0x80) return true;
  return false;
}

/** Unsigned little-endian elements with zero bytes added above. */
function widen(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const out = new Uint8Array((bytes.length / from) * to);
  for (let i = 0, o = 0; i < bytes.length; i += from, o += to) out.set(bytes.subarray(i, i + from), o);
  return out;
}
