// safetensors files: 8 bytes header length, a JSON header, then the tensors' bytes without gaps.
// Format and its checks: https://github.com/huggingface/safetensors#format
import { dtypeOfSafetensorsName, itemSize, safetensorsName } from '../tensor/dtype.js';
import { writeFileAtomically } from './atomic-file.js';
import { ByteSource } from './byte-source.js';
import { CheckpointError, quoted } from './checkpoint-error.js';
import { byteCount, elementCount, type FileRange, type LazyTensor, type TensorData } from './tensor-data.js';

/** The format's own limit for the JSON header. */
const maxHeaderBytes = 100_000_000;
/** Tensors of more dimensions than the engine takes are damage. */
const maxDimensions = 64;

/** An open safetensors file. */
export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly names: readonly string[];
  /** Element type, shape and byte length of a tensor; throws `CheckpointError` for an unknown name. */
  info(name: string): {
    readonly dtype: TensorData['dtype'];
    readonly shape: readonly number[];
    readonly byteLength: number;
  };
  /** Reads one tensor into `scratch`, from its beginning, where that is large enough, else into a fresh array. */
  read(name: string, scratch?: Uint8Array<ArrayBuffer>): TensorData;
  /** Where the file has its bytes. */
  range(name: string): FileRange;
  close(): void;
}

interface Entry {
  readonly name: string;
  readonly dtype: TensorData['dtype'];
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What `writeSafetensors` takes for a tensor: its bytes, or a function that gives them when their turn comes. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: TensorData['dtype'];
  readonly shape: readonly number[];
  readonly data: Uint8Array | (() => Uint8Array);
}

/**
 * Opens a safetensors file and checks its header (length, types, shapes, bounds, overlaps, gaps); tensors are read by
 * range when asked for. Throws `CheckpointError` naming the file and the field.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const source = ByteSource.open(path);
  try {
    return readSafetensors(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** As `openSafetensors`, on an open source, which `close` closes. */
export function readSafetensors(source: ByteSource): SafetensorsFile {
  const { header, dataStart } = readHeader(source);
  const { entries, metadata } = parseHeader(source, header);
  checkLayout(source, [...entries.values()], source.size - dataStart);

  const find = (name: string): Entry => {
    const entry = entries.get(name);
    if (!entry)
      throw source.error(
        'tensor-invalid',
        undefined,
        `no tensor ${quoted(name)}: \`names\` lists the ${entries.size} that are there`,
      );
    return entry;
  };
  return {
    metadata,
    names: [...entries.keys()],
    info: (name) => {
      const { dtype, shape, begin, end } = find(name);
      return { dtype, shape, byteLength: end - begin };
    },
    read: (name, scratch) => {
      const { dtype, shape, begin, end } = find(name);
      return { dtype, shape, data: source.read(dataStart + begin, end - begin, `tensor ${quoted(name)}`, scratch) };
    },
    range: (name) => {
      const { begin, end } = find(name);
      return source.range(dataStart + begin, end - begin, `tensor ${quoted(name)}`);
    },
    close: () => source.close(),
  };
}

/** The tensors of an open file as lazily read ones. */
export function safetensorsTensors(file: SafetensorsFile): Map<string, LazyTensor> {
  return new Map(
    file.names.map((name) => {
      const { dtype, shape } = file.info(name);
      return [
        name,
        { dtype, shape, materialize: (scratch) => file.read(name, scratch), range: () => file.range(name) },
      ];
    }),
  );
}

/** Whether a file that begins with these bytes is safetensors: a possible header length, then '{'. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  if (head.byteLength < 9 || head[8] !== 0x7b) return false;
  return new DataView(head.buffer, head.byteOffset).getBigUint64(0, true) <= BigInt(maxHeaderBytes);
}

/**
 * Writes a safetensors file atomically, one tensor after another, so that at most one lazily given tensor is in memory.
 * Throws `CheckpointError` for a name given twice or bytes that do not fit the shape.
 */
export function writeSafetensors(
  path: string,
  entries: Iterable<SafetensorsEntry>,
  metadata: ReadonlyMap<string, string> | Readonly<Record<string, string>> = {},
): void {
  const list = [...entries];
  const pairs = metadata instanceof Map ? [...metadata] : Object.entries(metadata);
  // Wide elements first keeps every tensor aligned to its element, which readers that map the file rely on.
  const inFileOrder = [...list].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
  const offsets = new Map<string, readonly [number, number]>();
  let position = 0;
  for (const entry of inFileOrder) {
    if (entry.name === '__metadata__' || offsets.has(entry.name)) {
      throw new CheckpointError(
        'tensor-invalid',
        path,
        undefined,
        `tensor name ${quoted(entry.name)} is taken: names must differ`,
      );
    }
    checkShape(path, entry);
    offsets.set(entry.name, [position, position + byteCount(entry)]);
    position += byteCount(entry);
  }
  const described = list.map(({ name, dtype, shape }): [string, unknown] => [
    name,
    { dtype: safetensorsName(dtype), shape, data_offsets: offsets.get(name) },
  ]);
  // A literal of pairs, since an object would take a tensor called __proto__ for its prototype.
  const fields = [
    ...(pairs.length === 0 ? [] : [['__metadata__', metadataRecord(pairs)] as [string, unknown]]),
    ...described,
  ];
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const header = new TextEncoder().encode(json);
  const padded = new Uint8Array(Math.ceil(header.byteLength / 8) * 8).fill(0x20);
  padded.set(header);
  if (padded.byteLength > maxHeaderBytes) {
    throw new CheckpointError(
      'too-large',
      path,
      undefined,
      `the header takes ${padded.byteLength} bytes, the format allows ${maxHeaderBytes}: put less into the metadata`,
    );
  }
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.byteLength), true);

  writeFileAtomically(path, (write) => {
    write(length);
    write(padded);
    for (const entry of inFileOrder) {
      const data = typeof entry.data === 'function' ? entry.data() : entry.data;
      if (data.byteLength !== byteCount(entry)) {
        throw new CheckpointError(
          'tensor-invalid',
          path,
          undefined,
          `tensor ${quoted(entry.name)}: ${data.byteLength} bytes given, ${entry.dtype} [${entry.shape.join(', ')}] takes ${byteCount(entry)}: pass contiguous data`,
        );
      }
      write(data);
    }
  });
}

