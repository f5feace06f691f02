// Who frees a tensor. V8 does not see the memory of tensors in time, so they belong to scopes, innermost last; outside
// of every scope the garbage collector frees, some time later.
import { native, type TensorId } from './native.js';

/** Holds one of the engine's tensors: what class Tensor is made of. */
export class TensorHandle implements Disposable {
  /** The engine's number of this tensor; only the binding reads it. */
  readonly id: TensorId;

  constructor(id: TensorId) {
    this.id = id;
  }

  /** Frees the memory now; using the tensor afterwards is an Error. Freeing twice is none. */
  dispose(): void {
    collected.unregister(this);
    native.release([this.id]);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Handles made since the scope opened; a handle may be in it once only. */
export type OpenScope = TensorHandle[];

const scopes: OpenScope[] = [];
const collected = new FinalizationRegistry<TensorId>((id) => native.release([id]));

/** Puts a new handle under the innermost scope, or under the garbage collector. */
export function track<T extends TensorHandle>(handle: T): T {
  const scope = scopes[scopes.length - 1];
  if (scope) scope.push(handle);
  else leaveToCollector(handle);
  return handle;
}

/** The engine tells V8 of its memory, which is what brings a collection about. */
function leaveToCollector(handle: TensorHandle): void {
  collected.register(handle, handle.id, handle);
  native.leaveToCollector(handle.id);
}

export function openScope(): OpenScope {
  const own: OpenScope = [];
  scopes.push(own);
  return own;
}

/** Closes the innermost scope: those of `kept` go to the scope around it or to the garbage collector, the others are freed. */
export function closeScope(own: OpenScope, kept?: ReadonlySet<TensorHandle>): void {
  scopes.pop();
  const ids: TensorId[] = [];
  const outer = scopes[scopes.length - 1];
  for (const handle of own) {
    if (!kept?.has(handle)) ids.push(handle.id);
    else if (outer) outer.push(handle);
    else leaveToCollector(handle);
  }
  if (ids.length > 0) native.release(ids);
}

/** Takes handles out of every open scope, over to the garbage collector. */
export function takeOut(kept: ReadonlySet<TensorHandle>): void {
  for (const scope of scopes) {
    for (let i = scope.length - 1; i >= 0; i--) {
      const handle = scope[i];
      if (handle && kept.has(handle)) {
        scope.splice(i, 1);
        leaveToCollector(handle);
      }
    }
  }
}

/** How many tensors this thread holds, for leak tests. */
export function liveTensors(): number {
  return native.liveTensors();
}
