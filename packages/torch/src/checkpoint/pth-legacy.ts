// PyTorch's checkpoints before 1.6: pickles one after another, then the raw storages.
import type { ByteSource } from './byte-source.js';
import { unpickle } from './pickle.js';
import type { PickleValue } from './pickle-values.js';
import { PickledStorage } from './pickled-tensor.js';
import { placeStorage, sameStorage, storageId, storageView, textOf } from './pth-storages.js';

/** First value of the stream (torch/serialization.py, MAGIC_NUMBER). */
export const legacyMagic = 0x1950a86a20f9469cfc6cn;
const legacyProtocol = 1001;

/** Pickles of magic, protocol, system and object, then one of the storages' keys, then each storage: int64 count, elements. */
export function readLegacyCheckpoint(source: ByteSource, start: number): PickleValue {
  const protocol = unpickle(source, start);
  if (protocol.value !== legacyProtocol)
    throw source.error('format-invalid', start, `legacy .pth protocol must be ${legacyProtocol}: the file is damaged`);
  const system = unpickle(source, protocol.end);
  const storages = new Map<string, PickledStorage>();
  const views = new Map<string, PickledStorage>();
  const object = unpickle(source, system.end, {
    unknownGlobals: 'opaque',
    persistentLoad: (id, fail) => {
      if (Array.isArray(id) && textOf(id[0]) === 'module') return id[1] ?? null;
      const { key, dtype, name, elements, view } = storageId(id, fail);
      const known = storages.get(key);
      const storage = known
        ? sameStorage(known, dtype, fail)
        : new PickledStorage(dtype, name, key, elements, { bytes: undefined });
      if (!known) storages.set(key, storage);
      return view ? storageView(storage, view, views, fail) : storage;
    },
  });
  const keys = unpickle(source, object.end);
  if (!Array.isArray(keys.value))
    throw source.error('format-invalid', object.end, 'the list of storages is missing: the file is damaged');
  let position = keys.end;
  for (const item of keys.value) {
    const storage = storages.get(textOf(item) ?? '');
    if (!storage)
      throw source.error(
        'format-invalid',
        object.end,
        'the list of storages names one that no tensor uses: the file is damaged',
      );
    position = placeStorage(source, position, storage);
  }
  return object.value;
}
