// PyTorch's zip checkpoints, written: torch.load(file, weights_only=True) reads them from torch 1.13 on. Only opcodes and
// names of torch/_weights_only_unpickler.py are used.
import { itemSize, storageName } from '../tensor/dtype.js';
import { writeFileAtomically } from './atomic-file.js';
import { CheckpointError, quoted } from './checkpoint-error.js';
import { contiguousStrides } from './pickled-tensor.js';
import { byteCount, type LazyTensor, type TensorData } from './tensor-data.js';
import { ZipWriter } from './zip-writer.js';

/**
 * What can be saved: tensors, and Maps and plain objects (dicts), arrays (lists), strings, numbers, bigints, booleans and
 * null. A whole number becomes Python's int, another one a float.
 */
export type PthValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | TensorData
  | LazyTensor
  | readonly PthValue[]
  | ReadonlyMap<string | number, PthValue>
  | { readonly [key: string]: PthValue };

const maxDepth = 200;

/**
 * Writes a checkpoint atomically; the same tensor object twice is one storage. Lazy tensors are read one at a time. Throws
 * `CheckpointError` for bytes that do not fit the shape and for values that cannot be saved.
 */
export function writePth(path: string, value: PthValue): void {
  const pickle = new PickleWriter(path);
  pickle.value(value, '', 0);
  const tensors = pickle.tensors();
  writeFileAtomically(path, (write) => {
    const zip = new ZipWriter(write);
    const text = new TextEncoder();
    zip.add('archive/data.pkl', pickle.finish());
    zip.add('archive/byteorder', text.encode('little'));
    for (const [tensor, key] of tensors) zip.add(`archive/data/${key}`, bytesOf(path, tensor));
    zip.add('archive/version', text.encode('3\n'));
    zip.finish();
  });
}

function bytesOf(path: string, tensor: TensorData | LazyTensor): Uint8Array {
  const data = 'data' in tensor ? tensor.data : tensor.materialize().data;
  if (data.byteLength !== byteCount(tensor)) {
    const takes = `${tensor.dtype} [${tensor.shape.join(', ')}] takes ${byteCount(tensor)}`;
    throw new CheckpointError(
      'tensor-invalid',
      path,
      undefined,
      `${data.byteLength} bytes given, ${takes}: pass contiguous data`,
    );
  }
  return data;
}

/** Protocol 2. */
class PickleWriter {
  private readonly path: string;
  private readonly text = new TextEncoder();
  private readonly keys = new Map<TensorData | LazyTensor, string>();
  private bytes = new Uint8Array(64 * 1024);
  private size = 0;

  constructor(path: string) {
    this.path = path;
    this.put([0x80, 2]);
  }

  finish(): Uint8Array {
    this.opcode('.');
    return this.bytes.subarray(0, this.size);
  }

  /** Tensors met, with the keys of their storages. */
  tensors(): ReadonlyMap<TensorData | LazyTensor, string> {
    return this.keys;
  }

  /** Writes one value; `where` is its path, for errors. */
  value(value: PthValue, where: string, depth: number): void {
    if (depth > maxDepth) throw this.refuse(where, 'is nested too deep, perhaps in itself: save a tree of values');
    if (value === null) this.opcode('N');
    else if (typeof value === 'boolean') this.put([value ? 0x88 : 0x89]);
    else if (typeof value === 'string') this.string(value);
    else if (typeof value === 'bigint') this.long(value, where);
    else if (typeof value === 'number') this.number(value);
    else if (typeof value !== 'object') throw this.refuse(where, `is a ${typeof value}: leave it out`);
    else if (isTensor(value)) this.tensor(value, where);
    else if (Array.isArray(value)) this.list(value, where, depth);
    else if (value instanceof Map) this.dict(value, where, depth);
    else this.dict(Object.entries(value), where, depth);
  }

  private list(items: readonly PthValue[], where: string, depth: number): void {
    this.opcode(']');
    if (items.length === 0) return;
    this.opcode('(');
    items.forEach((item, i) => {
      this.value(item, `${where}[${i}]`, depth + 1);
    });
    this.opcode('e');
  }

