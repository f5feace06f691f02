// The encoding of protocol buffers, as far as writing needs it (protobuf.dev/programming-guides/encoding).

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

const textEncoder = new TextEncoder();

/** One message on its way to bytes. What is large is kept as it is, not copied, until `bytes` puts all together. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** int64, int32, enum and bool fields; a negative number takes ten bytes, as the format wants. */
  integer(field: number, value: number | bigint): this {
    this.#append(varint(BigInt(field << 3) | BigInt(VARINT)));
    return this.#append(varint(BigInt.asUintN(64, BigInt(value))));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#append(varint(BigInt((field << 3) | FIXED_32)));
    return this.#append(bytes);
  }

  string(field: number, value: string): this {
    return this.bytes(field, textEncoder.encode(value));
  }

  bytes(field: number, value: Uint8Array): this {
    this.#head(field, value.length);
    return this.#append(value);
  }

  message(field: number, value: MessageWriter): this {
    this.#head(field, value.#length);
    for (const part of value.#parts) this.#append(part);
    return this;
  }

  /** Packed, as repeated numbers are in the third version of the language. */
  integers(field: number, values: readonly (number | bigint)[]): this {
    return this.bytes(field, joined(values.map((value) => varint(BigInt.asUintN(64, BigInt(value))))));
  }

  floats(field: number, values: readonly number[]): this {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    values.forEach((value, i) => {
      view.setFloat32(i * 4, value, true);
    });
    return this.bytes(field, bytes);
  }

  finish(): Uint8Array {
    return joined(this.#parts);
  }

  #head(field: number, length: number): void {
    this.#append(varint(BigInt((field << 3) | LENGTH_DELIMITED)));
    this.#append(varint(BigInt(length)));
  }

  #append(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

/** Seven bits a byte, lowest first; the top bit says that more follow. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
