// Writes a zip archive of stored entries, one after another; zip64 fields only where a number does not fit 32 bits.
// Layout: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
import { crc32 } from 'node:zlib';

const maxUint32 = 0xffff_ffff;
const chunkBytes = 0x4000_0000;
/** PyTorch starts each record at a multiple of this, padded by an extra field "FB" (caffe2/serialize/inline_container.cc). */
const alignment = 64;
const paddingId = 0x4246;
/** 1980-01-01, the first day zip knows: the same content gives the same file. */
const dosDate = 0x0021;

/** Takes the bytes of the archive in order. */
export type Write = (bytes: Uint8Array) => void;

/** An archive under construction. */
export class ZipWriter {
  private readonly write: Write;
  private readonly directory: Uint8Array[] = [];
  private position = 0;

  constructor(write: Write) {
    this.write = write;
  }

  /** Adds a whole file. */
  add(name: string, data: Uint8Array): void {
    const nameBytes = new TextEncoder().encode(name);
    const crc = checksum(data);
    const wideSize = data.byteLength >= maxUint32;
    const headerOffset = this.position;
    const extra = localExtra(headerOffset + 30 + nameBytes.byteLength, wideSize ? data.byteLength : undefined);
    const header = record(30, (view) => {
      view.setUint32(0, 0x04034b50, true);
      commonFields(view, 4, crc, data.byteLength, nameBytes.byteLength, extra.byteLength);
    });
    this.put(header, nameBytes, extra, data);

    const wide = [
      ...(wideSize ? [data.byteLength, data.byteLength] : []),
      ...(headerOffset >= maxUint32 ? [headerOffset] : []),
    ];
    const centralExtra = wideField(wide);
    const central = record(46, (view) => {
      view.setUint32(0, 0x02014b50, true);
      view.setUint16(4, versionNeeded, true);
      commonFields(view, 6, crc, data.byteLength, nameBytes.byteLength, centralExtra.byteLength);
      view.setUint32(42, Math.min(headerOffset, maxUint32), true);
    });
    this.directory.push(central, nameBytes, centralExtra);
  }

  /** Writes the directory; nothing can be added after it. */
  finish(): void {
    const entries = this.directory.length / 3;
    const start = this.position;
    for (const part of this.directory) this.put(part);
    const size = this.position - start;
    if (entries >= 0xffff || start >= maxUint32 || size >= maxUint32) this.put(...zip64End(entries, start, size));
    this.put(
      record(22, (view) => {
        view.setUint32(0, 0x06054b50, true);
        view.setUint16(8, Math.min(entries, 0xffff), true);
        view.setUint16(10, Math.min(entries, 0xffff), true);
        view.setUint32(12, Math.min(size, maxUint32), true);
        view.setUint32(16, Math.min(start, maxUint32), true);
      }),
    );
  }

  private put(...parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.write(part);
      this.position += part.byteLength;
    }
  }
}

/** 4.5: zip64. */
const versionNeeded = 45;
/** Names are UTF-8. */
const utf8Flag = 0x0800;

/** The fields that local and central headers share, from "version needed" on. */
function commonFields(
  view: DataView,
  at: number,
  crc: number,
  size: number,
  nameBytes: number,
  extraBytes: number,
): void {
  view.setUint16(at, versionNeeded, true);
  view.setUint16(at + 2, utf8Flag, true);
  view.setUint16(at + 8, dosDate, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, Math.min(size, maxUint32), true);
  view.setUint32(at + 18, Math.min(size, maxUint32), true);
  view.setUint16(at + 22, nameBytes, true);
  view.setUint16(at + 24, extraBytes, true);
}

function localExtra(extraOffset: number, wideSize: number | undefined): Uint8Array {
  const wide = wideField(wideSize === undefined ? [] : [wideSize, wideSize]);
  const unpadded = extraOffset + wide.byteLength + 4;
  const padding = Math.ceil(unpadded / alignment) * alignment - unpadded;
  return record(wide.byteLength + 4 + padding, (view, bytes) => {
    bytes.set(wide);
    view.setUint16(wide.byteLength, paddingId, true);
    view.setUint16(wide.byteLength + 2, padding, true);
  });
}

function wideField(values: readonly number[]): Uint8Array {
  if (values.length === 0) return new Uint8Array(0);
  return record(4 + 8 * values.length, (view) => {
    view.setUint16(0, 0x0001, true);
    view.setUint16(2, 8 * values.length, true);
    values.forEach((value, i) => {
      view.setBigUint64(4 + 8 * i, BigInt(value), true);
    });
  });
}

function zip64End(entries: number, start: number, size: number): Uint8Array[] {
  const end = record(56, (view) => {
    view.setUint32(0, 0x06064b50, true);
    view.setBigUint64(4, 44n, true);
    view.setUint16(12, versionNeeded, true);
    view.setUint16(14, versionNeeded, true);
    view.setBigUint64(24, BigInt(entries), true);
    view.setBigUint64(32, BigInt(entries), true);
    view.setBigUint64(40, BigInt(size), true);
    view.setBigUint64(48, BigInt(start), true);
  });
  const locator = record(20, (view) => {
    view.setUint32(0, 0x07064b50, true);
    view.setBigUint64(8, BigInt(start + size), true);
    view.setUint32(16, 1, true);
  });
  return [end, locator];
}

function record(size: number, fill: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer), bytes);
  return bytes;
}

function checksum(data: Uint8Array): number {
  let crc = 0;
  for (let start = 0; start < data.byteLength; start += chunkBytes)
    crc = crc32(data.subarray(start, start + chunkBytes), crc);
  return crc;
}
