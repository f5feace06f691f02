// Checkpoints that Python wrote, told apart by their content: PyTorch's zip (from 1.6), its earlier stream of pickles and raw
// storages, its first tar format, and plain pickles of numpy arrays (Detectron). Layouts: torch/serialization.py.
import { ByteSource } from './byte-source.js';
import { CheckpointError } from './checkpoint-error.js';
import { looksLikeOnnx } from './onnx-file.js';
import { unpickle } from './pickle.js';
import type { PickleValue } from './pickle-values.js';
import { latin1Text } from './pickled-bytes.js';
import { legacyMagic, readLegacyCheckpoint } from './pth-legacy.js';
import { readTarCheckpoint } from './pth-tar.js';
import { readZipCheckpoint } from './pth-zip.js';
import { looksLikeSafetensors } from './safetensors.js';
import { isTarHeader } from './tar-archive.js';

/** How a checkpoint file is laid out. */
export type CheckpointFormat = 'zip' | 'legacy' | 'tar' | 'pickle';

/** An open checkpoint; tensors in `root` are read from the file when asked for, so close it after that. */
export interface Checkpoint {
  readonly file: string;
  readonly format: CheckpointFormat;
  /** The object that was saved. */
  readonly root: PickleValue;
  close(): void;
}

/**
 * Opens a .pth, .pt or .pkl file of any of these formats. Nothing in it is run: classes outside an allow-list become inert
 * `OpaqueObject`s in PyTorch files and an error in plain pickles. Throws `CheckpointError` naming file and offset.
 */
export function readCheckpoint(path: string): Checkpoint {
  const source = ByteSource.open(path);
  try {
    return readPythonCheckpoint(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** As `readCheckpoint`, on an open source, which `close` closes. */
export function readPythonCheckpoint(source: ByteSource): Checkpoint {
  const head = source.read(0, Math.min(512, source.size), 'the file');
  refuseForeign(source, head);
  const { format, root } = readRoot(source, head);
  return { file: source.file, format, root, close: () => source.close() };
}

function readRoot(source: ByteSource, head: Uint8Array): { format: CheckpointFormat; root: PickleValue } {
  if (head[0] === 0x50 && head[1] === 0x4b) return { format: 'zip', root: readZipCheckpoint(source) };
  if (isTarHeader(head)) return { format: 'tar', root: readTarCheckpoint(source) };
  let first: ReturnType<typeof unpickle>;
  try {
    first = unpickle(source, 0);
  } catch (error) {
    // Binary pickles begin with PROTO; a file that neither does nor parses is something else altogether.
    if (head[0] === 0x80 || !(error instanceof CheckpointError) || error.code === 'pickle-forbidden') throw error;
    throw source.error(
      'format-unknown',
      0,
      'not a weights file: expected .safetensors, .pth (zip, legacy or tar) or a pickle',
    );
  }
  if (first.value === legacyMagic) return { format: 'legacy', root: readLegacyCheckpoint(source, first.end) };
  return { format: 'pickle', root: first.value };
}

/** Says what the file is instead, where that is known. */
function refuseForeign(source: ByteSource, head: Uint8Array): void {
  if (source.size === 0) throw source.error('truncated', 0, 'the file is empty: download or copy it again');
  if (looksLikeSafetensors(head))
    throw source.error(
      'format-unknown',
      0,
      'this is a safetensors file, not one of Python: open it with openSafetensors or readStateDict',
    );
  if (looksLikeOnnx(head))
    throw source.error(
      'format-unknown',
      0,
      'this is an ONNX file, whose weights are not read: give the weights that it was exported from',
    );
  const text = latin1Text(head.subarray(0, 64));
  if (text.startsWith('version https://git-lfs'))
    throw source.error('format-unknown', 0, 'this is a Git LFS pointer, not the weights: run `git lfs pull`');
  if (/^\s*<(!doctype|html|\?xml)/i.test(text))
    throw source.error(
      'format-unknown',
      0,
      'this is a web page, not weights: the download went wrong, get the file again',
    );
}
