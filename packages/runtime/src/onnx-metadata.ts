// The metadata of an ONNX file, which the runtimes for JavaScript do not give: field 14 of its outermost message (onnx.proto), read
// without looking into the graph.

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

const METADATA = 14;
const KEY = 1;
const VALUE = 2;

/** Empty where the bytes are no ONNX file, or one without metadata. */
export function readOnnxMetadata(bytes: Uint8Array): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  try {
    for (const { field, content } of fieldsOf(bytes)) {
      if (field !== METADATA || content === undefined) continue;
      const entry = new Map(Array.from(fieldsOf(content), (own) => [own.field, own.content]));
      const [key, value] = [entry.get(KEY), entry.get(VALUE)];
      if (key && value) found.set(text(key), text(value));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return found;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** @throws RangeError where the bytes are not of that form */
function* fieldsOf(bytes: Uint8Array): Iterable<{ readonly field: number; readonly content: Uint8Array | undefined }> {
  let at = 0;
  const varint = (): number => {
    // Lengths and tags stay far below what a number holds exactly.
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError('cut off');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  };
  const skip = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new RangeError('cut off');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT:
        varint();
        yield { field, content: undefined };
        break;
      case FIXED_64:
        yield { field, content: skip(8) };
        break;
      case LENGTH_DELIMITED:
        yield { field, content: skip(varint()) };
        break;
      case FIXED_32:
        yield { field, content: skip(4) };
        break;
      default:
        throw new RangeError('not a protocol buffer');
    }
  }
}