  private dict(entries: Iterable<readonly [string | number, PthValue]>, where: string, depth: number): void {
    this.opcode('}');
    this.opcode('(');
    for (const [key, value] of entries) {
      if (typeof key === 'number') this.number(key);
      else this.string(key);
      this.value(value, where === '' ? String(key) : `${where}.${key}`, depth + 1);
    }
    this.opcode('u');
  }

  /** `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`. */
  private tensor(tensor: TensorData | LazyTensor, where: string): void {
    const valid =
      tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0) && Number.isSafeInteger(byteCount(tensor));
    if (!valid) throw this.refuse(where, `has the shape [${tensor.shape.join(', ')}]: sizes must be whole numbers`);
    if ('data' in tensor) bytesOf(this.path, tensor);
    const key = this.keys.get(tensor) ?? String(this.keys.size);
    this.keys.set(tensor, key);
    this.global('torch._utils', '_rebuild_tensor_v2');
    this.opcode('(');
    this.opcode('(');
    this.string('storage');
    this.global('torch', storageName(tensor.dtype));
    this.string(key);
    this.string('cpu');
    this.number(byteCount(tensor) / itemSize(tensor.dtype));
    this.opcode('t');
    this.opcode('Q');
    this.number(0);
    this.tuple(tensor.shape);
    this.tuple(contiguousStrides(tensor.shape));
    this.put([0x89]);
    this.global('collections', 'OrderedDict');
    this.opcode(')');
    this.opcode('R');
    this.opcode('t');
    this.opcode('R');
  }

  private tuple(numbers: readonly number[]): void {
    this.opcode('(');
    for (const number of numbers) this.number(number);
    this.opcode('t');
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      const bytes = new Uint8Array(9);
      bytes[0] = 0x47; // G BINFLOAT
      new DataView(bytes.buffer).setFloat64(1, value, false);
      this.put(bytes);
    } else if (value >= 0 && value < 256)
      this.put([0x4b, value]); // K BININT1
    else if (value === (value | 0))
      this.put([0x4a, value, value >> 8, value >> 16, value >> 24]); // J BININT
    else this.long(BigInt(value), '');
  }

  private long(value: bigint, where: string): void {
    // 8 bytes whatever the value: libtorch's own unpickler takes no other length.
    let length = 8;
    while (length < 255 && BigInt.asIntN(length * 8, value) !== value) length++;
    if (BigInt.asIntN(length * 8, value) !== value)
      throw this.refuse(where, 'is an integer of more than 255 bytes: save it as text');
    this.put([0x8a, length]);
    for (let i = 0; i < length; i++) this.put([Number((value >> BigInt(8 * i)) & 0xffn)]);
  }

  private string(value: string): void {
    const bytes = this.text.encode(value);
    this.put([0x58, bytes.byteLength, bytes.byteLength >> 8, bytes.byteLength >> 16, bytes.byteLength >>> 24]); // X BINUNICODE
    this.put(bytes);
  }

  private global(module: string, name: string): void {
    this.put(this.text.encode(`c${module}\n${name}\n`));
  }

  private opcode(letter: string): void {
    this.put([letter.charCodeAt(0)]);
  }

  private put(bytes: ArrayLike<number>): void {
    if (this.size + bytes.length > this.bytes.byteLength) {
      const larger = new Uint8Array(Math.max(this.bytes.byteLength * 2, this.size + bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes.set(bytes, this.size);
    this.size += bytes.length;
  }

  private refuse(where: string, what: string): CheckpointError {
    return new CheckpointError(
      'tensor-invalid',
      this.path,
      undefined,
      `${where === '' ? 'the value' : quoted(where)} ${what}`,
    );
  }
}

function isTensor(value: object): value is TensorData | LazyTensor {
  return 'dtype' in value && 'shape' in value && ('data' in value || 'materialize' in value);
}
