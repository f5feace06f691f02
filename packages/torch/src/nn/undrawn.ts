// Parameters that wait for values out of a file: drawing tens of millions of numbers that are overwritten at once takes as long
// as reading them.
import type { Tensor } from '../tensor/tensor.js';

const undrawn = new WeakSet<Tensor>();
let isWaiting = false;

/**
 * Runs `build`, in which initialisers draw nothing: parameters that would be drawn hold whatever their memory does until they are
 * assigned. `requireDrawn` afterwards says whether all were.
 */
export function withoutDraws<T>(build: () => T): T {
  const before = isWaiting;
  isWaiting = true;
  try {
    return build();
  } finally {
    isWaiting = before;
  }
}

/** Whether `tensor`, which is to be drawn, shall wait instead. */
export function waits(tensor: Tensor): boolean {
  if (isWaiting) undrawn.add(tensor);
  return isWaiting;
}

export function isUndrawn(tensor: Tensor): boolean {
  return undrawn.has(tensor);
}

/** `tensor` has values from now on. */
export function markDrawn(tensor: Tensor): void {
  undrawn.delete(tensor);
}

/** @throws Error naming the tensors of a state that still wait for values */
export function requireDrawn(state: Iterable<readonly [string, Tensor]>): void {
  const waiting = Array.from(state).flatMap(([name, tensor]) => (undrawn.has(tensor) ? [name] : []));
  if (waiting.length > 0)
    throw new Error(
      `${waiting.length} parameters have no values (${waiting.slice(0, 3).join(', ')}${waiting.length > 3 ? ', ...' : ''}): load them, or build the model outside of withoutDraws()`,
    );
}
