// Opcodes of a pickle whose value is in their argument (CPython's Lib/pickletools.py).
import type { PickleStream } from './pickle-stream.js';
import type { PickledBytes } from './pickled-bytes.js';

/** The value of an opcode, read from the stream behind it; `undefined` for opcodes of another kind. */
export function readScalar(
  code: number,
  stream: PickleStream,
): null | boolean | number | bigint | string | PickledBytes | undefined {
  switch (code) {
    case 0x4e: // N NONE
      return null;
    case 0x88: // NEWTRUE
      return true;
    case 0x89: // NEWFALSE
      return false;
    case 0x49: // I INT
      return stream.decimalInt();
    case 0x4a: // J BININT
      return stream.int32();
    case 0x4b: // K BININT1
      return stream.uint(1);
    case 0x4d: // M BININT2
      return stream.uint(2);
    case 0x4c: // L LONG
      return stream.decimalLong();
    case 0x8a: // LONG1
      return stream.long(stream.uint(1));
    case 0x8b: // LONG4
      return stream.long(stream.int32());
    case 0x46: // F FLOAT
      return stream.decimalFloat();
    case 0x47: // G BINFLOAT
      return stream.float64();
    case 0x53: // S STRING
      return stream.quotedString();
    case 0x54: // T BINSTRING
      return stream.latin1(stream.int32());
    case 0x55: // U SHORT_BINSTRING
      return stream.latin1(stream.uint(1));
    case 0x56: // V UNICODE
      return stream.escapedUnicode();
    case 0x58: // X BINUNICODE
      return stream.utf8(stream.uint(4));
    case 0x8c: // SHORT_BINUNICODE
      return stream.utf8(stream.uint(1));
    case 0x8d: // BINUNICODE8
      return stream.utf8(stream.length8());
    case 0x42: // B BINBYTES
      return stream.rawBytes(stream.uint(4));
    case 0x43: // C SHORT_BINBYTES
      return stream.rawBytes(stream.uint(1));
    case 0x8e: // BINBYTES8
    case 0x96: // BYTEARRAY8
      return stream.rawBytes(stream.length8());
    default:
      return undefined;
  }
}
