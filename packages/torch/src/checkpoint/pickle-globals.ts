// The allow-list: every class and function that a pickle may name, and what calling it gives. Modelled on the list of
// torch/_weights_only_unpickler.py, plus numpy's arrays. All of these build plain values; none runs anything of the pickle's.
import { type DType, dtypeOfStorageName, isDType } from '../tensor/dtype.js';
import type { CheckpointError } from './checkpoint-error.js';
import { arrayFromBuffer, numpyScalar } from './numpy-values.js';
import { bytesOf, NumpyArray, NumpyDtype, OpaqueObject, PickleGlobal, type PickleValue } from './pickle-values.js';
import { PickledBytes } from './pickled-bytes.js';
import { PickledStorage, PickledTensor } from './pickled-tensor.js';

/** What a constructor may use. */
export interface CallContext {
  /** An error at the opcode that calls, also later. */
  readonly fail: (code: CheckpointError['code'], what: string) => CheckpointError;
  /** Counts work and memory that grow with an argument's length. */
  readonly charge: (items: number) => void;
}

type Constructor = (args: readonly PickleValue[], context: CallContext) => PickleValue;

/** Python 2's names of modules, and numpy 1's. */
const renamedModules: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
  ['numpy.core.multiarray', 'numpy._core.multiarray'],
  ['numpy.core.numeric', 'numpy._core.numeric'],
  ['numpy.core._multiarray_umath', 'numpy._core.multiarray'],
]);

/** Modules whose mention alone marks a file as hostile, also where unknown classes are let through as opaque records. */
const forbiddenModules: ReadonlySet<string> = new Set(
  (
    'os posix nt subprocess commands popen2 sys builtins importlib imp pkgutil zipimport runpy pty code codeop ctypes ' +
    'socket shutil webbrowser pickle _pickle cPickle marshal pip pdb bdb timeit'
  ).split(' '),
);

const constructors: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['collections.OrderedDict', (args, context) => dictOf(args[0], context)],
  ['collections.Counter', (args, context) => dictOf(args[0], context)],
  ['collections.defaultdict', (args, context) => dictOf(args[1], context)],
  ['builtins.dict', (args, context) => dictOf(args[0], context)],
  ['builtins.list', (args, context) => listOf(args[0], context)],
  ['builtins.tuple', (args, context) => listOf(args[0], context)],
  ['builtins.set', (args, context) => new Set(listOf(args[0], context))],
  ['builtins.frozenset', (args, context) => new Set(listOf(args[0], context))],
  ['builtins.bytes', byteArray],
  ['builtins.bytearray', byteArray],
  ['builtins.slice', (args) => new OpaqueObject('builtins', 'slice', [...args])],
  ['builtins.complex', (args) => new OpaqueObject('builtins', 'complex', [...args])],
  ['builtins.range', (args) => new OpaqueObject('builtins', 'range', [...args])],
  ['builtins.xrange', (args) => new OpaqueObject('builtins', 'range', [...args])],
  ['builtins.object', () => new OpaqueObject('builtins', 'object', [])],
  ['argparse.Namespace', (args) => new OpaqueObject('argparse', 'Namespace', [...args])],
  ['_codecs.encode', encode],
  ['copyreg._reconstructor', reconstruct],
  ['torch.Size', (args, context) => listOf(args[0], context)],
  ['torch.device', (args) => args.filter((part) => typeof part === 'string' || typeof part === 'number').join(':')],
  ['torch.serialization._get_layout', (args) => args[0] ?? null],
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  [
    'torch._utils._rebuild_tensor_v3',
    (args, context) => rebuildTensor([...args.slice(0, 4), args[6] ?? null], context),
  ],
  ['torch._utils._rebuild_parameter', (args) => args[0] ?? null],
  ['torch._utils._rebuild_parameter_with_state', (args) => args[0] ?? null],
  ['torch.nn.parameter.Parameter', (args) => args[0] ?? null],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['numpy.dtype', (args) => new NumpyDtype(typeof args[0] === 'string' ? args[0] : '')],
  ['numpy.ndarray', () => new NumpyArray()],
  ['numpy._core.multiarray._reconstruct', reconstructArray],
  ['numpy._core.multiarray.scalar', (args, context) => numpyScalar(args, context.fail)],
  ['numpy._core.numeric._frombuffer', (args, context) => arrayFromBuffer(args, context.fail)],
]);

/** Names that stand for themselves: types that a pickle passes as an argument. */
const references: readonly RegExp[] = [
  /^torch\.(cuda\.)?[A-Z]\w*Storage$/,
  /^torch\.storage\.(Untyped|Typed|_?Untyped|_?Typed)Storage$/,
  /^torch\.(cuda\.)?[A-Z]?\w*Tensor$/,
  /^torch\.(float|double|half|bfloat|int|long|short|uint|bool|complex|cfloat|cdouble|quint|qint)[0-9]*(_e\w+)?$/,
  /^builtins\.(int|float|bool|str|unicode|long|type|NoneType)$/,
  /^numpy\.(bool_?|u?int(8|16|32|64|p)?|float(16|32|64|_)?|number|generic)$/,
];

/** The module and name of a global in today's Python, and whether it may be named. */
export function findGlobal(module: string, name: string): { global: PickleGlobal; forbidden: boolean } {
  const current = renamedModules.get(module) ?? module;
  const path = `${current}.${name}`;
  const known = constructors.has(path) || references.some((pattern) => pattern.test(path));
  const root = current.split('.', 1)[0] ?? current;
  return { global: new PickleGlobal(current, name, known), forbidden: !known && forbiddenModules.has(root) };
}

