// Calls of the engine's operators by name. Every call of every operator goes through here.

import { track } from './lifetime.js';
import { type NativeOperator, native, type TensorId } from './native.js';
import { Tensor } from './tensor.js';

/** What an operator takes: tensors, numbers, strings (dtypes, devices, memory formats), lists of them; undefined for the default. */
export type OpArgument = Tensor | number | bigint | boolean | string | null | undefined | readonly OpArgument[];

/** What an operator gives back: a tensor, a plain value, null for an absent tensor, or a list of them. */
export type OpResult = Tensor | number | boolean | string | null | OpResult[];

const TENSOR = 't'.charCodeAt(0);
const TENSOR_LIST = 'T'.charCodeAt(0);

const operators = new Map<string, NativeOperator>();

/**
 * Calls one overload of an operator, such as `callOp('aten::add.Tensor', a, b)` or `callOp('goshawk::nms', ...)`.
 * Arguments stand in the schema's order; missing ones take the schema's defaults.
 * @throws Error of one line with the operator's name and the arguments' shapes
 */
export function callOp(name: string, ...args: OpArgument[]): OpResult {
  return callOperator(findOperator(name), args);
}

/** `callOp` for the many operators whose one result is a tensor. */
export function callTensorOp(name: string, ...args: OpArgument[]): Tensor {
  return callOperator(findOperator(name), args) as Tensor;
}

export function findOperator(name: string): NativeOperator {
  const operator = lookUp(name);
  if (!operator)
    throw new Error(`${name}: libtorch ${native.version()} has no such operator: look for its name in operatorNames()`);
  return operator;
}

/** Whether this version of the engine has the overload. */
export function hasOperator(name: string): boolean {
  return lookUp(name) !== undefined;
}

function lookUp(name: string): NativeOperator | undefined {
  const known = operators.get(name);
  if (known) return known;
  const dot = name.indexOf('.', name.indexOf('::'));
  const found = dot < 0 ? native.findOperator(name, '') : native.findOperator(name.slice(0, dot), name.slice(dot + 1));
  if (found) operators.set(name, found);
  return found;
}

/**
 * Asked before the engine while it is installed: computes the call itself or hands it on with `proceed`.
 * @param name such as `aten::add.Tensor`
 */
export type OperatorInterceptor = (
  name: string,
  args: readonly OpArgument[],
  proceed: (args: readonly OpArgument[]) => OpResult,
) => OpResult;

let interceptor: OperatorInterceptor | undefined;

/** Runs `body` with `intercept` between it and the engine; calls that `intercept` makes itself go to the engine. */
export function interceptOperators<T>(intercept: OperatorInterceptor, body: () => T): T {
  const outer = interceptor;
  interceptor = intercept;
  try {
    return body();
  } finally {
    interceptor = outer;
  }
}

export function callOperator(operator: NativeOperator, args: readonly OpArgument[]): OpResult {
  if (interceptor === undefined) return callEngine(operator, args);
  const asked = interceptor;
  interceptor = undefined;
  try {
    const name = operator.schema.slice(0, operator.schema.indexOf('('));
    return asked(name, args, (passed) => callEngine(operator, passed));
  } finally {
    interceptor = asked;
  }
}

function callEngine(operator: NativeOperator, args: readonly OpArgument[]): OpResult {
  const plain: unknown[] = new Array(args.length);
  const expected = operator.arguments;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    // Tensors travel as numbers: without these checks one would pass for the other.
    if (arg instanceof Tensor) {
      if (expected.charCodeAt(i) !== TENSOR) throw wrongKind(operator, i, 'a Tensor');
      plain[i] = arg.id;
    } else if (typeof arg === 'number') {
      if (expected.charCodeAt(i) === TENSOR) throw wrongKind(operator, i, String(arg));
      plain[i] = arg;
    } else {
      plain[i] = Array.isArray(arg) ? idsOf(arg, operator, i) : arg;
    }
  }
  const raw = native.callOperator(operator.index, ...plain);
  const kinds = operator.results;
  if (kinds === 't') return raw === null ? null : track(new Tensor(raw as TensorId));
  if (kinds.length === 1) return wrap(raw, kinds);
  return (raw as unknown[]).map((value, i) => wrap(value, kinds[i] ?? 'v'));
}

/** Every operator the engine knows, as `namespace::name.overload`. */
export function operatorNames(): string[] {
  return native.operatorNames();
}

function idsOf(list: readonly OpArgument[], operator: NativeOperator, index: number): readonly unknown[] {
  if (operator.arguments.charCodeAt(index) !== TENSOR_LIST) {
    if (list.some((item) => item instanceof Tensor)) throw wrongKind(operator, index, 'a list of Tensors');
    return list;
  }
  return list.map((item) => {
    if (item instanceof Tensor) return item.id;
    if (item === null || item === undefined) return null;
    throw wrongKind(operator, index, `a list with ${String(item)}`);
  });
}

function wrongKind(operator: NativeOperator, index: number, given: string): TypeError {
  const name = operator.schema.slice(0, operator.schema.indexOf('(')).replace('aten::', '');
  const kind = operator.arguments[index];
  if (kind === undefined)
    return new TypeError(`${name}: takes at most ${operator.arguments.length} arguments: ${operator.schema}`);
  const wanted = kind === 't' ? 'a Tensor' : kind === 'T' ? 'a list of Tensors' : 'no Tensor';
  return new TypeError(`${name}: argument ${index + 1} must be ${wanted}, got ${given}: ${operator.schema}`);
}

function wrap(value: unknown, kind: string): OpResult {
  if (value === null) return null;
  if (kind === 't') return track(new Tensor(value as TensorId));
  if (kind === 'T') return (value as TensorId[]).map((id) => track(new Tensor(id)));
  return value as OpResult;
}
