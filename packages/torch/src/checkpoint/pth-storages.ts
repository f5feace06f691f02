// Storages of PyTorch checkpoints: the persistent ids by which a pickle refers to them, and where their bytes stand.
import { itemSize } from '../tensor/dtype.js';
import type { ByteSource } from './byte-source.js';
import { quoted } from './checkpoint-error.js';
import { type CallContext, storageType } from './pickle-globals.js';
import type { PickleValue } from './pickle-values.js';
import { PickledBytes } from './pickled-bytes.js';
import type { PickledStorage } from './pickled-tensor.js';

/** A persistent id, read. */
export interface StorageId {
  readonly key: string;
  readonly dtype: PickledStorage['dtype'];
  readonly name: string;
  readonly elements: number;
  readonly view: PickleValue[] | undefined;
}

/** `('storage', type, key, location, elements[, view])`. */
export function storageId(id: PickleValue, fail: CallContext['fail']): StorageId {
  const [kind, type, key, , elements, view] = Array.isArray(id) ? id : [];
  const named = storageType(type);
  const keyText = textOf(key);
  if (textOf(kind) !== 'storage' || !named || keyText === undefined || !isCount(elements)) {
    throw fail('pickle-invalid', 'a persistent id must be a storage: the file is damaged');
  }
  return { key: keyText, dtype: named.dtype, name: named.name, elements, view: Array.isArray(view) ? view : undefined };
}

/** A storage met again, as elements of the type that this mention names. */
export function sameStorage(
  storage: PickledStorage,
  dtype: PickledStorage['dtype'],
  fail: CallContext['fail'],
): PickledStorage {
  if (dtype === storage.dtype) return storage;
  if (!dtype)
    throw fail('tensor-unsupported', `storage ${quoted(storage.key)} is used as two types: save its tensors apart`);
  return storage.as(dtype);
}

/** `(key, offset, elements)`: a part of a storage that several tensors know as a storage of its own. */
export function storageView(
  storage: PickledStorage,
  view: PickleValue[],
  views: Map<string, PickledStorage>,
  fail: CallContext['fail'],
): PickledStorage {
  const [key = null, offset, elements] = view;
  if (!isCount(offset) || !isCount(elements) || offset + elements > storage.elements)
    throw fail('tensor-invalid', 'a storage view is outside its storage: the file is damaged');
  const name = keyOf(key);
  const made = views.get(name) ?? storage.view(name, offset, elements);
  views.set(name, made);
  return made;
}

/** Sets where a storage is that begins at `position` with its int64 count; gives the position behind it. */
export function placeStorage(source: ByteSource, position: number, storage: PickledStorage): number {
  const count = readInt64(source, position);
  if (count !== storage.elements) {
    throw source.error(
      'format-invalid',
      position,
      `storage ${quoted(storage.key)} has ${count} elements, the pickle says ${storage.elements}: the file is damaged`,
    );
  }
  if (!storage.dtype)
    throw source.error(
      'tensor-unsupported',
      position,
      `storage type torch.${storage.typeName} is not supported: convert the checkpoint to float32`,
    );
  const content = source.window(position + 8, count * itemSize(storage.dtype), `storage ${quoted(storage.key)}`);
  storage.place.bytes = {
    byteLength: content.size,
    read: (offset, length, scratch) => content.read(offset, length, `storage ${quoted(storage.key)}`, scratch),
    range: (offset, length) => content.range(offset, length, `storage ${quoted(storage.key)}`),
  };
  return position + 8 + content.size;
}

/** A non-negative int64 at a position. */
export function readInt64(source: ByteSource, position: number): number {
  const value = Number(viewOf(source.read(position, 8, 'a count')).getBigInt64(0, true));
  if (!isCount(value)) throw source.error('format-invalid', position, `a count of ${value}: the file is damaged`);
  return value;
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Text that Python 2 or 3 wrote. */
export function textOf(value: PickleValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof PickledBytes && value.byteLength < 4096 ? value.text() : undefined;
}

/** Persistent ids are numbers or their text. */
export function keyOf(value: PickleValue): string {
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : (textOf(value) ?? '');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
