// Event files that TensorBoard reads: TFRecord frames (tensorflow/core/lib/io/record_writer.cc) of Event messages
// (tensorboard/compat/proto/event.proto, summary.proto), written with the few wire types they need.
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';

/** Writes one event file into a folder; TensorBoard shows the folder's files as one run. */
export class TensorBoardWriter {
  readonly #handle: number;

  private constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * Begins a new file in `folder`.
   * @param options.firstStep events of earlier files from this step on are no longer shown (a resumed run repeats them)
   */
  static open(folder: string, options: { readonly firstStep?: number } = {}): TensorBoardWriter {
    mkdirSync(folder, { recursive: true });
    const seconds = nextFileTime(folder);
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}`;
    const writer = new TensorBoardWriter(openSync(path.join(folder, name), 'wx'));
    writer.#write([...doubleField(1, Date.now() / 1000), ...textField(3, 'brain.Event:2')]);
    // SessionLog.START: from file version 2 on it makes readers drop what was written for this step and later ones.
    if (options.firstStep !== undefined) writer.#event(options.firstStep, 7, varintField(1, 1));
    return writer;
  }

  scalar(tag: string, step: number, value: number): void {
    this.scalars(step, { [tag]: value });
  }

  /** Several values of one step, by tag such as `train/loss`. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const entries = Object.entries(values).map(([tag, value]) =>
      messageField(1, [...textField(1, tag), ...floatField(2, value)]),
    );
    if (entries.length > 0) this.#event(step, 5, entries.flat());
  }

  /** A picture as an encoded PNG or JPEG. */
  image(
    tag: string,
    step: number,
    image: { readonly encoded: Uint8Array; readonly width: number; readonly height: number },
  ): void {
    const picture = [...varintField(1, image.height), ...varintField(2, image.width), ...varintField(3, 3)];
    const message = joinBytes([picture, bytesHeader(4, image.encoded.length), image.encoded]);
    const value = joinBytes([textField(1, tag), bytesHeader(4, message.length), message]);
    this.#event(step, 5, joinBytes([bytesHeader(1, value.length), value]));
  }

  /** Text, shown as Markdown. */
  text(tag: string, step: number, markdown: string): void {
    const metadata = messageField(1, textField(1, 'text'));
    const shape = messageField(2, messageField(2, varintField(1, 1)));
    // 7 is DT_STRING.
    const tensor = [...varintField(1, 7), ...shape, ...textField(8, markdown)];
    const value = [...textField(1, tag), ...messageField(9, metadata), ...messageField(8, tensor)];
    this.#event(step, 5, messageField(1, value));
  }

  close(): void {
    closeSync(this.#handle);
  }

  /** @param field 5 for a Summary, 7 for a SessionLog */
  #event(step: number, field: number, message: ArrayLike<number>): void {
    const head = [...doubleField(1, Date.now() / 1000), ...varintField(2, step), ...bytesHeader(field, message.length)];
    this.#write(joinBytes([head, message]));
  }

  #write(event: ArrayLike<number>): void {
    const frame = frameRecord(Uint8Array.from(event));
    writeSync(this.#handle, frame);
  }
}

/** TFRecord: length (8 bytes), masked CRC of the length, data, masked CRC of the data; little endian. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(data.length + 16);
  const view = new DataView(frame.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(frame.subarray(0, 8)), true);
  frame.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return frame;
}

/** CRC-32C (Castagnoli, RFC 3720), as an unsigned number. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TFRecord stores CRCs rotated and shifted, since a CRC of data that holds its own CRC is weak. */
function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** Readers take files in the order of the time in their names: a file begun in the same second must come later. */
function nextFileTime(folder: string): number {
  const times = readdirSync(folder).map((name) => Number(/^events\.out\.tfevents\.(\d{10})\./.exec(name)?.[1] ?? 0));
  return Math.max(Math.floor(Date.now() / 1000), ...times.map((time) => time + 1));
}

// Protocol buffer fields. A key is the field's number and its wire type: 0 varint, 1 eight bytes, 2 with length, 5 four.

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  // Not by shifts: steps may exceed 32 bits.
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}

function varintField(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

function doubleField(field: number, value: number): number[] {
  return [...varint(field * 8 + 1), ...new Uint8Array(new Float64Array([value]).buffer)];
}

function floatField(field: number, value: number): number[] {
  return [...varint(field * 8 + 5), ...new Uint8Array(new Float32Array([value]).buffer)];
}

function bytesHeader(field: number, length: number): number[] {
  return [...varint(field * 8 + 2), ...varint(length)];
}

function messageField(field: number, message: readonly number[]): number[] {
  return [...bytesHeader(field, message.length), ...message];
}

function textField(field: number, text: string): number[] {
  return messageField(field, [...Buffer.from(text)]);
}

function joinBytes(parts: readonly ArrayLike<number>[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
