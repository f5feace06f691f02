// Finding the weights in a checkpoint: which dict holds them, under which names, whatever the program that saved it wrapped
// around them.
import { ByteSource } from './byte-source.js';
import { CheckpointError, quoted } from './checkpoint-error.js';
import { NumpyArray, OpaqueObject, type PickleValue } from './pickle-values.js';
import { PickledStorage, PickledTensor } from './pickled-tensor.js';
import { type CheckpointFormat, readPythonCheckpoint } from './pth.js';
import { looksLikeSafetensors, readSafetensors, safetensorsTensors } from './safetensors.js';
import type { LazyTensor } from './tensor-data.js';

/** Weights found in a checkpoint. */
export interface StateDict {
  /** By name, without a "module." that all of them share. Read a tensor while its file is open. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** Keys from the root to the dict that holds them; empty for a bare state dict. */
  readonly path: readonly string[];
  /** What stands beside the tensors and beside the dicts on the path, by key: epoch, optimizer, config. */
  readonly rest: ReadonlyMap<string, PickleValue>;
}

/** A weights file of any format, open. */
export interface StateDictFile extends StateDict {
  readonly file: string;
  readonly format: CheckpointFormat | 'safetensors';
  /** The metadata of a safetensors file; empty for others. */
  readonly metadata: ReadonlyMap<string, string>;
  close(): void;
}

/** How to choose the weights. */
export interface FindStateDictOptions {
  /** Keys to try before the usual ones, for instance `['ema']`. */
  readonly prefer?: readonly string[];
  /** File to name in errors. */
  readonly file?: string;
}

/** Where programs keep the weights, the likeliest first; averaged ones (`ema`) only when asked for or alone. */
const usualKeys = [
  'state_dict',
  'model_state_dict',
  'model_state',
  'model',
  'network',
  'net',
  'weights',
  'params',
  'blobs',
  'module',
  'state_dict_ema',
  'model_ema',
  'ema_state_dict',
  'ema',
];
/** Dicts of tensors that are not weights. */
const stateOfTraining = new Set([
  'optimizer',
  'optimizers',
  'optimizer_state_dict',
  'scheduler',
  'lr_scheduler',
  'scaler',
  'amp',
]);
const maxDepth = 8;
const maxSteps = 2_000_000;

/**
 * Opens any supported weights file, told apart by its content, and finds its state dict. `close` it when the tensors are
 * read. Throws `CheckpointError`.
 */
export function readStateDict(path: string, options: FindStateDictOptions = {}): StateDictFile {
  const source = ByteSource.open(path);
  try {
    const head = source.read(0, Math.min(9, source.size), 'the file');
    if (looksLikeSafetensors(head)) {
      const file = readSafetensors(source);
      const tensors = withoutModulePrefix(safetensorsTensors(file));
      return {
        file: path,
        format: 'safetensors',
        tensors,
        path: [],
        rest: new Map(),
        metadata: file.metadata,
        close: () => file.close(),
      };
    }
    const checkpoint = readPythonCheckpoint(source);
    const found = findStateDict(checkpoint.root, { file: path, ...options });
    return { ...found, file: path, format: checkpoint.format, metadata: new Map(), close: () => checkpoint.close() };
  } catch (error) {
    source.close();
    throw error;
  }
}

/**
 * Finds the state dict in what a checkpoint held: the root itself, or under a usual key (`state_dict`, `model`, `blobs`,
 * ...) at any depth; dicts of dicts of tensors are joined with dots. Throws `CheckpointError` when there is none, or when a
 * tensor in it hangs from a class that is not on the allow-list.
 */
export function findStateDict(root: PickleValue, options: FindStateDictOptions = {}): StateDict {
  const file = options.file ?? 'checkpoint';
  const search = new TensorSearch(file);
  const rest = new Map<string, PickleValue>();
  const path: string[] = [];
  let dict = dictOf(root, file, path);
  for (let depth = 0; depth < maxDepth; depth++) {
    const key = wrapperKey(dict, options.prefer ?? [], search);
    if (key === undefined) break;
    for (const [name, value] of dict) if (name !== key) rest.set(String(keyText(name)), value);
    path.push(key);
    dict = dictOf(dict.get(key) ?? null, file, path);
  }
  const tensors = new Map<string, LazyTensor>();
  collect(dict, '', { tensors, rest, search, file }, 0);
  if (tensors.size === 0) {
    const keys = [...dict.keys()]
      .slice(0, 8)
      .map((key) => quoted(String(keyText(key))))
      .join(', ');
    throw new CheckpointError(
      'no-state-dict',
      file,
      undefined,
      `no tensors found (keys: ${keys || 'none'}): save the model's state_dict()`,
    );
  }
  return { tensors: withoutModulePrefix(tensors), path, rest };
}

