// A module's own tensors: parameters, which are learned, and buffers, which are only kept with them.
import { byteCount, type LazyTensor, type TensorData } from '../checkpoint/tensor-data.js';
import { noGrad } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { ensureDevice } from '../tensor/device.js';
import { callOp, callTensorOp, findOperator } from '../tensor/dispatch.js';
import { type DType, itemSize } from '../tensor/dtype.js';
import { track } from '../tensor/lifetime.js';
import { native, type TensorId } from '../tensor/native.js';
import { keep } from '../tensor/scope.js';
import { type Device, type MemoryFormat, Tensor } from '../tensor/tensor.js';
import { isUndrawn, markDrawn } from './undrawn.js';

/** What can be copied into a parameter or buffer: a tensor, its bytes, or one still in its file. */
export type StateSource = Tensor | TensorData | LazyTensor;

/** Where a module's tensors shall live and as what; `dtype` applies to the floating ones, `memoryFormat` to those of rank 4. */
export interface Placement {
  readonly dtype?: DType;
  readonly device?: Device;
  readonly memoryFormat?: MemoryFormat;
}

/** What Parameter and Buffer share: they outlive every scope and can be overwritten, moved and cast where they are. */
export abstract class StateTensor extends Tensor {
  #moves = 0;

  /** Shares the memory of `tensor`. */
  constructor(tensor: Tensor) {
    super(detached(tensor));
    keep(track(this));
  }

  // Unlike another tensor's, this one's dtype changes, by place().
  override get dtype(): DType {
    return native.dtype(this.id) as DType;
  }

  /** A number that changes whenever the elements may have: by assign(), place(), or an operator in place. */
  get version(): number {
    return (callOp('aten::_version', this) as number) + this.#moves * 0x1_0000_0000;
  }

  /**
   * Overwrites the elements, converting dtype and device.
   * @param scratch is overwritten with what is read from a file, where it is large enough
   * @throws Error when the shapes differ
   */
  assign(value: StateSource, scratch?: Uint8Array<ArrayBuffer>): void {
    if (value.shape.length !== this.shape.length || value.shape.some((side, i) => side !== this.shape[i]))
      throw new Error(`assign: the tensor is [${this.shape.join(', ')}], got [${value.shape.join(', ')}]`);
    noGrad(() => {
      const source =
        value instanceof Tensor ? value : borrowed('materialize' in value ? value.materialize(scratch) : value);
      callOp('aten::copy_', this, source);
    });
    markDrawn(this);
  }

  /**
   * Takes a file's own memory for the elements, a page at a time when they are read, where the file has them as they are here: on the
   * processor, of this dtype. What is written to them does not reach the file.
   * @returns whether it did; a file that is changed meanwhile changes the elements, and one that is cut short ends the process
   */
  adopt(value: StateSource): boolean {
    if (value instanceof Tensor || !('materialize' in value)) return false;
    if (this.device !== 'cpu' || this.dtype !== value.dtype || byteCount(value) < LEAST_ADOPTED) return false;
    const range = value.range?.();
    if (range === undefined || range.offset % itemSize(value.dtype) !== 0) return false;
    noGrad(() => {
      const mapped = track(new Tensor(native.mapFile(range.fd, range.offset, value.shape, value.dtype)));
      callOp('aten::set_data', this, mapped);
    });
    this.#moves++;
    markDrawn(this);
    return true;
  }

  /** Moves or casts in place: this stays the same tensor for those who hold it. Its gradient goes along. */
  place({ dtype, device, memoryFormat }: Placement): void {
    const target = {
      ...(dtype && isFloating(this.dtype) ? { dtype } : {}),
      ...(device ? { device } : {}),
      ...(memoryFormat && this.rank === 4 ? { memoryFormat } : {}),
    };
    noGrad(() => {
      const moved = isUndrawn(this) ? emptyLike(this, target) : convert(this, target);
      if (moved.is(this)) return;
      const gradient = this.grad && convert(this.grad, target);
      this.grad = undefined;
      callOp('aten::set_data', this, moved);
      if (gradient) this.grad = gradient;
    });
    this.#moves++;
  }
}

/** A tensor that is learned: listed by parameters(), saved in the state dict. */
export class Parameter extends StateTensor {
  constructor(tensor: Tensor, { requiresGrad = true }: { requiresGrad?: boolean } = {}) {
    super(tensor);
    this.requiresGrad = requiresGrad;
  }
}

/** A tensor that is kept but not learned, such as a running mean: saved in the state dict if persistent (default). */
export class Buffer extends StateTensor {
  readonly persistent: boolean;

  constructor(tensor: Tensor, { persistent = true }: { persistent?: boolean } = {}) {
    super(tensor);
    this.persistent = persistent;
  }
}

/** Bytes: a smaller tensor is read as fast as its pages are mapped. */
const LEAST_ADOPTED = 1 << 16;

/** Of a tensor whose elements say nothing yet only the place is converted. */
function emptyLike(tensor: Tensor, { dtype, device, memoryFormat }: Placement): Tensor {
  if (device) ensureDevice(device);
  const kept = dtype ?? tensor.dtype;
  return callTensorOp('aten::empty_like', tensor, kept, undefined, device ?? tensor.device, undefined, memoryFormat);
}

/** Over the bytes themselves, which are copied at once. */
function borrowed({ data, shape, dtype }: TensorData): Tensor {
  return track(new Tensor(native.borrowBytes(data, shape, undefined, dtype)));
}

function isFloating(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';
}

function detached(tensor: Tensor): TensorId {
  return native.callOperator(findOperator('aten::detach').index, tensor.id) as TensorId;
}
