// Which operators a piece of work runs: how many it launches, and whether it makes the host wait for a card.
import { native } from '../tensor/native.js';

/**
 * Counts the operators that run while `body` does, as `namespace::name.overload`: those that it calls, those that they call,
 * and those of its backward passes. Copies between JavaScript's memory and tensors count as `goshawk::from_host` and
 * `goshawk::to_host`. The recording is of the whole process, worker threads included.
 * @throws Error where another recording runs; what `body` throws
 */
export function recordOperators(body: () => void): Map<string, number> {
  native.startRecording();
  let counted: (string | number)[] = [];
  try {
    body();
  } finally {
    counted = native.stopRecording();
  }
  const counts = new Map<string, number>();
  for (let i = 0; i < counted.length; i += 2) counts.set(counted[i] as string, counted[i + 1] as number);
  return counts;
}

/**
 * The operators after which, on a card, the host has waited for all work before them: those that give back a number, or a
 * tensor whose size depends on values; and copies from and to memory that is not pinned.
 */
export const OPERATORS_THAT_WAIT: ReadonlySet<string> = new Set([
  'aten::_local_scalar_dense',
  'aten::nonzero',
  'aten::nonzero_numpy',
  'aten::argwhere',
  'aten::masked_select',
  'aten::_unique2',
  'aten::_unique',
  'aten::unique_dim',
  'aten::unique_consecutive',
  'aten::repeat_interleave.Tensor',
  'aten::bincount',
  'aten::equal',
  'aten::is_nonzero',
  'goshawk::nms',
  'goshawk::batched_nms',
  'goshawk::masks_to_rle',
  'goshawk::from_host',
  'goshawk::to_host',
]);

/** Those of `counts` that make the host wait. Masks as indices show as `aten::nonzero`. */
export function operatorsThatWait(counts: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...counts].filter(([name]) => OPERATORS_THAT_WAIT.has(name)));
}
