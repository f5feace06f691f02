// What a pickle becomes here. Lists and tuples are arrays, dicts are Maps (no prototype to pollute), and everything that is
// not on the allow-list is an inert record: nothing in a pickle is ever run.
import { latin1Bytes, PickledBytes } from './pickled-bytes.js';
import type { PickledStorage, PickledTensor } from './pickled-tensor.js';

/**
 * A value out of a pickle. Python's int is a number, or a bigint beyond 2^53; str is a string, and so is Python 2's byte
 * string (one character a byte, latin1); strings of 64 KiB and more, and bytes, are `PickledBytes`.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickledBytes
  | PickleGlobal
  | OpaqueObject
  | PickledTensor
  | PickledStorage
  | NumpyArray
  | NumpyDtype;

/** The name of a class or function that a pickle mentions. */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;
  /** Whether the name is on the allow-list. */
  readonly known: boolean;

  constructor(module: string, name: string, known: boolean) {
    this.module = module;
    this.name = name;
    this.known = known;
  }

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** An object that is not rebuilt: its class's name and what the pickle would have given it. */
export class OpaqueObject {
  readonly module: string;
  readonly name: string;
  readonly args: PickleValue;
  /** What `__setstate__` or `__dict__` would have got. */
  state: PickleValue | undefined;
  /** Items of a list subclass. */
  items: PickleValue[] | undefined;
  /** Entries of a dict subclass. */
  entries: Map<PickleValue, PickleValue> | undefined;

  constructor(module: string, name: string, args: PickleValue) {
    this.module = module;
    this.name = name;
    this.args = args;
  }

  ownItems(): PickleValue[] {
    this.items ??= [];
    return this.items;
  }

  ownEntries(): Map<PickleValue, PickleValue> {
    this.entries ??= new Map();
    return this.entries;
  }

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** `numpy.dtype`; numpy-values.ts reads its state. */
export class NumpyDtype {
  /** Kind and width, such as `f4`; `O8` for objects. */
  readonly code: string;
  /** Arrives after the name, by BUILD. */
  bigEndian: boolean;
  /** Records and sub-arrays, which are no tensors. */
  structured = false;

  /** @param name such as `<f4` */
  constructor(name: string) {
    const [, order = '', code = name] = /^([<>|=]?)(.*)$/s.exec(name) ?? [];
    this.code = code === '?' ? 'b1' : code;
    this.bigEndian = order === '>';
  }
}

/** `numpy.ndarray`: numbers as a tensor, object arrays as their elements; numpy-values.ts reads its state. */
export class NumpyArray {
  shape: readonly number[] = [];
  dtypeCode = '';
  /** Set for element types that the engine has or that widen into one it has. */
  tensor: PickledTensor | undefined;
  /** Elements of an object array in row-major order. */
  objects: PickleValue[] | undefined;
}

/** Bytes of a bytes object or of a Python 2 string; `undefined` for anything else. */
export function bytesOf(value: PickleValue): PickledBytes | undefined {
  if (value instanceof PickledBytes) return value.kind === 'utf-8' ? undefined : value;
  if (typeof value !== 'string') return undefined;
  const bytes = latin1Bytes(value);
  return bytes && new PickledBytes('bytes', bytes);
}
