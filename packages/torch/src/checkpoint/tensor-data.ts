// A tensor's bytes outside the engine, as they stand in files.
import { type DType, itemSize } from '../tensor/dtype.js';

/** A tensor as bytes: little endian, C-contiguous, `data.byteLength` = elements * itemsize. */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Where bytes lie in an open file. */
export interface FileRange {
  readonly fd: number;
  readonly offset: number;
}

/** A tensor in a file whose bytes are read when asked for. */
export interface LazyTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Reads the bytes from the (still open) file into `scratch`, from its beginning, where that is large enough, else into a fresh array. */
  materialize(scratch?: Uint8Array<ArrayBuffer>): TensorData;
  /** Where the (still open) file has exactly the bytes that `materialize` gives; absent or undefined where it has none such. */
  range?(): FileRange | undefined;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a contiguous tensor. */
export function byteCount(tensor: Pick<LazyTensor, 'dtype' | 'shape'>): number {
  return elementCount(tensor.shape) * itemSize(tensor.dtype);
}