/** The tensor that a value is, `undefined` for any other value. */
export function asTensor(value: PickleValue | undefined): LazyTensor | undefined {
  if (value instanceof PickledTensor) return value;
  return value instanceof NumpyArray ? value.tensor : undefined;
}

/** A usual key of this dict whose value is a dict that holds tensors. */
function wrapperKey(
  dict: ReadonlyMap<PickleValue, PickleValue>,
  prefer: readonly string[],
  search: TensorSearch,
): string | undefined {
  return [...prefer, ...usualKeys].find((key) => {
    const value = dict.get(key);
    return (value instanceof Map || value instanceof OpaqueObject) && search.holds(value);
  });
}

function dictOf(value: PickleValue, file: string, path: readonly string[]): ReadonlyMap<PickleValue, PickleValue> {
  if (value instanceof Map) return value;
  const where = path.length === 0 ? 'the checkpoint' : path.map(quoted).join('.');
  if (value instanceof OpaqueObject) {
    // A dict subclass (a config's, a logger's) is as good as a dict.
    if (value.entries) return value.entries;
    throw new CheckpointError(
      'no-state-dict',
      file,
      undefined,
      `${where} is a ${quoted(value.path)} object, not a state dict: save its state_dict() in Python`,
    );
  }
  throw new CheckpointError(
    'no-state-dict',
    file,
    undefined,
    `${where} is not a dict of tensors: save the model's state_dict()`,
  );
}

function collect(
  dict: ReadonlyMap<PickleValue, PickleValue>,
  prefix: string,
  found: { tensors: Map<string, LazyTensor>; rest: Map<string, PickleValue>; search: TensorSearch; file: string },
  depth: number,
): void {
  const { tensors, rest, search, file } = found;
  for (const [key, value] of dict) {
    search.step();
    const name = prefix + String(keyText(key));
    const tensor = asTensor(value);
    if (tensor) tensors.set(name, tensor);
    else if ((depth === 0 && stateOfTraining.has(name)) || !(value instanceof Map || value instanceof OpaqueObject))
      rest.set(name, value);
    else if (!search.holds(value)) rest.set(name, value);
    else if (value instanceof Map && depth < maxDepth) collect(value, `${name}.`, found, depth + 1);
    else refuse(name, value, file);
  }
}

function refuse(name: string, value: PickleValue, file: string): never {
  const what =
    value instanceof OpaqueObject ? `is a ${quoted(value.path)}, which is not supported` : 'is nested too deep';
  throw new CheckpointError(
    'tensor-unsupported',
    file,
    undefined,
    `${quoted(name)} ${what}: convert it to a plain float tensor in Python`,
  );
}

function keyText(key: PickleValue): string | number | bigint | boolean {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean'
    ? key
    : '?';
}

/**
 * Looks for tensors in values, with a limit on all its steps: what a file shares between its dicts takes no room there, but
 * would take for ever to walk.
 */
class TensorSearch {
  private readonly file: string;
  /** Values from which no tensor can be reached. */
  private readonly without = new Set<PickleValue>();
  private steps = 0;

  constructor(file: string) {
    this.file = file;
  }

  step(): void {
    if (++this.steps > maxSteps) {
      throw new CheckpointError(
        'too-large',
        this.file,
        undefined,
        `more than ${maxSteps} values to look through: not a weights file`,
      );
    }
  }

  /** Whether a tensor can be reached from a value, through any records. */
  holds(value: PickleValue): boolean {
    const seen = new Set<PickleValue>();
    const pending: (PickleValue | undefined)[] = [value];
    while (pending.length > 0) {
      const next = pending.pop();
      this.step();
      if (next === undefined || next === null || typeof next !== 'object') continue;
      if (seen.has(next) || this.without.has(next)) continue;
      seen.add(next);
      if (next instanceof PickledTensor || next instanceof PickledStorage) return true;
      if (next instanceof NumpyArray) {
        if (next.tensor) return true;
        pending.push(next.objects);
      } else if (next instanceof Map) for (const item of next.values()) pending.push(item);
      else if (next instanceof Set || Array.isArray(next)) for (const item of next) pending.push(item);
      else if (next instanceof OpaqueObject) pending.push(next.args, next.state, next.items, next.entries);
    }
    for (const value of seen) this.without.add(value);
    return false;
  }
}

/** Drops "module.", which DataParallel adds, as long as every name has it. */
function withoutModulePrefix(tensors: Map<string, LazyTensor>): Map<string, LazyTensor> {
  const prefix = 'module.';
  let names = tensors;
  while (names.size > 0 && [...names.keys()].every((name) => name.startsWith(prefix) && name.length > prefix.length)) {
    names = new Map([...names].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  }
  return names;
}
