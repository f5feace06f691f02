// Many arrays to a device, or many tensors back from it, in one copy: each copy costs a card's host more than its bytes do,
// and each one back waits for all that the card still has to do.
import { convert } from './convert.js';
import { dtypeOf, type TypedArray, tensorOver } from './create.js';
import { ensureDevice } from './device.js';
import { callTensorOp } from './dispatch.js';
import { type DType, itemSize } from './dtype.js';
import { scope } from './scope.js';
import type { Device, Tensor } from './tensor.js';

/** The elements of a tensor to be, in JavaScript's memory. */
export interface HostArray {
  readonly array: TypedArray;
  readonly shape: readonly number[];
  /** Steps in elements. Default: the last dimension fastest. */
  readonly strides?: readonly number[];
}

export interface TransferOptions {
  /** Whether the memory on the host is page-locked, from which a card copies while the host goes on. Default: on all but the CPU. */
  readonly pinned?: boolean;
}

/** Tensors begin at multiples of it, as kernels that read several elements at once want it. */
const ALIGNMENT = 64;

/** Arrays of fewer bytes are gathered before the engine sees them. */
const LARGE = 1 << 16;

/**
 * Each array as a tensor of the device, all of them views of one memory that came in one copy. The arrays are read at once; on a
 * card the copy itself runs while the host goes on.
 */
export function toDeviceTogether(
  arrays: readonly HostArray[],
  device: Device,
  { pinned = device !== 'cpu' }: TransferOptions = {},
): Tensor[] {
  ensureDevice(device);
  const places = placesOf(arrays);
  return scope(() => {
    const staged = callTensorOp('aten::empty.memory_format', [places.total], 'uint8', undefined, 'cpu', pinned);
    const fill = (offset: number, bytes: Uint8Array): void => {
      const part = callTensorOp('aten::narrow', staged, 0, offset, bytes.length);
      callTensorOp('aten::copy_', part, tensorOver(bytes, [bytes.length]));
    };
    const small = new Uint8Array(places.total - places.largeEnd);
    arrays.forEach(({ array }, index) => {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      const offset = places.offsets[index]!;
      if (offset < places.largeEnd) fill(offset, bytes);
      else small.set(bytes, offset - places.largeEnd);
    });
    fill(places.largeEnd, small);
    // PyTorch's allocator of page-locked memory gives the block out again only when the card has read it.
    const moved = callTensorOp('aten::to.dtype_layout', staged, 'uint8', undefined, device, undefined, true);
    const views = viewsOf(moved);
    return arrays.map(({ array, shape, strides }, index) =>
      views({ dtype: dtypeOf(array), shape, strides: strides ?? denseStrides(shape), offset: places.offsets[index]! }),
    );
  });
}

/**
 * The tensors on the CPU, without their graphs: those that are there as they are, or, with one of them elsewhere, views of one
 * memory that came in one copy, which waits for the device.
 * @param gathered whether they are gathered into one copy. Default: where one is not on the CPU
 */
export function toHostTogether(
  tensors: readonly Tensor[],
  { gathered = tensors.some(({ device }) => device !== 'cpu') }: { readonly gathered?: boolean } = {},
): Tensor[] {
  if (!gathered || tensors.length === 0) return [...tensors];
  // Largest elements first: each tensor then begins where its elements may.
  const order = [...tensors.keys()].sort((a, b) => itemSize(tensors[b]!.dtype) - itemSize(tensors[a]!.dtype));
  const offsets: number[] = [];
  let total = 0;
  for (const index of order) {
    offsets[index] = total;
    total += tensors[index]!.length * itemSize(tensors[index]!.dtype);
  }
  return scope(() => {
    const parts = order.map((index) => bytesOf(tensors[index]!));
    const end = callTensorOp('aten::new_zeros', parts[0]!, [-total & (ALIGNMENT - 1)]);
    const views = viewsOf(convert(callTensorOp('aten::cat', [...parts, end]), { device: 'cpu' }));
    return tensors.map(({ dtype, shape }, index) =>
      views({ dtype, shape, strides: denseStrides(shape), offset: offsets[index]! }),
    );
  });
}

/** Where each array goes: large ones first. */
function placesOf(arrays: readonly HostArray[]): {
  readonly offsets: readonly number[];
  readonly largeEnd: number;
  readonly total: number;
} {
  const offsets: number[] = [];
  let end = 0;
  const place = (isPlaced: (bytes: number) => boolean): number => {
    arrays.forEach(({ array: { byteLength } }, index) => {
      if (!isPlaced(byteLength)) return;
      offsets[index] = end;
      end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
    });
    return end;
  };
  const largeEnd = place((bytes) => bytes >= LARGE);
  return { offsets, largeEnd, total: place((bytes) => bytes < LARGE) };
}

interface View {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  /** In bytes. */
  readonly offset: number;
}

/** Tensors over parts of a tensor of bytes, as many as a multiple of the largest element. */
function viewsOf(bytes: Tensor): (view: View) => Tensor {
  const typed = new Map<DType, Tensor>();
  return ({ dtype, shape, strides, offset }) => {
    let elements = typed.get(dtype);
    if (!elements) {
      elements = callTensorOp('aten::view.dtype', bytes, dtype);
      typed.set(dtype, elements);
    }
    return callTensorOp('aten::as_strided', elements, shape, strides, offset / itemSize(dtype));
  };
}

/** A tensor's elements in C order as a row of bytes. */
function bytesOf(tensor: Tensor): Tensor {
  const row = callTensorOp('aten::reshape', callTensorOp('aten::detach', tensor), [-1]);
  return callTensorOp('aten::view.dtype', row, 'uint8');
}

function denseStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (let dim = shape.length - 1; dim >= 0; dim--) {
    strides[dim] = step;
    step *= Math.max(1, shape[dim]!);
  }
  return strides;
}
