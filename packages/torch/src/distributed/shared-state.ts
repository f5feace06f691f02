// One model in several processes: the same tensors, with the same values to begin with.
import { createHash } from 'node:crypto';
import type { Module } from '../nn/module.js';
import type { StateTensor } from '../nn/parameter.js';
import { DistributedError } from './distributed-error.js';
import type { ProcessGroup } from './process-group.js';

/**
 * Gives every process rank 0's parameters and buffers, those that no file keeps included.
 * @throws DistributedError naming the first tensor that is not the same kind of tensor everywhere, before any is sent
 */
export function shareState(group: ProcessGroup, module: Module): void {
  const members = stateOf(module);
  requireSameLayout(group, members);
  for (const [, tensor] of members) group.broadcast(tensor);
}

function stateOf(module: Module): (readonly [string, StateTensor])[] {
  return [...module.namedParameters(), ...module.namedBuffers()];
}

/** Name, shape, memory order and dtype of every tensor, and whether it learns. */
function requireSameLayout(group: ProcessGroup, members: readonly (readonly [string, StateTensor])[]): void {
  const lines = members.map(
    ([name, tensor]) =>
      `${name}: ${tensor.dtype} [${tensor.shape.join(', ')}], steps [${tensor.strides.join(', ')}]${tensor.requiresGrad ? ', learns' : ''}`,
  );
  requireSameLines(group, lines, { what: 'the model', advice: 'start all with one config' });
}

/**
 * Every process calls it with what must be the same in all, in lines.
 * @throws DistributedError in all of them, with the first line that differs, where one does
 */
export function requireSameLines(
  group: ProcessGroup,
  lines: readonly string[],
  { what, advice }: { readonly what: string; readonly advice: string },
): void {
  const hashes = group.allGatherBytes(createHash('sha256').update(lines.join('\n')).digest());
  const odd = hashes.findIndex((hash) => Buffer.compare(hash, hashes[0]!) !== 0);
  if (odd < 0) return;
  // Only now the lines themselves, to say what differs; every process gets here.
  const all = group.allGatherBytes(new TextEncoder().encode(lines.join('\n')));
  const [first, other] = [all[0]!, all[odd]!].map((bytes) => new TextDecoder().decode(bytes).split('\n'));
  const index = first!.findIndex((line, i) => line !== other![i]);
  const at = index < 0 ? first!.length : index;
  const show = (line: string | undefined): string => line || 'nothing further';
  throw new DistributedError(
    `${what} is not the same in all processes: rank 0 has ${show(first![at])}, rank ${odd} has ${show(other![at])}: ${advice}`,
    [odd],
  );
}