/** What calling a global gives: a value of the allow-list, or an opaque record. */
export function callGlobal(global: PickleGlobal, args: PickleValue, context: CallContext): PickleValue {
  const construct = constructors.get(global.path);
  if (!construct) return new OpaqueObject(global.module, global.name, args);
  if (!Array.isArray(args))
    throw context.fail('pickle-invalid', `arguments of ${global.path} are not a tuple: the file is damaged`);
  return construct(args, context);
}

function dictOf(from: PickleValue | undefined, context: CallContext): Map<PickleValue, PickleValue> {
  const dict = new Map<PickleValue, PickleValue>();
  if (from === null || from === undefined) return dict;
  if (from instanceof Map) {
    context.charge(from.size);
    for (const [key, value] of from) dict.set(key, value);
    return dict;
  }
  if (!Array.isArray(from))
    throw context.fail('pickle-invalid', 'a dict is made from something else than pairs: the file is damaged');
  context.charge(from.length);
  for (const pair of from) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw context.fail('pickle-invalid', 'a dict is made from something else than pairs: the file is damaged');
    dict.set(pair[0]!, pair[1]!);
  }
  return dict;
}

function listOf(from: PickleValue | undefined, context: CallContext): PickleValue[] {
  if (from === null || from === undefined) return [];
  if (Array.isArray(from)) {
    context.charge(from.length);
    return from.slice();
  }
  if (!(from instanceof Set))
    throw context.fail('pickle-invalid', 'a list or set is made from something else than items: the file is damaged');
  context.charge(from.size);
  return [...from];
}

/** `bytes()`, `bytearray(bytes)` and Python 2's `bytearray(text, 'latin-1')`; never a count, which would be free memory. */
function byteArray(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [content, encoding] = args;
  if (content === undefined) return new PickledBytes('bytes', new Uint8Array(0));
  if (typeof encoding === 'string') return encode([content, encoding], context);
  const bytes = bytesOf(content);
  if (!bytes) throw context.fail('pickle-invalid', 'bytearray takes bytes: the file is damaged');
  return bytes;
}

/** `_codecs.encode(text, 'latin1')`: how Python 3 writes bytes at protocols below 3. */
function encode(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [text, encoding] = args;
  if (encoding !== 'latin1' && encoding !== 'latin-1' && encoding !== 'iso-8859-1') {
    throw context.fail('pickle-invalid', '_codecs.encode is only understood for latin1: the file is damaged');
  }
  if (typeof text === 'string') context.charge(text.length >> 4);
  const bytes = text instanceof PickledBytes ? text.encodedLatin1() : bytesOf(text ?? null);
  if (!bytes) throw context.fail('pickle-invalid', '_codecs.encode: text is not latin1: the file is damaged');
  return bytes;
}

/** `copyreg._reconstructor(class, base, state)`: instances at protocols 0 and 1. */
function reconstruct(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [type, , state = null] = args;
  if (!(type instanceof PickleGlobal))
    throw context.fail('pickle-invalid', 'copyreg._reconstructor takes a class: the file is damaged');
  return new OpaqueObject(type.module, type.name, [state]);
}

function reconstructArray(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [type] = args;
  if (!(type instanceof PickleGlobal))
    throw context.fail('pickle-invalid', 'numpy _reconstruct takes a class: the file is damaged');
  // Subclasses (matrix, masked and record arrays) mean something else by the same state.
  return type.path === 'numpy.ndarray' ? new NumpyArray() : new OpaqueObject(type.module, type.name, [...args]);
}

/** `_rebuild_tensor_v2(storage, offset, shape, strides, ...)`; a fifth argument that is a dtype is `_v3`'s. */
function rebuildTensor(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [storage, offset, shape, strides, dtypeName] = args;
  if (!(storage instanceof PickledStorage) || typeof offset !== 'number' || !isNumbers(shape) || !isNumbers(strides)) {
    throw context.fail('pickle-invalid', 'a tensor must be (storage, offset, shape, strides): the file is damaged');
  }
  const named = dtypeName instanceof PickleGlobal && dtypeName.module === 'torch' ? dtypeName.name : undefined;
  const dtype: DType | undefined = named === undefined ? storage.dtype : isDType(named) ? named : undefined;
  // An element type that the engine lacks (complex, quantised, float8) only matters when somebody wants this tensor.
  if (!dtype) return new OpaqueObject('torch', named ?? storage.typeName, [storage]);
  return new PickledTensor(storage.as(dtype), { dtype, shape, strides, storageOffset: offset }, context.fail);
}

/** `_rebuild_from_type_v2(function, type, args, state)`: a tensor with Python attributes, which are dropped. */
function rebuildFromType(args: readonly PickleValue[], context: CallContext): PickleValue {
  const [rebuild, , inner = null] = args;
  if (!(rebuild instanceof PickleGlobal) || !/^torch\._utils\._rebuild_(tensor|parameter)/.test(rebuild.path)) {
    throw context.fail(
      'pickle-forbidden',
      '_rebuild_from_type_v2 may only call a function that rebuilds tensors: do not trust this file',
    );
  }
  return callGlobal(rebuild, inner, context);
}

function isNumbers(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

/** The storage class that a persistent id names; `undefined` element type for those that are not supported. */
export function storageType(type: PickleValue | undefined): { dtype: DType | undefined; name: string } | undefined {
  if (!(type instanceof PickleGlobal)) return undefined;
  if (!/Storage$/.test(type.name)) return undefined;
  const untyped = type.name === 'UntypedStorage';
  return { dtype: untyped ? 'uint8' : dtypeOfStorageName(type.name), name: type.name };
}
