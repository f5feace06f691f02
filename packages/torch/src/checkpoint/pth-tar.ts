// PyTorch's first checkpoints (0.1, 2017): a tar archive of storages, tensors and the pickle that refers to them by number.
import type { ByteSource } from './byte-source.js';
import { quoted } from './checkpoint-error.js';
import { unpickle } from './pickle.js';
import { storageType } from './pickle-globals.js';
import type { PickleValue } from './pickle-values.js';
import { PickledStorage, PickledTensor } from './pickled-tensor.js';
import { isCount, keyOf, placeStorage, readInt64 } from './pth-storages.js';
import { readTar } from './tar-archive.js';

const maxObjects = 100_000;

/** `storages` (with views), `tensors` and `pickle`, whose persistent ids are the tensors' and storages' numbers. */
export function readTarCheckpoint(source: ByteSource): PickleValue {
  const members = readTar(source);
  const member = (name: string): ByteSource => {
    const content = members.get(name);
    if (!content)
      throw source.error(
        'format-unknown',
        undefined,
        `a tar archive without a member ${name}: not a PyTorch checkpoint`,
      );
    return content;
  };
  const objects = new Map<string, PickledStorage | PickledTensor>();
  readTarStorages(member('storages'), objects);
  readTarTensors(member('tensors'), objects);
  return unpickle(member('pickle'), 0, {
    unknownGlobals: 'opaque',
    persistentLoad: (id, fail) => {
      // A tuple is a module's class with its source, which is not kept.
      if (Array.isArray(id)) return id[0] ?? null;
      const object = objects.get(keyOf(id));
      if (!object)
        throw fail('format-invalid', `object ${quoted(keyOf(id))} is not in the archive: the file is damaged`);
      return object;
    },
  }).value;
}

function readTarStorages(source: ByteSource, objects: Map<string, PickledStorage | PickledTensor>): void {
  const count = unpickle(source, 0);
  let position = count.end;
  for (let i = 0; i < countOf(count.value, source); i++) {
    const { value, end } = unpickle(source, position, { unknownGlobals: 'opaque' });
    const [key = null, , type] = Array.isArray(value) ? value : [];
    const named = storageType(type);
    if (!named)
      throw source.error('format-invalid', position, 'a storage must be (key, location, type): the file is damaged');
    const storage = new PickledStorage(named.dtype, named.name, keyOf(key), readInt64(source, end), {
      bytes: undefined,
    });
    objects.set(storage.key, storage);
    position = placeStorage(source, end, storage);
  }
  const views = unpickle(source, position);
  for (const view of Array.isArray(views.value) ? views.value : []) {
    const [key = null, root = null, offset, elements] = Array.isArray(view) ? view : [];
    const storage = objects.get(keyOf(root));
    const inside =
      storage instanceof PickledStorage &&
      isCount(offset) &&
      isCount(elements) &&
      offset + elements <= storage.elements;
    if (!inside)
      throw source.error('format-invalid', position, 'a storage view is outside its storage: the file is damaged');
    objects.set(keyOf(key), storage.view(keyOf(key), offset, elements));
  }
}

function readTarTensors(source: ByteSource, objects: Map<string, PickledStorage | PickledTensor>): void {
  const count = unpickle(source, 0);
  let position = count.end;
  for (let i = 0; i < countOf(count.value, source); i++) {
    const start = position;
    const { value, end } = unpickle(source, position, { unknownGlobals: 'opaque' });
    const [key = null, storageKey = null] = Array.isArray(value) ? value : [];
    const storage = objects.get(keyOf(storageKey));
    if (!(storage instanceof PickledStorage) || !storage.dtype)
      throw source.error('format-invalid', start, 'a tensor without a storage: the file is damaged');
    // The number of dimensions takes 8 bytes of which 4 count.
    const dimensions = new DataView(source.read(end, 8, 'a tensor').buffer).getInt32(0, true);
    if (dimensions < 0 || dimensions > 64)
      throw source.error('format-invalid', end, `a tensor of ${dimensions} dimensions: the file is damaged`);
    const numbers = Array.from({ length: dimensions * 2 + 1 }, (_, n) => readInt64(source, end + 8 + 8 * n));
    const view = {
      dtype: storage.dtype,
      shape: numbers.slice(0, dimensions),
      strides: numbers.slice(dimensions, -1),
      storageOffset: numbers.at(-1)!,
    };
    objects.set(keyOf(key), new PickledTensor(storage, view, (code, what) => source.error(code, start, what)));
    position = end + 8 + 8 * numbers.length;
  }
}

function countOf(value: PickleValue, source: ByteSource): number {
  if (!isCount(value) || value > maxObjects)
    throw source.error('format-invalid', 0, 'the number of objects is missing: the file is damaged');
  return value;
}
