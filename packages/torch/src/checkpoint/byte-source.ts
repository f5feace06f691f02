// A file read by ranges: weights files may be larger than any buffer. A window is a part of it, such as a zip entry.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CheckpointError, fileError } from './checkpoint-error.js';
import type { FileRange } from './tensor-data.js';

/** What a single read may ask for; Node's limit for one buffer. */
const maxReadBytes = 0xffff_ffff;
/** `fs.readSync` takes a 32-bit length. */
const chunkBytes = 0x4000_0000;

/** An open file, or a range of one. */
export class ByteSource {
  readonly file: string;
  /** Where the window starts in the file. */
  readonly start: number;
  readonly size: number;
  private readonly handle: { fd: number | undefined };

  private constructor(file: string, handle: { fd: number | undefined }, start: number, size: number) {
    this.file = file;
    this.handle = handle;
    this.start = start;
    this.size = size;
  }

  /** Opens a regular file; throws `CheckpointError` when it is not there or not readable. */
  static open(file: string): ByteSource {
    let fd: number | undefined;
    try {
      fd = openSync(file, 'r');
      const stat = fstatSync(fd);
      if (!stat.isFile()) {
        throw new CheckpointError(
          'file-unreadable',
          file,
          undefined,
          'not a regular file: give the path of a weights file',
        );
      }
      return new ByteSource(file, { fd }, 0, stat.size);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw fileError(error, file, 'read');
    }
  }

  /** The range `[offset, offset + length)` as a source of its own; it shares the open file. */
  window(offset: number, length: number, what: string): ByteSource {
    this.check(offset, length, what);
    return new ByteSource(this.file, this.handle, this.start + offset, length);
  }

  /**
   * Reads `length` bytes into `scratch`, from its beginning, where it is large enough, else into a fresh array; `what` names them in
   * the error when the file ends before.
   */
  read(offset: number, length: number, what: string, scratch?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.check(offset, length, what);
    if (length > maxReadBytes) {
      throw this.error('too-large', offset, `${what} takes ${length} bytes: more than one array can hold`);
    }
    const fd = this.openFile(offset, what);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = scratch && scratch.byteLength >= length ? scratch.subarray(0, length) : new Uint8Array(length);
    } catch {
      throw this.error('too-large', offset, `${what} takes ${length} bytes: not enough memory`);
    }
    let done = 0;
    while (done < length) {
      let count: number;
      try {
        count = readSync(fd, bytes, done, Math.min(length - done, chunkBytes), this.start + offset + done);
      } catch (error) {
        throw fileError(error, this.file, 'read');
      }
      if (count === 0)
        throw this.error('truncated', offset + done, `${what}: the file became shorter while it was read`);
      done += count;
    }
    return bytes;
  }

  /** Where `read` finds its bytes. Throws as it does. */
  range(offset: number, length: number, what: string): FileRange {
    this.check(offset, length, what);
    return { fd: this.openFile(offset, what), offset: this.start + offset };
  }

  /** An error at an offset of this source. */
  error(code: CheckpointError['code'], offset: number | undefined, what: string): CheckpointError {
    return new CheckpointError(code, this.file, offset === undefined ? undefined : this.start + offset, what);
  }

  /** Closes the file, for all windows. */
  close(): void {
    const fd = this.handle.fd;
    this.handle.fd = undefined;
    if (fd !== undefined) closeSync(fd);
  }

  private openFile(offset: number, what: string): number {
    const { fd } = this.handle;
    if (fd === undefined)
      throw this.error('file-unreadable', offset, `${what}: the file was closed: read tensors before closing it`);
    return fd;
  }

  private check(offset: number, length: number, what: string): void {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      throw this.error(
        'format-invalid',
        undefined,
        `${what}: impossible range (offset ${offset}, length ${length}): the file is damaged`,
      );
    }
    if (offset + length > this.size) {
      const missing = offset + length - this.size;
      throw this.error(
        'truncated',
        Math.min(offset, this.size),
        `${what} ends ${missing} bytes beyond the end: the file is incomplete or damaged`,
      );
    }
  }
}
