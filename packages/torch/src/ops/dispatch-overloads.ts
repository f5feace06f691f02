// The functions behind `ops` and behind Tensor's methods: they find the overload that fits the arguments and call it.
import { ensureDevice } from '../tensor/device.js';
import { callOperator, findOperator, type OpArgument, type OpResult, operatorNames } from '../tensor/dispatch.js';
import { isDType } from '../tensor/dtype.js';
import type { NativeOperator } from '../tensor/native.js';
import { Tensor } from '../tensor/tensor.js';
import { OP_NAMES, type Ops } from './generated.js';
import { isCallable, type OperatorSchema, parseSchema, type SchemaArgument } from './schema.js';

interface Overload {
  readonly operator: NativeOperator;
  readonly arguments: readonly SchemaArgument[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** How many arguments may stand in order, the first of which `required` must. */
  readonly positional: number;
  readonly required: number;
  /** Keyword-only arguments without a default. */
  readonly requiredOptions: readonly number[];
  /** Place of the `device` argument, or -1. */
  readonly device: number;
}

type Options = Readonly<Record<string, OpArgument>>;

/**
 * The engine's operators as functions, such as `ops.conv2d(input, weight, { stride: 2 })`. Names and arguments are
 * PyTorch's; what differs from Python: numbers of an enumeration (`reduction`) are the engine's 0 none, 1 mean, 2 sum.
 * @throws Error of one line with the operator, and what it expected or the engine's own words and the shapes
 */
export const ops: Ops = makeOps();

/** Calls operator `name` with its arguments in order and perhaps an object of options at the end. */
export function callOverloaded(name: string, args: readonly unknown[]): OpResult {
  let overloads = overloadsByName.get(name);
  if (!overloads) {
    overloads = readOverloads(name);
    overloadsByName.set(name, overloads);
  }
  const last = args[args.length - 1];
  const options = isOptions(last) ? last : undefined;
  const count = options ? args.length - 1 : args.length;
  for (const overload of overloads) {
    const values = arrange(overload, args, count, options);
    if (values) {
      const device = values[overload.device];
      if (device !== undefined && device !== 'cpu' && typeof device === 'string') ensureDevice(device);
      return callOperator(overload.operator, values);
    }
  }
  throw new TypeError(explain(name, overloads, args.slice(0, count), options));
}

const overloadsByName = new Map<string, readonly Overload[]>();
let namesByOperator: Map<string, string[]> | undefined;

function makeOps(): Ops {
  const made = Object.create(null) as Ops;
  for (const name of OP_NAMES) {
    const call = (...args: unknown[]): OpResult => callOverloaded(name, args);
    Object.defineProperty(call, 'name', { value: name });
    Object.defineProperty(made, name, { value: call, enumerable: true });
  }
  return Object.freeze(made);
}

function readOverloads(name: string): readonly Overload[] {
  if (!namesByOperator) {
    namesByOperator = new Map();
    for (const full of operatorNames()) {
      if (!full.startsWith('aten::')) continue;
      const base = full.slice(6).split('.', 1)[0] ?? '';
      const known = namesByOperator.get(base);
      if (known) known.push(full);
      else namesByOperator.set(base, [full]);
    }
  }
  // findOperator says which libtorch lacks the operator.
  const names = namesByOperator.get(name) ?? [`aten::${name}`];
  return (
    names
      .map((full) => planOverload(findOperator(full)))
      .filter((overload) => overload !== undefined)
      // Where several fit, the one with the fewest arguments is the plainest.
      .sort((a, b) => a.arguments.length - b.arguments.length)
  );
}

function planOverload(operator: NativeOperator): Overload | undefined {
  const schema: OperatorSchema = parseSchema(operator.schema);
  if (!isCallable(schema)) return undefined;
  const args = schema.arguments;
  const keywordOnly = args.findIndex((argument) => argument.keywordOnly);
  const positional = keywordOnly < 0 ? args.length : keywordOnly;
  const places = args.map((_, i) => i);
  return {
    operator,
    arguments: args,
    indexOf: new Map(places.filter((i) => args[i]?.type !== 'other').map((i) => [args[i]?.name ?? '', i])),
    positional,
    required: args.filter((argument, i) => i < positional && !argument.hasDefault).length,
    requiredOptions: places.slice(positional).filter((i) => !args[i]?.hasDefault),
    device: args.findIndex((argument) => argument.type === 'Device'),
  };
}

function isOptions(value: unknown): value is Options {
  return typeof value === 'object' && value !== null && !(value instanceof Tensor) && !Array.isArray(value);
}

/** The arguments in the schema's order, or undefined where they do not fit this overload. */
function arrange(
  overload: Overload,
  args: readonly unknown[],
  count: number,
  options: Options | undefined,
): OpArgument[] | undefined {
  const declared = overload.arguments;
  if (count > overload.positional) return undefined;
  const values: OpArgument[] = [];
  for (let i = 0; i < count; i++) {
    const value = args[i];
    const argument = declared[i];
    if (!argument || !isAccepted(argument, value)) return undefined;
    values.push(value);
  }
  if (options) {
    for (const key in options) {
      const value = options[key];
      const index = overload.indexOf.get(key);
      const argument = index === undefined ? undefined : declared[index];
      if (index === undefined || !argument || index < count || !isAccepted(argument, value)) return undefined;
      while (values.length <= index) values.push(undefined);
      values[index] = value;
    }
  }
  for (let i = count; i < overload.required; i++) if (values[i] === undefined) return undefined;
  for (const i of overload.requiredOptions) if (values[i] === undefined) return undefined;
  return values;
}

function isAccepted(argument: SchemaArgument, value: unknown): value is OpArgument {
  if (value === undefined) return argument.hasDefault;
  if (value === null) return argument.optional;
  switch (argument.type) {
    case 'Tensor':
      return value instanceof Tensor;
    case 'int':
      return typeof value === 'number' ? Number.isInteger(value) : typeof value === 'bigint';
    case 'float':
      return typeof value === 'number';
    case 'Scalar':
      return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint';
    case 'bool':
      return typeof value === 'boolean';
    case 'str':
    case 'Device':
      return typeof value === 'string';
    case 'ScalarType':
      return typeof value === 'string' && isDType(value);
    case 'MemoryFormat':
      return typeof value === 'string' && value in MEMORY_FORMATS;
    case 'Layout':
      return value === 'strided';
    case 'int[]':
    case 'float[]':
    case 'Scalar[]':
      return Array.isArray(value) ? value.every(isNumeric) : argument.fixedLength > 0 && typeof value === 'number';
    case 'bool[]':
      return Array.isArray(value) && value.every((item) => typeof item === 'boolean');
    case 'Tensor[]':
      return Array.isArray(value) && value.every((item) => item instanceof Tensor);
    case 'Tensor?[]':
      return Array.isArray(value) && value.every((item) => item === null || item instanceof Tensor);
    case 'other':
      return false;
  }
}

const MEMORY_FORMATS = { contiguous_format: 0, channels_last: 0, channels_last_3d: 0, preserve_format: 0 };

function isNumeric(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** What is wrong with a call that no overload takes. */
function explain(
  name: string,
  overloads: readonly Overload[],
  args: readonly unknown[],
  options: Options | undefined,
): string {
  const known = new Set(overloads.flatMap((overload) => [...overload.indexOf.keys()]));
  for (const key of Object.keys(options ?? {})) {
    if (known.has(key)) continue;
    const has = [...new Set(overloads.flatMap(optionNames))];
    return `${name}: unknown option '${key}': has ${has.length > 0 ? has.join(', ') : 'none'}`;
  }
  const [only, ...others] = overloads;
  const problem = only && others.length === 0 ? problemWith(only, args, options) : undefined;
  if (problem) return `${name}: ${problem}: ${only ? usage(name, only) : ''}`;
  const given = [...args.map(describe), ...(options ? [describeOptions(options)] : [])].join(', ');
  return `${name}(${given}): no such overload: has ${overloads.map((overload) => usage(name, overload)).join(' | ')}`;
}

function problemWith(overload: Overload, args: readonly unknown[], options: Options | undefined): string | undefined {
  const declared = overload.arguments;
  if (args.length > overload.positional)
    return `takes at most ${overload.positional} arguments in order, got ${args.length}`;
  for (const [i, argument] of declared.entries()) {
    const named = options !== undefined && Object.hasOwn(options, argument.name);
    if (named && i < args.length) return `'${argument.name}' is given twice`;
    const value = i < args.length ? args[i] : options?.[argument.name];
    if (i >= args.length && !named && argument.hasDefault) continue;
    if (!isAccepted(argument, value)) {
      if (value === undefined) return `'${argument.name}' is missing`;
      return `'${argument.name}' must be ${expected(argument)}, got ${describe(value)}`;
    }
  }
  return undefined;
}

function optionNames(overload: Overload): string[] {
  return overload.arguments
    .filter((argument, i) => argument.type !== 'other' && (i >= overload.positional || argument.hasDefault))
    .map((argument) => argument.name);
}

function usage(name: string, overload: Overload): string {
  const positional = overload.arguments.filter((argument, i) => i < overload.positional && !argument.hasDefault);
  const parts = positional.map((argument) => `${argument.name}: ${expected(argument)}`);
  const options = optionNames(overload);
  if (options.length > 0) parts.push(`{ ${options.join(', ')} }`);
  return `${name}(${parts.join(', ')})`;
}

function expected(argument: SchemaArgument): string {
  const type = argument.fixedLength > 0 ? `${argument.type.slice(0, -2)} or ${argument.type}` : argument.type;
  return argument.optional && !argument.hasDefault ? `${type} or null` : type;
}

function describe(value: unknown): string {
  if (value instanceof Tensor) return `Tensor[${value.shape.join(', ')}] ${value.dtype}`;
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(describe).join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function describeOptions(options: Options): string {
  return `{ ${Object.entries(options)
    .map(([key, value]) => `${key}: ${describe(value)}`)
    .join(', ')} }`;
}
