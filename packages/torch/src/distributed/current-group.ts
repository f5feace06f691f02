// The group that this process computes in: layers and losses that look beyond it ask here.
import type { ProcessGroup } from './process-group.js';

let current: ProcessGroup | undefined;

/** From now on this process computes in `group`; undefined: alone. */
export function setProcessGroup(group: ProcessGroup | undefined): void {
  current = group;
}

/** undefined where this process computes alone, as it does until setProcessGroup(). */
export function processGroup(): ProcessGroup | undefined {
  return current;
}
