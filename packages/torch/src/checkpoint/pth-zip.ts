// PyTorch's zip checkpoints (from 1.6): <root>/data.pkl and one entry <root>/data/<key> for each storage.
import { itemSize } from '../tensor/dtype.js';
import type { ByteSource } from './byte-source.js';
import { quoted } from './checkpoint-error.js';
import { unpickle } from './pickle.js';
import type { CallContext } from './pickle-globals.js';
import type { PickleValue } from './pickle-values.js';
import { latin1Text } from './pickled-bytes.js';
import { PickledStorage, type StoragePlace } from './pickled-tensor.js';
import { sameStorage, storageId } from './pth-storages.js';
import { readZip, type ZipArchive } from './zip-archive.js';

/** The saved object; throws `CheckpointError`. */
export function readZipCheckpoint(source: ByteSource): PickleValue {
  const archive = readZip(source);
  const pickleName = [...archive.entries.keys()].find((name) => name === 'data.pkl' || name.endsWith('/data.pkl'));
  if (pickleName === undefined)
    throw source.error('format-unknown', undefined, 'a zip archive without data.pkl: not a PyTorch checkpoint');
  const root = pickleName.slice(0, -'data.pkl'.length);
  if (archive.entries.has(`${root}constants.pkl`)) {
    throw source.error(
      'format-unknown',
      undefined,
      'a TorchScript archive: save the state dict instead, torch.save(torch.jit.load(FILE).state_dict(), ...)',
    );
  }
  const byteOrder = archive.entries.get(`${root}byteorder`);
  const bigEndian =
    byteOrder !== undefined &&
    byteOrder.size === 3 &&
    latin1Text(archive.open(byteOrder).read(0, 3, 'byteorder')) === 'big';
  const storages = new Map<string, PickledStorage>();
  const { value } = unpickle(archive.open(archive.entries.get(pickleName)!), 0, {
    unknownGlobals: 'opaque',
    persistentLoad: (id, fail) => {
      const { key, dtype, name, elements } = storageId(id, fail);
      const known = storages.get(key);
      if (known) return sameStorage(known, dtype, fail);
      const place = zipPlace(archive, `${root}data/${key}`, elements * (dtype ? itemSize(dtype) : 1), bigEndian, fail);
      const storage = new PickledStorage(dtype, name, key, elements, place);
      storages.set(key, storage);
      return storage;
    },
  });
  return value;
}

function zipPlace(
  archive: ZipArchive,
  name: string,
  bytes: number,
  bigEndian: boolean,
  fail: CallContext['fail'],
): StoragePlace {
  const entry = archive.entries.get(name);
  if (!entry) throw fail('truncated', `zip entry ${quoted(name)} is missing: the file is incomplete`);
  if (entry.size < bytes)
    throw fail(
      'tensor-invalid',
      `zip entry ${quoted(name)} has ${entry.size} bytes, its storage takes ${bytes}: the file is damaged`,
    );
  const content = archive.open(entry);
  return {
    bigEndian,
    bytes: {
      byteLength: entry.size,
      read: (offset, length, scratch) => content.read(offset, length, `zip entry ${quoted(name)}`, scratch),
      range: (offset, length) => content.range(offset, length, `zip entry ${quoted(name)}`),
    },
  };
}
