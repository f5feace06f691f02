// Bytes and texts of a pickle. Python 2's byte strings are texts of latin1, one character a byte.
import type { ByteSource } from './byte-source.js';
import { CheckpointError } from './checkpoint-error.js';

/** Bytes, or a long string, left in the file until they are read. */
export class PickledBytes {
  readonly kind: 'bytes' | 'latin1' | 'utf-8';
  readonly byteLength: number;
  private readonly content: Uint8Array | { readonly source: ByteSource; readonly offset: number };
  private latin1: PickledBytes | undefined;

  constructor(
    kind: PickledBytes['kind'],
    content: Uint8Array | { source: ByteSource; offset: number; byteLength: number },
  ) {
    this.kind = kind;
    this.byteLength = content.byteLength;
    this.content = content;
  }

  /** A fresh copy of a range, all by default. */
  read(offset = 0, length = this.byteLength - offset): Uint8Array {
    if (offset < 0 || offset + length > this.byteLength) throw new RangeError('internal: range outside a string');
    if (this.content instanceof Uint8Array) return this.content.slice(offset, offset + length);
    return this.content.source.read(this.content.offset + offset, length, 'a string');
  }

  /** The text; bytes are taken as latin1. Throws `CheckpointError` for broken UTF-8 and for text beyond 512 MiB. */
  text(): string {
    const bytes = this.read();
    try {
      return this.kind === 'utf-8' ? utf8.decode(bytes) : latin1Text(bytes);
    } catch {
      const place = this.content instanceof Uint8Array ? undefined : this.content;
      throw new CheckpointError(
        'pickle-invalid',
        place?.source.file ?? 'pickle',
        place?.offset,
        'a string is too long or not UTF-8: the file is damaged',
      );
    }
  }

  /** What `text.encode('latin1')` gives; `undefined` when a character does not fit. Kept, so that repeats cost nothing. */
  encodedLatin1(): PickledBytes | undefined {
    if (this.latin1) return this.latin1;
    const bytes = this.kind === 'utf-8' ? latin1FromUtf8(this.read()) : this.read();
    if (!bytes) return undefined;
    this.latin1 = new PickledBytes('bytes', bytes);
    return this.latin1;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes of UTF-8 as text; throws a TypeError when they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}

/** One character a byte. `TextDecoder('latin1')` would be windows-1252. */
export function latin1Text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** One byte a character; `undefined` when a character is beyond latin1. */
export function latin1Bytes(text: string): Uint8Array | undefined {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return undefined;
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** Recodes without a JS string in between, which may be too long for one. */
function latin1FromUtf8(bytes: Uint8Array): Uint8Array | undefined {
  const length = bytes.byteLength;
  const out = new Uint8Array(length);
  let size = 0;
  for (let i = 0; i < length; i++) {
    const first = bytes[i]!;
    if (first < 0x80) out[size++] = first;
    else {
      i++;
      const second = i < length ? bytes[i]! : 0;
      // U+0080 to U+00FF are two bytes, of which the first is C2 or C3.
      if ((first & 0xfe) !== 0xc2 || (second & 0xc0) !== 0x80) return undefined;
      out[size++] = ((first & 0x03) << 6) | (second & 0x3f);
    }
  }
  return out.slice(0, size);
}
