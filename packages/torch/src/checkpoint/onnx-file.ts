// ONNX files, which hold a graph that runs and no state of a module: told apart, so that a reader can say what it was given.
import { closeSync, openSync, readSync } from 'node:fs';

// A protocol buffer of onnx.proto's ModelProto: its first field is the version of the format, a small number. Those that writers put
// behind it: producer_name, producer_version, domain, model_version, doc_string, graph, opset_import, metadata_props.
const VERSION = 0x08;
const LARGEST_VERSION = 0x40;
const NEXT: ReadonlySet<number | undefined> = new Set([0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72]);

/** Whether a file that begins with these bytes is one of ONNX. */
export function looksLikeOnnx([first, version = LARGEST_VERSION, next]: Uint8Array): boolean {
  return first === VERSION && version < LARGEST_VERSION && NEXT.has(next);
}

/** Whether a file is one of ONNX, by its first bytes, or by its name where it is cut off, empty or not there. */
export function isOnnxFile(path: string): boolean {
  if (path.endsWith('.onnx')) return true;
  const head = new Uint8Array(3);
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    readSync(fd, head);
    return looksLikeOnnx(head);
  } catch {
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
