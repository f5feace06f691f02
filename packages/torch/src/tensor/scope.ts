// Scopes: what is made inside scope() and not returned is freed at its end.
import { closeScope, openScope, takeOut } from './lifetime.js';
import { Tensor } from './tensor.js';

/**
 * Runs `body` and frees every tensor made in it except those in what it returns: a tensor, or arrays, plain objects,
 * Maps of them, however deep. Those belong to the scope around this one, or to the garbage collector.
 * Scopes nest; a promise cannot be returned, since the tensors would be gone before it resolves.
 */
export function scope<T>(body: () => T): T {
  const own = openScope();
  const kept = new Set<Tensor>();
  let result: T;
  try {
    result = body();
    if (result instanceof Promise)
      throw new TypeError('scope: the body must not be asynchronous: await outside, compute inside');
    collectTensors(result, kept);
  } catch (error) {
    closeScope(own);
    throw error;
  }
  closeScope(own, kept);
  return result;
}

/** Takes tensors out of every open scope: they live until dispose() or until the garbage collector finds them. */
export function keep<T>(value: T): T {
  const kept = new Set<Tensor>();
  collectTensors(value, kept);
  takeOut(kept);
  return value;
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
