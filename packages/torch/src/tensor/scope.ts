// Lifetime of tensors. V8 does not see their memory in time, so they belong to scopes: what is made inside scope() and
// not returned is freed at its end. Outside of every scope the garbage collector frees, some time later.
import { native, type TensorId } from './native.js';
import { Tensor } from './tensor.js';

/** Tensors made since the scope opened; a tensor may be in it once only. */
type Scope = Tensor[];

const scopes: Scope[] = [];
const collected = new FinalizationRegistry<TensorId>((id) => native.release([id]));

/** Puts a new tensor under the innermost scope, or under the garbage collector. */
export function track(tensor: Tensor): Tensor {
  const scope = scopes[scopes.length - 1];
  if (scope) scope.push(tensor);
  else collected.register(tensor, tensor.id, tensor);
  return tensor;
}

/**
 * Runs `body` and frees every tensor made in it except those in what it returns: a tensor, or arrays, plain objects,
 * Maps of them, however deep. Those belong to the scope around this one, or to the garbage collector.
 * Scopes nest; a promise cannot be returned, since the tensors would be gone before it resolves.
 */
export function scope<T>(body: () => T): T {
  const own: Scope = [];
  scopes.push(own);
  let result: T;
  try {
    result = body();
    if (result instanceof Promise)
      throw new TypeError('scope: the body must not be asynchronous: await outside, compute inside');
  } catch (error) {
    scopes.pop();
    releaseAll(own, undefined);
    throw error;
  }
  scopes.pop();
  const kept = new Set<Tensor>();
  collectTensors(result, kept);
  releaseAll(own, kept);
  return result;
}

/** Takes tensors out of every open scope: they live until dispose() or until the garbage collector finds them. */
export function keep<T>(value: T): T {
  const kept = new Set<Tensor>();
  collectTensors(value, kept);
  for (const scope of scopes) {
    for (let i = scope.length - 1; i >= 0; i--) {
      const tensor = scope[i];
      if (tensor && kept.has(tensor)) {
        scope.splice(i, 1);
        collected.register(tensor, tensor.id, tensor);
      }
    }
  }
  return value;
}

/** Frees one tensor now; using it afterwards is an Error. Freeing twice is none. */
export function dispose(tensor: Tensor): void {
  collected.unregister(tensor);
  native.release([tensor.id]);
}

/** How many tensors this thread holds, for leak tests. */
export function liveTensors(): number {
  return native.liveTensors();
}

function releaseAll(own: Scope, kept: Set<Tensor> | undefined): void {
  const ids: TensorId[] = [];
  const outer = scopes[scopes.length - 1];
  for (const tensor of own) {
    if (!kept?.has(tensor)) ids.push(tensor.id);
    else if (outer) outer.push(tensor);
    else collected.register(tensor, tensor.id, tensor);
  }
  if (ids.length > 0) native.release(ids);
}

function collectTensors(value: unknown, into: Set<Tensor>): void {
  if (value instanceof Tensor) {
    into.add(value);
  } else if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) if (typeof item === 'object') collectTensors(item, into);
  } else if (value instanceof Map) {
    for (const item of value.values()) collectTensors(item, into);
  } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null)
      for (const item of Object.values(value)) collectTensors(item, into);
  }
}
