// Python's pickle machine, protocols 0 to 5, written after the opcode table of CPython's Lib/pickletools.py. It builds plain
// values and calls nothing: classes outside the allow-list (pickle-globals.ts) are an error or an inert record.
import type { ByteSource } from './byte-source.js';
import { type CheckpointError, quoted } from './checkpoint-error.js';
import { setArrayState, setDtypeState } from './numpy-values.js';
import { type CallContext, callGlobal, findGlobal } from './pickle-globals.js';
import { readScalar } from './pickle-scalars.js';
import { PickleStream } from './pickle-stream.js';
import { NumpyArray, NumpyDtype, OpaqueObject, PickleGlobal, type PickleValue } from './pickle-values.js';
import { latin1Text, PickledBytes } from './pickled-bytes.js';
import { PickledTensor } from './pickled-tensor.js';

/** How to read a pickle. */
export interface UnpickleOptions {
  /**
   * Classes and functions outside the allow-list: `error` refuses the file, `opaque` keeps an inert record of them (but still
   * refuses what only an attack would name, such as os.system). Default `error`.
   */
  readonly unknownGlobals?: 'error' | 'opaque';
  /** Gives the object for a persistent id, as PyTorch uses for storages; without it such an id is an error. */
  readonly persistentLoad?: (id: PickleValue, fail: CallContext['fail']) => PickleValue;
}

/** Opcodes in one pickle: bounds time and the values held (a checkpoint of 1,000 tensors has about 30,000). */
const maxOperations = 16_000_000;
/**
 * Lists, dicts, sets and records: an empty Map takes some 200 bytes for its one opcode. A tensor is nine of them and takes
 * 90 bytes or more, so that long pickles may have one for every 16 bytes beyond the two million.
 */
const containersAllowed = (bytesRead: number): number => 2_000_000 + bytesRead / 16;
/** Byte strings up to this length become text when they are dict keys. */
const maxKeyBytes = 4096;

/**
 * Reads the one pickle that begins at `start` of a source; `end` is where it stops. Throws `CheckpointError` with the offset.
 * Memory is bounded by the file's size and a constant.
 */
export function unpickle(
  source: ByteSource,
  start = 0,
  options: UnpickleOptions = {},
): { value: PickleValue; end: number } {
  const machine = new PickleMachine(source, start, options);
  try {
    return machine.run();
  } catch (error) {
    // The engine's own limits (largest Map, longest string) are RangeErrors.
    if (error instanceof RangeError) throw machine.error('too-large', 'a value is larger than this program can hold');
    throw error;
  }
}

class PickleMachine {
  private readonly stream: PickleStream;
  private readonly options: UnpickleOptions;
  private readonly stack: PickleValue[] = [];
  /** Stack heights at the open MARKs. */
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private operations = 0;
  private containers = 0;
  /** Where the current opcode is. */
  private at: number;

  constructor(source: ByteSource, start: number, options: UnpickleOptions) {
    this.stream = new PickleStream(source, start);
    this.options = options;
    this.at = start;
  }

  error(code: CheckpointError['code'], what: string): CheckpointError {
    return this.stream.error(code, what, this.at);
  }

  run(): { value: PickleValue; end: number } {
    for (;;) {
      this.at = this.stream.position;
      const code = this.stream.byte();
      this.charge(1);
      if (code === 0x2e) return { value: this.pop(), end: this.stream.position }; // . STOP
      const scalar = readScalar(code, this.stream);
      if (scalar !== undefined) this.push(this.counted(scalar));
      else if (!this.container(code) && !this.object(code)) {
        throw this.invalid(`unknown opcode 0x${code.toString(16).padStart(2, '0')}: not a pickle, or damaged`);
      }
    }
  }

