// Module: a tree of parameters, buffers and child modules, found by enumerating its properties. As torch.nn.Module, with
// camelCase properties whose state names are the snake_case ones of PyTorch's checkpoints.
import { byteCount } from '../checkpoint/tensor-data.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { Buffer, Parameter, type Placement, type StateSource, type StateTensor } from './parameter.js';
import { stateName } from './state-name.js';

/** What a module holds directly. */
export type Member = Parameter | Buffer | Module;

/** How a state fitted the module. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** Names of the module that the state lacks. */
  readonly missing: readonly string[];
  /** Names of the state that the module lacks. */
  readonly unexpected: readonly string[];
  /** Names whose shapes differ: expected by the module, got from the state. */
  readonly mismatched: readonly { name: string; expected: readonly number[]; got: readonly number[] }[];
}

/**
 * Members are the own properties of type Parameter, Buffer or Module and arrays of them (names 'convs.0', 'convs.1').
 * A property that must not be one, such as a link to the parent, is made private with `#`.
 */
export abstract class Module {
  #training = true;

  /** Whether dropout drops and batch norms learn their statistics; set by train() and eval(). */
  get training(): boolean {
    return this.#training;
  }

  /** The members, by state name. To be overridden where a name is not the property's in snake_case. */
  *members(): Iterable<readonly [string, Member]> {
    for (const [property, value] of Object.entries(this)) yield* membersUnder(stateName(property), value);
  }

  /** Names directly at this module that a checkpoint may lack, or may hold for nothing, without an error. */
  toleratedState(): readonly string[] {
    return [];
  }

  /** Defines the property `name` as a Buffer with the memory of `tensor`. */
  protected registerBuffer(name: string, tensor: Tensor, options: { persistent?: boolean } = {}): Buffer {
    const buffer = new Buffer(tensor, options);
    Object.defineProperty(this, name, { value: buffer, enumerable: true, writable: true, configurable: true });
    return buffer;
  }

  /** Modules directly below, by state name. */
  *namedChildren(): Iterable<readonly [string, Module]> {
    for (const [name, member] of this.members()) if (member instanceof Module) yield [name, member];
  }

  children(): Module[] {
    return Array.from(this.namedChildren(), ([, child]) => child);
  }

  /** This module ('') and all below, each once. */
  namedModules(): Iterable<[string, Module]> {
    return walkModules(this, '', new Set());
  }

  modules(): Module[] {
    return Array.from(this.namedModules(), ([, module]) => module);
  }

  /** All parameters, each once, under its first name. */
  *namedParameters(): Iterable<[string, Parameter]> {
    for (const [name, tensor] of distinctState(this)) if (tensor instanceof Parameter) yield [name, tensor];
  }

  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** All buffers, each once, under its first name. */
  *namedBuffers(): Iterable<[string, Buffer]> {
    for (const [name, tensor] of distinctState(this)) if (tensor instanceof Buffer) yield [name, tensor];
  }

  buffers(): Buffer[] {
    return Array.from(this.namedBuffers(), ([, buffer]) => buffer);
  }

  /** Parameters and persistent buffers themselves (no copies) under all of their names. */
  stateDict(): Map<string, StateTensor> {
    return new Map(walkState(this, ''));
  }