function metadataRecord(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const record: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [key, value] of pairs) record[key] = value;
  return record;
}

function checkShape(path: string, entry: SafetensorsEntry): void {
  const valid =
    entry.shape.every((size) => Number.isSafeInteger(size) && size >= 0) && Number.isSafeInteger(byteCount(entry));
  if (!valid) {
    throw new CheckpointError(
      'tensor-invalid',
      path,
      undefined,
      `tensor ${quoted(entry.name)}: shape [${entry.shape.join(', ')}] must be whole numbers`,
    );
  }
}

function readHeader(source: ByteSource): { header: string; dataStart: number } {
  const prefix = source.read(0, 8, 'the header length');
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw source.error(
      'format-invalid',
      0,
      `header length ${length} is over the limit of ${maxHeaderBytes}: not a safetensors file, or damaged`,
    );
  }
  const bytes = source.read(8, Number(length), 'the header');
  if (bytes[0] !== 0x7b)
    throw source.error('format-invalid', 8, `the header must begin with '{': not a safetensors file, or damaged`);
  try {
    return { header: new TextDecoder('utf-8', { fatal: true }).decode(bytes), dataStart: 8 + Number(length) };
  } catch {
    throw source.error('format-invalid', 8, 'the header is not UTF-8: the file is damaged');
  }
}

function parseHeader(source: ByteSource, text: string): { entries: Map<string, Entry>; metadata: Map<string, string> } {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ').slice(0, 120) : '';
    throw source.error('format-invalid', 8, `the header is not JSON (${reason}): the file is damaged`);
  }
  if (!isRecord(header))
    throw source.error('format-invalid', 8, 'the header is not a JSON object: the file is damaged');
  const entries = new Map<string, Entry>();
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') readMetadata(source, value, metadata);
    else entries.set(name, parseEntry(source, name, value));
  }
  return { entries, metadata };
}

function readMetadata(source: ByteSource, value: unknown, metadata: Map<string, string>): void {
  if (!isRecord(value))
    throw source.error('format-invalid', 8, '__metadata__ must be an object of strings: the file is damaged');
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string')
      throw source.error('format-invalid', 8, `__metadata__.${quoted(key)} must be a string: the file is damaged`);
    metadata.set(key, text);
  }
}

function parseEntry(source: ByteSource, name: string, value: unknown): Entry {
  const fail = (what: string, code: CheckpointError['code'] = 'tensor-invalid') =>
    source.error(code, 8, `tensor ${quoted(name)}: ${what}`);
  if (!isRecord(value)) throw fail('must be an object with dtype, shape and data_offsets: the file is damaged');
  const { dtype: dtypeName, shape, data_offsets: offsets } = value;
  if (typeof dtypeName !== 'string') throw fail('dtype must be a string: the file is damaged');
  const dtype = dtypeOfSafetensorsName(dtypeName);
  if (!dtype)
    throw fail(
      `dtype ${quoted(dtypeName)} is not supported: convert the file to F32, F16 or BF16`,
      'tensor-unsupported',
    );
  if (!isSizes(shape) || shape.length > maxDimensions)
    throw fail('shape must be an array of whole numbers: the file is damaged');
  if (!isSizes(offsets) || offsets.length !== 2)
    throw fail('data_offsets must be two whole numbers: the file is damaged');
  const [begin = 0, end = 0] = offsets;
  const bytes = elementCount(shape) * itemSize(dtype);
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes) {
    throw fail(
      `data_offsets [${begin}, ${end}] hold ${end - begin} bytes, ${dtype} [${shape.join(', ')}] takes ${bytes}: the file is damaged`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Tensors must follow each other and fill the file: bytes that two share, or none has, hide something. */
function checkLayout(source: ByteSource, entries: readonly Entry[], dataBytes: number): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of sorted) {
    if (begin !== position) {
      const what =
        begin < position ? 'overlaps the tensor before it' : `leaves ${begin - position} bytes unused before it`;
      throw source.error(
        'format-invalid',
        8,
        `tensor ${quoted(name)}: data_offsets [${begin}, ${end}] ${what} (expected to begin at ${position}): the file is damaged`,
      );
    }
    if (end > dataBytes) {
      throw source.error(
        'truncated',
        source.size,
        `tensor ${quoted(name)} ends ${end - dataBytes} bytes beyond the end: the file is incomplete`,
      );
    }
    position = end;
  }
  if (position !== dataBytes) {
    throw source.error(
      'format-invalid',
      source.size - (dataBytes - position),
      `${dataBytes - position} bytes after the last tensor belong to none: the file is damaged`,
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}