  /** Opcodes that move values, make containers and fill them. */
  private container(code: number): boolean {
    switch (code) {
      case 0x28: // ( MARK
        this.marks.push(this.stack.length);
        return true;
      case 0x30: // 0 POP
        if (this.stack.length === this.floor() && this.marks.length > 0) this.marks.pop();
        else this.pop();
        return true;
      case 0x31: // 1 POP_MARK
        this.popMark();
        return true;
      case 0x32: // 2 DUP
        return this.push(this.top());
      case 0x67: // g GET
        return this.recall(Number(this.stream.decimalInt()));
      case 0x68: // h BINGET
        return this.recall(this.stream.uint(1));
      case 0x6a: // j LONG_BINGET
        return this.recall(this.stream.uint(4));
      case 0x70: // p PUT
        return this.remember(Number(this.stream.decimalInt()));
      case 0x71: // q BINPUT
        return this.remember(this.stream.uint(1));
      case 0x72: // r LONG_BINPUT
        return this.remember(this.stream.uint(4));
      case 0x94: // MEMOIZE
        return this.remember(this.memo.size);
      case 0x5d: // ] EMPTY_LIST
      case 0x29: // ) EMPTY_TUPLE
        return this.push(this.counted([]));
      case 0x7d: // } EMPTY_DICT
        return this.push(this.counted(new Map()));
      case 0x8f: // EMPTY_SET
        return this.push(this.counted(new Set()));
      case 0x6c: // l LIST
      case 0x74: // t TUPLE
        return this.push(this.counted(this.popMark()));
      case 0x85: // TUPLE1
        return this.push(this.counted(this.popLast(1)));
      case 0x86: // TUPLE2
        return this.push(this.counted(this.popLast(2)));
      case 0x87: // TUPLE3
        return this.push(this.counted(this.popLast(3)));
      case 0x91: // FROZENSET
        return this.push(this.counted(new Set(this.popMark())));
      case 0x64: {
        // d DICT
        const dict = this.counted(new Map<PickleValue, PickleValue>());
        this.setItems(dict, this.popMark());
        return this.push(dict);
      }
      case 0x61: // a APPEND
        return this.append(this.popLast(1));
      case 0x65: // e APPENDS
        return this.append(this.popMark());
      case 0x73: // s SETITEM
        return this.setItemsOnTop(this.popLast(2));
      case 0x75: // u SETITEMS
        return this.setItemsOnTop(this.popMark());
      case 0x90: {
        // ADDITEMS
        const items = this.popMark();
        const set = this.top();
        if (!(set instanceof Set)) throw this.invalid('ADDITEMS on something else than a set: the file is damaged');
        for (const item of items) set.add(item);
        return true;
      }
      default:
        return false;
    }
  }

