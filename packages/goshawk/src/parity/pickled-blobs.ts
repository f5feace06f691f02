// Writes blobs as Detectron's .pkl files hold them: a pickle (protocol 2) of {'blobs': {name: numpy array}}.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { TensorData } from '@goshawk/torch';

/** @param blobs float32 tensors by blob name */
export function writePickledBlobs(path: string, blobs: ReadonlyMap<string, TensorData>): void {
  const file = openSync(path, 'w');
  const write = (...parts: (string | Uint8Array)[]): void => {
    for (const part of parts) writeSync(file, typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  };
  try {
    // PROTO 2; EMPTY_DICT; 'blobs'; EMPTY_DICT; MARK
    write('\x80\x02}', text('blobs'), '}(');
    for (const [name, { shape, data }] of blobs) {
      write(text(name));
      // numpy.core.multiarray._reconstruct(ndarray, (0,), 'b'), and BUILD with its state.
      write('cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R');
      write('(K\x01(', ...shape.map(whole), 't', 'cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R');
      write('(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb');
      // BINSTRING: four bytes of length, then Python 2's str.
      write('\x89T', whole32(data.byteLength), data, 'tb');
    }
    // SETITEMS of the inner dictionary, SETITEM of the outer, STOP
    write('us.');
  } finally {
    closeSync(file);
  }
}

/** BINUNICODE. */
function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([Buffer.from('X'), whole32(bytes.length), bytes]);
}

/** BININT. */
function whole(value: number): Uint8Array {
  return Buffer.concat([Buffer.from('J'), whole32(value)]);
}

function whole32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
