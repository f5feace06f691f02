// Zip archives as PyTorch writes them: stored entries, zip64 for large files. Read through the central directory.
// Layout: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
import type { ByteSource } from './byte-source.js';
import { quoted } from './checkpoint-error.js';

/** One stored file of an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly crc32: number;
  /** Where the local header is; the data follow it. */
  readonly headerOffset: number;
}

/** An archive's entries by name, and their contents as sources. */
export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** The content of an entry. */
  open(entry: ZipEntry): ByteSource;
}

const endSignature = 0x06054b50;
const end64LocatorSignature = 0x07064b50;
const end64Signature = 0x06064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const maxCommentBytes = 0xffff;
/** A directory of this size lists a million entries: not a checkpoint. */
const maxDirectoryBytes = 64 * 1024 * 1024;

/** Reads the central directory. Throws `CheckpointError` for anything but an intact archive of stored entries. */
export function readZip(source: ByteSource): ZipArchive {
  const { directoryOffset, directoryBytes } = findDirectory(source);
  if (directoryBytes > maxDirectoryBytes) {
    throw source.error(
      'too-large',
      directoryOffset,
      `a zip directory of ${directoryBytes} bytes: not a weights file, or damaged`,
    );
  }
  const directory = source.read(directoryOffset, directoryBytes, 'the zip directory');
  const entries = new Map<string, ZipEntry>();
  const view = viewOf(directory);
  let position = 0;
  while (position < directory.byteLength) {
    const at = directoryOffset + position;
    if (position + 46 > directory.byteLength || view.getUint32(position, true) !== centralSignature) {
      throw source.error('format-invalid', at, 'the zip directory is broken: the file is damaged');
    }
    const nameBytes = view.getUint16(position + 28, true);
    const extraBytes = view.getUint16(position + 30, true);
    const next = position + 46 + nameBytes + extraBytes + view.getUint16(position + 32, true);
    if (next > directory.byteLength)
      throw source.error('format-invalid', at, 'the zip directory is broken: the file is damaged');
    const name = new TextDecoder().decode(directory.subarray(position + 46, position + 46 + nameBytes));
    const extra = directory.subarray(position + 46 + nameBytes, position + 46 + nameBytes + extraBytes);
    const entry = centralEntry(source, at, name, directory.subarray(position, position + 46), extra);
    if (entries.has(name))
      throw source.error('format-invalid', at, `zip entry ${quoted(name)} is there twice: the file is damaged`);
    entries.set(name, entry);
    position = next;
  }
  return { entries, open: (entry) => openEntry(source, entry) };
}

function findDirectory(source: ByteSource): { directoryOffset: number; directoryBytes: number } {
  const tailBytes = Math.min(source.size, endBytes + maxCommentBytes);
  const tailStart = source.size - tailBytes;
  const tail = source.read(tailStart, tailBytes, 'the end of the zip archive');
  const view = viewOf(tail);
  let end = tailBytes - endBytes;
  while (end >= 0 && view.getUint32(end, true) !== endSignature) end--;
  if (end < 0)
    throw source.error(
      'truncated',
      source.size,
      'the zip directory at the end of the file is missing: the file is incomplete, download or copy it again',
    );
  let directoryBytes = view.getUint32(end + 12, true);
  let directoryOffset = view.getUint32(end + 16, true);
  const locator = end - 20;
  if (locator >= 0 && view.getUint32(locator, true) === end64LocatorSignature) {
    const end64Offset = Number(view.getBigUint64(locator + 8, true));
    const end64 = viewOf(source.read(end64Offset, 56, 'the zip64 directory end'));
    if (end64.getUint32(0, true) !== end64Signature)
      throw source.error('format-invalid', end64Offset, 'the zip64 directory end is broken: the file is damaged');
    directoryBytes = Number(end64.getBigUint64(40, true));
    directoryOffset = Number(end64.getBigUint64(48, true));
  }
  return { directoryOffset, directoryBytes };
}

function centralEntry(source: ByteSource, at: number, name: string, header: Uint8Array, extra: Uint8Array): ZipEntry {
  const view = viewOf(header);
  const flags = view.getUint16(8, true);
  const method = view.getUint16(10, true);
  if (method !== 0 || (flags & 1) !== 0) {
    const how = (flags & 1) !== 0 ? 'encrypted' : 'compressed';
    throw source.error(
      'format-invalid',
      at,
      `zip entry ${quoted(name)} is ${how}: PyTorch stores entries as they are, pack the file without compression`,
    );
  }
  const wide = wideFields(extra);
  const field = (offset: number): number => {
    const value = view.getUint32(offset, true);
    return value === 0xffff_ffff ? (wide.next().value ?? value) : value;
  };
  // In the zip64 field stand only those that do not fit, in this order.
  const size = field(24);
  const storedSize = field(20);
  const headerOffset = field(42);
  if (size !== storedSize)
    throw source.error(
      'format-invalid',
      at,
      `zip entry ${quoted(name)} has two sizes, ${size} and ${storedSize}: the file is damaged`,
    );
  return { name, size, crc32: view.getUint32(16, true), headerOffset };
}

/** The 64-bit numbers of the zip64 extra field, in order. */
function* wideFields(extra: Uint8Array): Generator<number, undefined, undefined> {
  const view = viewOf(extra);
  let position = 0;
  while (position + 4 <= extra.byteLength) {
    const id = view.getUint16(position, true);
    const end = position + 4 + view.getUint16(position + 2, true);
    if (id === 0x0001) {
      for (let at = position + 4; at + 8 <= Math.min(end, extra.byteLength); at += 8)
        yield Number(view.getBigUint64(at, true));
      return undefined;
    }
    position = end;
  }
  return undefined;
}

function openEntry(source: ByteSource, entry: ZipEntry): ByteSource {
  const what = `zip entry ${quoted(entry.name)}`;
  const header = viewOf(source.read(entry.headerOffset, 30, what));
  if (header.getUint32(0, true) !== localSignature)
    throw source.error('format-invalid', entry.headerOffset, `${what} has no header: the file is damaged`);
  const dataOffset = entry.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  return source.window(dataOffset, entry.size, what);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