  /** Opcodes that name classes, make objects, or steer the machine. */
  private object(code: number): boolean {
    const { stream } = this;
    switch (code) {
      case 0x80: {
        // PROTO
        const protocol = stream.uint(1);
        if (protocol > 5)
          throw this.invalid(`pickle protocol ${protocol} is unknown (0 to 5): the file is damaged or too new`);
        return true;
      }
      case 0x95: // FRAME: a hint for buffering
        stream.length8();
        return true;
      case 0x63: // c GLOBAL
        return this.push(this.global(stream.line(), stream.line()));
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popLast(2);
        if (typeof module !== 'string' || typeof name !== 'string')
          throw this.invalid('STACK_GLOBAL without names: the file is damaged');
        return this.push(this.global(module, name));
      }
      case 0x69: {
        // i INST
        const type = this.global(stream.line(), stream.line());
        return this.push(this.call(type, this.popMark()));
      }
      case 0x6f: {
        // o OBJ
        const [type = null, ...args] = this.popMark();
        return this.push(this.call(type, args));
      }
      case 0x52: // R REDUCE
      case 0x81: {
        // NEWOBJ
        const [type = null, args = null] = this.popLast(2);
        return this.push(this.call(type, args));
      }
      case 0x92: {
        // NEWOBJ_EX
        const [type = null, args = null, named = null] = this.popLast(3);
        const made = this.call(type, args);
        if (made instanceof OpaqueObject) made.state = named;
        return this.push(made);
      }
      case 0x62: // b BUILD
        return this.build();
      case 0x50: // P PERSID
        return this.persistent(stream.line());
      case 0x51: // Q BINPERSID
        return this.persistent(this.pop());
      case 0x82: // EXT1
      case 0x83: // EXT2
      case 0x84: // EXT4
        throw this.error(
          'pickle-forbidden',
          'an extension code (EXT) stands for a class that only its writer knows: do not trust this file',
        );
      case 0x97: // NEXT_BUFFER
      case 0x98: // READONLY_BUFFER
        throw this.invalid('the data is in buffers outside the file: save it again without out-of-band buffers');
      default:
        return false;
    }
  }

  private global(module: string, name: string): PickleGlobal {
    const found = findGlobal(module, name);
    if (found.global.known) return this.counted(found.global);
    if (found.forbidden || this.options.unknownGlobals !== 'opaque') {
      const remedy = found.forbidden ? 'do not trust this file' : 'save plain arrays or a state dict instead';
      throw this.error(
        'pickle-forbidden',
        `the pickle names ${quoted(`${module}.${name}`)}, which is not on the allow-list: ${remedy}`,
      );
    }
    return this.counted(found.global);
  }

  private call(type: PickleValue, args: PickleValue): PickleValue {
    if (!(type instanceof PickleGlobal)) {
      throw this.error(
        'pickle-forbidden',
        'the pickle calls something that is not a named class or function: do not trust this file',
      );
    }
    return this.counted(callGlobal(type, args, this.context()));
  }

  private build(): true {
    const state = this.pop();
    const target = this.top();
    if (target instanceof OpaqueObject) target.state = state;
    else if (target instanceof NumpyArray) setArrayState(target, state, this.context().fail);
    else if (target instanceof NumpyDtype) setDtypeState(target, state, this.context().fail);
    else if (!(target instanceof Map || target instanceof Set || target instanceof PickledTensor)) {
      // Attributes of dicts, sets and parameters carry nothing that a checkpoint needs; anything else has none.
      throw this.error('pickle-forbidden', 'BUILD sets attributes of a class or a plain value: do not trust this file');
    }
    return true;
  }

  private persistent(id: PickleValue): true {
    const { persistentLoad } = this.options;
    if (!persistentLoad)
      throw this.invalid('a persistent id refers to data outside the pickle: this is not a whole checkpoint');
    return this.push(persistentLoad(id, this.context().fail));
  }

  private context(): CallContext {
    const at = this.at;
    return {
      fail: (code, what) => this.stream.error(code, what, at),
      charge: (items) => this.charge(items),
    };
  }

  private append(items: readonly PickleValue[]): true {
    const target = this.top();
    const list = target instanceof OpaqueObject ? target.ownItems() : target;
    if (!Array.isArray(list)) throw this.invalid('APPEND on something else than a list: the file is damaged');
    for (const item of items) list.push(item);
    return true;
  }

  private setItemsOnTop(items: readonly PickleValue[]): true {
    const target = this.top();
    const dict = target instanceof OpaqueObject ? target.ownEntries() : target;
    if (!(dict instanceof Map)) throw this.invalid('SETITEM on something else than a dict: the file is damaged');
    this.setItems(dict, items);
    return true;
  }

  private setItems(dict: Map<PickleValue, PickleValue>, items: readonly PickleValue[]): void {
    if (items.length % 2 !== 0) throw this.invalid('a dict has a key without a value: the file is damaged');
    for (let i = 0; i < items.length; i += 2) dict.set(dictKey(items[i]!), items[i + 1]!);
  }

  private push(value: PickleValue): true {
    this.stack.push(value);
    return true;
  }

  private floor(): number {
    return this.marks.at(-1) ?? 0;
  }

  private pop(): PickleValue {
    return this.popLast(1)[0]!;
  }

  private top(): PickleValue {
    if (this.stack.length <= this.floor()) throw this.invalid('the stack is empty: the file is damaged');
    return this.stack.at(-1)!;
  }

  private popLast(count: number): PickleValue[] {
    if (this.stack.length - count < this.floor()) throw this.invalid('the stack is empty: the file is damaged');
    return this.stack.splice(this.stack.length - count, count);
  }

  private popMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.invalid('no MARK on the stack: the file is damaged');
    return this.stack.splice(mark);
  }

  private recall(index: number): true {
    const value = this.memo.get(index);
    if (value === undefined) throw this.invalid(`memo ${index} was never stored: the file is damaged`);
    return this.push(value);
  }

  private remember(index: number): true {
    if (!Number.isSafeInteger(index) || index < 0) throw this.invalid(`memo index ${index}: the file is damaged`);
    this.memo.set(index, this.top());
    return true;
  }

  private counted<T>(value: T): T {
    if (value !== null && typeof value === 'object' && ++this.containers > containersAllowed(this.at)) {
      throw this.error('too-large', `${this.containers} objects in ${this.at} bytes of pickle: not a weights file`);
    }
    return value;
  }

  private charge(operations: number): void {
    this.operations += operations;
    if (this.operations > maxOperations)
      throw this.error('too-large', `more than ${maxOperations} operations in one pickle: not a weights file`);
  }

  private invalid(what: string): CheckpointError {
    return this.error('pickle-invalid', what);
  }
}

/** Keys saved as bytes (Python 2 names read by Python 3) are text here. */
function dictKey(key: PickleValue): PickleValue {
  return key instanceof PickledBytes && key.byteLength <= maxKeyBytes ? latin1Text(key.read()) : key;
}
