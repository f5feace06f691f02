// V8's heap, kept from swelling during a training.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Steps between two collections of the whole heap, which take 30 to 50 ms. */
const COLLECT_EVERY = 100;

let collect: (() => void) | undefined;

/**
 * Called before every step of a training, keeps V8's heap at the size that the first steps need. A step makes few objects,
 * since tensors lie outside of it, so that V8 sees no reason to collect for thousands of steps. Left alone, the young
 * generation doubles when as much as it holds has outlived a collection, however long that took, and is given back when a
 * full collection finds little to do (NewSpace::Grow, Heap::ReduceNewSpaceSize); what was promoted by chance piles up in the
 * old one. Together they come and go by 30 MB.
 */
export function steadyHeap(step: number): void {
  // Each time, in 13 microseconds: every thread that starts sets the factor back.
  setFlagsFromString('--semi-space-growth-factor=1');
  if (step % COLLECT_EVERY === 0) collectHeap();
}

/** Frees what no one can reach any more. */
export function collectHeap(): void {
  collect ??= exposedCollection();
  collect();
}

/** Lets young generations grow again, by V8's own factor. */
export function releaseHeap(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}

/** V8's own function, which contexts made under this flag have. */
function exposedCollection(): () => void {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc');
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