  /**
   * Copies a state into the parameters and buffers, casting where dtypes differ. What does not fit is reported.
   * @param options.adopt takes the memory of the state's file where it can, which must stay as it is (`StateTensor.adopt`)
   * @throws Error when something does not fit, before anything is copied; not with `strict: false`
   */
  loadStateDict(
    state: ReadonlyMap<string, StateSource>,
    { strict = true, adopt = false }: { strict?: boolean; adopt?: boolean } = {},
  ): LoadReport {
    const own = this.stateDict();
    const tolerated = toleratedNames(this);
    const fitting: [string, StateTensor, StateSource][] = [];
    const missing: string[] = [];
    const mismatched: { name: string; expected: readonly number[]; got: readonly number[] }[] = [];
    for (const [name, tensor] of own) {
      const value = state.get(name);
      if (!value) {
        if (!tolerated.has(name)) missing.push(name);
      } else if (value.shape.join() === tensor.shape.join()) fitting.push([name, tensor, value]);
      else mismatched.push({ name, expected: tensor.shape, got: value.shape });
    }
    const unexpected = [...state.keys()].filter((name) => !own.has(name) && !tolerated.has(name));
    const report = { loaded: fitting.map(([name]) => name), missing, unexpected, mismatched };
    if (strict && missing.length + unexpected.length + mismatched.length > 0)
      throw new Error(`state of ${this.constructor.name}: ${describeMisfit(report, own.size)}`);
    const copied = adopt ? fitting.filter(([, tensor, value]) => !tensor.adopt(value)) : fitting;
    const largest = Math.max(0, ...copied.map(([, , value]) => ('materialize' in value ? byteCount(value) : 0)));
    const scratch = new Uint8Array(largest);
    for (const [, tensor, value] of copied) tensor.assign(value, scratch);
    return report;
  }

  train(mode = true): this {
    this.#training = mode;
    for (const [, child] of this.namedChildren()) child.train(mode);
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Casts, moves or lays out all parameters and buffers; they stay the same objects. */
  to(placement: Placement): this {
    for (const [, tensor] of distinctState(this)) tensor.place(placement);
    return this;
  }

  /** Takes all parameters out of learning. */
  freeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = false;
    return this;
  }

  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = undefined;
  }
}

/** A module from one tensor to one tensor. */
export abstract class Layer extends Module {
  abstract forward(input: Tensor): Tensor;

  /** forward() in a scope of its own: only the result stays. */
  call(input: Tensor): Tensor {
    return scope(() => this.forward(input));
  }
}

function* membersUnder(name: string, value: unknown): Iterable<readonly [string, Member]> {
  if (value instanceof Module || value instanceof Parameter || value instanceof Buffer) yield [name, value];
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* membersUnder(`${name}.${i}`, item);
}

function* walkModules(module: Module, name: string, seen: Set<Module>): Iterable<[string, Module]> {
  if (seen.has(module)) return;
  seen.add(module);
  yield [name, module];
  for (const [child, member] of module.namedChildren()) yield* walkModules(member, join(name, child), seen);
}

/** Each tensor once. */
function* distinctState(module: Module): Iterable<[string, StateTensor]> {
  const seen = new Set<StateTensor>();
  for (const [path, owner] of module.namedModules()) {
    for (const [name, member] of owner.members()) {
      if (member instanceof Module || seen.has(member)) continue;
      seen.add(member);
      yield [join(path, name), member];
    }
  }
}

/** As state_dict() lists it: a module's own tensors first, then those of its children; shared ones under every name. */
function* walkState(module: Module, prefix: string): Iterable<[string, StateTensor]> {
  const members = [...module.members()];
  for (const [name, member] of members) {
    if (member instanceof Parameter || (member instanceof Buffer && member.persistent))
      yield [join(prefix, name), member];
  }
  for (const [name, member] of members) if (member instanceof Module) yield* walkState(member, join(prefix, name));
}

function toleratedNames(module: Module, prefix = '', into = new Set<string>()): Set<string> {
  for (const name of module.toleratedState()) into.add(join(prefix, name));
  for (const [name, child] of module.namedChildren()) toleratedNames(child, join(prefix, name), into);
  return into;
}

function join(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`;
}

function describeMisfit({ missing, unexpected, mismatched }: LoadReport, size: number): string {
  const first = (names: readonly string[]): string => names.slice(0, 3).join(', ') + (names.length > 3 ? ', ...' : '');
  const parts: string[] = [];
  if (missing.length > 0) parts.push(`${missing.length} of ${size} tensors are missing (${first(missing)})`);
  if (unexpected.length > 0) parts.push(`${unexpected.length} are not of this module (${first(unexpected)})`);
  if (mismatched.length > 0) {
    const shapes = mismatched.map(
      ({ name, expected, got }) => `${name} [${expected.join(', ')}] vs [${got.join(', ')}]`,
    );
    parts.push(`${mismatched.length} differ in shape (${first(shapes)})`);
  }
  return `${parts.join('; ')}: load with strict: false to take what fits`;
}
